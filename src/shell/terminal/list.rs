//! Shows a list above the line being edited, a screenful at a time, from the editor's thread.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use unicode_width::UnicodeWidthChar;

use super::{Terminal, write_now};
use crate::render::width;

/// How long to wait for the rest of a key that starts with Esc, in milliseconds.
const REST_OF_KEY: u16 = 20;

/// Ctrl-C.
const INTERRUPT: u8 = 0x03;

/// Which rows the line being edited takes on the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// How many of them are above the one with the cursor.
    pub above: usize,
    /// How many are below.
    pub below: usize,
}

impl Rows {
    /// The rows of a line after `prompt`, with the cursor after `before`, and `after` after it.
    pub fn of(prompt: &str, before: &str, after: &str) -> Self {
        let columns = width();
        let cursor = advance(before, advance(prompt, (0, 0), columns), columns);
        let end = advance(after, cursor, columns);
        Self {
            above: cursor.0,
            below: end.0 - cursor.0,
        }
    }
}

/// The row and the column after `text`, as rustyline counts them.
fn advance(text: &str, (mut row, mut column): (usize, usize), columns: usize) -> (usize, usize) {
    for c in text.chars() {
        if c == '\n' {
            (row, column) = (row + 1, 0);
            continue;
        }
        let width = c.width().unwrap_or(0);
        column += width;
        if column > columns {
            (row, column) = (row + 1, width);
        }
    }
    match column >= columns {
        true => (row + 1, 0),
        false => (row, column),
    }
}

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
        let screen = crossterm::terminal::size().map_or(usize::MAX, |(_, rows)| rows.into());
        let page = screen.saturating_sub(1).max(1);
        write_now(&format!("{}\r\x1b[J", up(rows.above)))?;
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
        // rustyline clears as many rows as the line has before it draws it.
        let all = rows.above + rows.below;
        write_now(&format!("{}{}", "\n".repeat(all), up(rows.below)))
    }
}

fn up(rows: usize) -> String {
    match rows {
        0 => String::new(),
        rows => format!("\x1b[{rows}A"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_the_editor_counts_them() {
        assert_eq!(advance("abc", (0, 0), 4), (0, 3));
        // A full row has the cursor on the next one.
        assert_eq!(advance("abcd", (0, 0), 4), (1, 0));
        assert_eq!(advance("abc\nd", (0, 2), 4), (2, 1));
        // A wide character is not split.
        assert_eq!(advance("漢", (0, 3), 4), (1, 2));
    }
}
