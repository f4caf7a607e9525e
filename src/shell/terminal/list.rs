//! Shows a list above the line being edited, a screenful at a time, from the editor's thread.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::rows::Rows;
use super::{Terminal, write_now};
use crate::render::height;

/// How long to wait for the rest of a key that starts with Esc, in milliseconds.
const REST_OF_KEY: u16 = 20;

/// Ctrl-C.
const INTERRUPT: u8 = 0x03;

/// What the user wants after a screenful.
enum Answer {
    Screenful,
    Row,
    Enough,
}

impl Terminal {
    /// Shows the rows of `list`, of `count` candidates, above the line being edited, which takes `rows`, and leaves the
    /// cursor where rustyline would draw the line again. If that is more than a screenful, asks first, and goes on a
    /// screenful at a time.
    ///
    /// Only for the editor's thread, while a line is edited and rustyline waits for this. rustyline's own printer is no
    /// help here: it shows nothing while keys wait to be read.
    ///
    /// # Errors
    ///
    /// The terminal cannot be written or read.
    pub fn list(&self, list: &str, count: usize, rows: Rows) -> io::Result<()> {
        let lines: Vec<&str> = list.lines().collect();
        let screen = height();
        let page = screen.saturating_sub(1).max(1);
        write_now(&rows.clear())?;
        let wanted = lines.len() + rows.above + rows.below < screen || ask(count)?;
        if wanted {
            let (mut shown, mut until) = (0, page);
            while shown < lines.len() {
                let end = until.min(lines.len());
                write_now(&(lines[shown..end].join("\n") + "\n"))?;
                shown = end;
                // The line is to fit below the last page.
                if shown == lines.len() {
                    break;
                }
                match more()? {
                    Answer::Screenful => until += page,
                    Answer::Row => until += 1,
                    Answer::Enough => break,
                }
            }
        }
        write_now(&rows.room())
    }
}

/// Asks whether to show that many candidates.
fn ask(count: usize) -> io::Result<bool> {
    write_now(&format!("Display all {count} possibilities? (y or n)"))?;
    let wanted = loop {
        match key()? {
            b'y' | b'Y' | b' ' | b'\t' => break true,
            b'n' | b'N' | b'q' | 0x7f | 0x08 | 0x1b | INTERRUPT => break false,
            _ => {}
        }
    };
    write_now("\r\x1b[K")?;
    Ok(wanted)
}

/// Asks whether to go on.
fn more() -> io::Result<Answer> {
    write_now("--More--")?;
    let answer = loop {
        match key()? {
            b'y' | b'Y' | b' ' | b'\t' => break Answer::Screenful,
            b'\r' | b'\n' => break Answer::Row,
            b'n' | b'N' | b'q' | b'Q' | 0x7f | 0x08 | 0x1b | INTERRUPT => break Answer::Enough,
            _ => {}
        }
    };
    write_now("\r\x1b[K")?;
    Ok(answer)
}

/// Reads a key; of one that sends several bytes, the first.
fn key() -> io::Result<u8> {
    let stdin = io::stdin();
    let mut byte = [0];
    loop {
        match read(stdin.as_fd(), &mut byte) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if byte[0] == 0x1b {
        let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(REST_OF_KEY)).is_ok_and(|count| count > 0) {
            let _ = read(stdin.as_fd(), &mut [0; 16]);
        }
    }
    Ok(byte[0])
}
