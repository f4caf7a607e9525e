//! The rows that the line being edited takes on the terminal.

use std::env;
use std::io;

use unicode_width::UnicodeWidthChar;

use super::{Terminal, write_now};

/// Variables that are set by terminals that leave each row as it is when they become narrower or wider: xterm and GNU
/// screen. Most others break lines anew.
const KEEP_ROWS: [&str; 2] = ["XTERM_VERSION", "STY"];

/// Which rows a line takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// How many of them are above the one with the cursor.
    pub above: usize,
    /// How many are below.
    pub below: usize,
}

impl Rows {
    /// The rows of a line after `prompt`, with the cursor after `before`, and `after` after it, on a terminal with this
    /// many columns.
    pub fn of(prompt: &str, before: &str, after: &str, columns: usize) -> Self {
        let cursor = advance(before, advance(prompt, (0, 0), columns), columns);
        let end = advance(after, cursor, columns);
        Self {
            above: cursor.0,
            below: end.0 - cursor.0,
        }
    }

    /// Empty rows in place of the line, with the cursor where it was in the line. rustyline clears as many rows before
    /// it draws the line.
    pub(super) fn room(self) -> String {
        let all = self.above + self.below;
        format!("{}{}", "\n".repeat(all), up(self.below))
    }
}

impl Terminal {
    /// Prepares the terminal for rustyline, which is about to clear the rows `drawn` of a line: the terminal was resized,
    /// has broken the line anew, and it takes the rows `now`. rustyline would clear a row of something else, or leave a
    /// row of the line there. Only for the editor's thread.
    pub fn follow_resize(drawn: Rows, now: Rows) -> io::Result<()> {
        write_now(&format!("{}\r\x1b[J{}", up(now.above), drawn.room()))
    }
}

/// Whether the terminal breaks lines anew when it is resized.
pub fn breaks_lines_anew() -> bool {
    let is_console = env::var("TERM").is_ok_and(|term| term == "linux");
    !is_console && KEEP_ROWS.iter().all(|name| env::var_os(name).is_none())
}

/// Moves the cursor up.
pub(super) fn up(rows: usize) -> String {
    match rows {
        0 => String::new(),
        rows => format!("\x1b[{rows}A"),
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
