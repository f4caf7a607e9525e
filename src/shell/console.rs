//! Attaches the terminal to a guest's console.

use std::io;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::terminal::Terminal;
use crate::failure::Status;
use crate::os::keys::read_keys;
use crate::vm::Console;

/// Ctrl-].
const DETACH: u8 = 0x1d;

/// How many bytes of unseen output to show at first: about a screen or two.
const CONTEXT: u64 = 8 << 10;

/// How many bytes to write to the terminal at once. It is small because the terminal may be slow.
const PIECE: usize = 16 << 10;

/// If this many bytes wait for the terminal, all but the last [`CONTEXT`] are skipped: the user wants to see
/// what happens now.
const BEHIND: u64 = 1 << 20;

/// How many bytes of keys to keep for a guest that does not read them.
const MOST_KEYS: usize = 64 << 10;

/// How long to wait before offering keys again that the guest did not take.
const AGAIN: Duration = Duration::from_millis(20);

/// Why the terminal is no longer attached.
pub(super) enum Detached {
    ByKey,
    /// The shell was told to exit, with this status.
    ToLeave(Status),
}

/// Attaches the terminal to `console` until the user types Ctrl-], or until `leave` resolves. In the second
/// case the terminal stays attached, and the shell must leave it. Other output is held back meanwhile.
///
/// # Errors
///
/// The terminal cannot be made raw, or keys cannot be read.
pub(super) async fn attach(
    console: &Console,
    terminal: &Terminal,
    leave: impl Future<Output = Status>,
) -> io::Result<Detached> {
    tokio::pin!(leave);
    // `terminal.attach` waits for the terminal, which may be blocked (Ctrl-S).
    tokio::select! {
        attached = terminal.attach() => attached?,
        status = &mut leave => return Ok(Detached::ToLeave(status)),
    }
    drop(terminal.write_console(b"attached to the console; Ctrl-] detaches\r\n".to_vec()));
    let attached = Attached {
        console,
        terminal,
        offset: console.shown(),
        keys: Vec::new(),
    };
    let detached = tokio::select! {
        detached = attached.run() => detached,
        status = leave => Ok(Detached::ToLeave(status)),
    };
    if !matches!(detached, Ok(Detached::ToLeave(_))) {
        terminal.detach().await;
    }
    detached
}

struct Attached<'a> {
    console: &'a Console,
    terminal: &'a Terminal,
    /// The offset up to which the log has been shown.
    offset: u64,
    /// Keys that the guest has not taken yet.
    keys: Vec<u8>,
}

impl Attached<'_> {
    async fn run(mut self) -> io::Result<Detached> {
        let (_stop, stopped) = {
            let (reader, writer) = io::pipe()?;
            (writer, reader)
        };
        let mut keys = read_keys(io::stdin(), stopped)?;
        let mut length = self.console.length();
        let mut connected = self.console.connected();
        let mut showing: Option<oneshot::Receiver<()>> = None;
        let end = *length.borrow();
        self.offset = self.offset.max(end.saturating_sub(CONTEXT));
        if !*connected.borrow() {
            showing = Some(self.remark("the console is not connected; waiting"));
        }
        loop {
            if showing.is_none() {
                showing = self.next_piece(*length.borrow());
            }
            tokio::select! {
                typed = keys.recv() => match typed {
                    Some(typed) => if self.typed(&typed) {
                        self.console.set_shown(self.offset);
                        return Ok(Detached::ByKey);
                    },
                    None => return Ok(Detached::ToLeave(Status::Interrupted)),
                },
                _ = shown(&mut showing) => showing = None,
                Ok(()) = length.changed(), if showing.is_none() => {}
                Ok(()) = connected.changed() => {
                    let text = match *connected.borrow_and_update() {
                        true => "the console is connected again",
                        false => "the console is disconnected; waiting",
                    };
                    drop(self.remark(text));
                }
                () = sleep(AGAIN), if !self.keys.is_empty() => self.offer(),
            }
        }
    }

    /// Handles typed keys. Returns whether Ctrl-] was among them.
    fn typed(&mut self, keys: &[u8]) -> bool {
        let detach = keys.iter().position(|key| *key == DETACH);
        let keys = &keys[..detach.unwrap_or(keys.len())];
        let room = MOST_KEYS.saturating_sub(self.keys.len());
        if keys.len() > room {
            drop(self.terminal.write_console(b"\x07".to_vec()));
        }
        self.keys.extend(keys.iter().take(room));
        self.offer();
        detach.is_some()
    }

    /// Offers the guest the keys that it has not taken yet.
    fn offer(&mut self) {
        let taken = self.console.send(&self.keys);
        self.keys.drain(..taken);
    }

    /// Starts to show the next piece of the log, whose length is `length`. `None` if there is nothing to show.
    fn next_piece(&mut self, length: u64) -> Option<oneshot::Receiver<()>> {
        if length.saturating_sub(self.offset) > BEHIND {
            let from = length - CONTEXT;
            let skipped = from - self.offset;
            self.offset = from;
            return Some(self.remark(&format!("{skipped} bytes skipped; the log has them")));
        }
        let (from, piece) = self.console.read(self.offset, PIECE);
        if from > self.offset {
            let skipped = from - self.offset;
            self.offset = from;
            return Some(self.remark(&format!("{skipped} bytes are gone from the log")));
        }
        if piece.is_empty() {
            return None;
        }
        self.offset += piece.len() as u64;
        Some(self.terminal.write_console(piece))
    }

    /// Shows a remark of ours, in brackets.
    fn remark(&self, text: &str) -> oneshot::Receiver<()> {
        self.terminal
            .write_console(format!("\r\n[{text}]\r\n").into_bytes())
    }
}

/// Resolves when the current piece is on the terminal. Never resolves if there is none.
async fn shown(showing: &mut Option<oneshot::Receiver<()>>) {
    match showing {
        Some(done) => {
            let _ = done.await;
        }
        None => std::future::pending().await,
    }
}
