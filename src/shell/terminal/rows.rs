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

    /// The same rows in a terminal that drew them with `drawn` columns, and has broken them anew for `columns`.
    pub fn broken_anew(
        prompt: &str,
        before: &str,
        after: &str,
        drawn: usize,
        columns: usize,
    ) -> Self {
        let mut rows = Self::of(prompt, before, after, columns);
        let end = match after {
            "" => &mut rows.above,
            _ => &mut rows.below,
        };
        // Below a full row, rustyline begins another, which stays when the row is no longer full. In a row that has become
        // full, the cursor waits at the end.
        let text = [prompt, before, after].concat();
        *end += usize::from(fills_row(&text, drawn));
        *end -= usize::from(fills_row(&text, columns));
        rows
    }

    fn all(self) -> usize {
        self.above + self.below
    }

    /// Clears the rows, and moves the cursor to the start of the first. Clears each by itself: if they begin at the top of
    /// the screen, tmux would keep a copy of what it clears down to the end.
    pub(super) fn clear(self) -> String {
        let others = "\x1b[B\x1b[K".repeat(self.all());
        format!("{}\r\x1b[K{others}{}", up(self.above), up(self.all()))
    }

    /// Empty rows in place of the line, with the cursor where it was in the line. rustyline clears as many rows before
    /// it draws the line.
    pub(super) fn room(self) -> String {
        format!("{}{}", "\n".repeat(self.all()), up(self.below))
    }
}

impl Terminal {
    /// Prepares the terminal for rustyline, which is about to clear the rows `drawn` of a line: the terminal was resized,
    /// has broken the line anew, and it takes the rows `now`. rustyline would clear a row of something else, or leave a
    /// row of the line there. Only for the editor's thread.
    pub fn follow_resize(drawn: Rows, now: Rows) -> io::Result<()> {
        write_now(&format!("{}{}", now.clear(), drawn.room()))
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

/// Whether `text` ends at the end of a row, as rustyline counts.
fn fills_row(text: &str, columns: usize) -> bool {
    let (row, column) = advance(text, (0, 0), columns);
    column == 0 && row > 0 && !text.ends_with('\n')
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
