//! A program in the foreground, which reads a text: a pager, or what a line is piped through.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::child::Ended;

/// A running program, in our process group: Ctrl-C reaches it as well as us. It is asked to end (SIGTERM) if this is
/// dropped before.
pub struct Foreground {
    pid: Pid,
    ended: oneshot::Receiver<Ended>,
    has_ended: bool,
}

impl Foreground {
    /// Has `sh` run `script` with `text` as its standard input. Its other descriptors are ours.
    ///
    /// # Errors
    ///
    /// There is no shell, or there are no threads left.
    pub fn start(script: &str, text: String) -> io::Result<Self> {
        let mut program = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_raw(i32::try_from(program.id()).expect("the system counts in i32"));
        let (done, ended) = oneshot::channel();
        let feed = program.stdin.take();
        // A thread, because a pager takes no more than it shows, and waiting blocks as well.
        thread::Builder::new()
            .name("foreground".to_owned())
            .spawn(move || {
                if let Some(mut feed) = feed {
                    // It may end before it has read everything.
                    let _ = feed.write_all(text.as_bytes());
                }
                let _ = done.send(Ended::from(program.wait().ok()));
            })?;
        Ok(Self {
            pid,
            ended,
            has_ended: false,
        })
    }

    /// Resolves when it has ended.
    pub async fn wait(&mut self) -> Ended {
        let ended = (&mut self.ended).await;
        self.has_ended = true;
        ended.unwrap_or_default()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if !self.has_ended {
            let _ = kill(self.pid, Signal::SIGTERM);
        }
    }
}
