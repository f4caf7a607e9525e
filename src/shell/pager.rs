//! Shows a long text in the user's pager.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;

use tokio::sync::oneshot;

use super::terminal::Terminal;

/// The pager if `$PAGER` is not set. It keeps colours, leaves what was read on the screen, and ends by itself if that
/// is less than a page.
const DEFAULT: &str = "less -RFX";

/// The exit status of a shell that does not find the program.
const NOT_FOUND: i32 = 127;

/// The command line of the pager; `None` if the user wants none.
pub(super) fn command() -> Option<String> {
    match std::env::var("PAGER") {
        Ok(pager) if pager.trim().is_empty() => None,
        Ok(pager) => Some(pager),
        Err(_) => Some(DEFAULT.to_owned()),
    }
}

/// Whether a text takes more than this many screens.
pub(super) fn exceeds(text: &str, screens: usize) -> bool {
    let rows = crossterm::terminal::size().map_or(usize::MAX, |(_, rows)| usize::from(rows));
    let most = rows.saturating_mul(screens);
    text.lines().nth(most).is_some()
}

/// Shows a text in the pager, which has the terminal until it ends or `leave` resolves. Other output is held back
/// meanwhile. Returns what `leave` resolved to; `Err` has the text if there is no such pager.
pub(super) async fn show<T>(
    command: &str,
    text: String,
    terminal: &Terminal,
    leave: impl Future<Output = T>,
) -> Result<Option<T>, String> {
    tokio::pin!(leave);
    let _loan = tokio::select! {
        loan = terminal.lend() => loan,
        left = &mut leave => return Ok(Some(left)),
    };
    let Ok((pid, ended)) = start(command, text.clone()) else {
        return Err(text);
    };
    tokio::select! {
        status = ended => match status {
            Ok(Some(NOT_FOUND)) => Err(text),
            _ => Ok(None),
        },
        left = leave => {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            Ok(Some(left))
        }
    }
}

/// Starts the pager. Ctrl-C reaches it as well as us, because it is in our process group. The receiver resolves to its
/// exit status when it has ended.
fn start(
    command: &str,
    text: String,
) -> std::io::Result<(nix::unistd::Pid, oneshot::Receiver<Option<i32>>)> {
    let mut pager: Child = Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::piped())
        .spawn()?;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pager.id()).unwrap_or(0));
    let (done, ended) = oneshot::channel();
    let feed = pager.stdin.take();
    // Threads, because a pager takes no more than it shows, and waiting blocks as well.
    thread::Builder::new()
        .name("pager".to_owned())
        .spawn(move || {
            if let Some(mut feed) = feed {
                // The user may leave before the end.
                let _ = feed.write_all(text.as_bytes());
            }
            let status = pager.wait().ok().and_then(|status| status.code());
            let _ = done.send(status);
        })?;
    Ok((pid, ended))
}
