//! Lays out text for a terminal of a given width.

use unicode_width::UnicodeWidthStr;

use super::reference::Block;
use crate::render::{Role, columns, escape_line, wrap};

/// How far to indent text below a heading, and each level below that.
const INDENT: usize = 2;

/// The most columns of prose: longer lines are hard to read.
pub const PROSE: usize = 100;

/// The format of a text.
#[derive(Debug, Clone, Copy)]
pub struct Sheet {
    /// In columns.
    pub width: usize,
    pub color: bool,
}

/// A name and its description.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The level of indentation, from 0.
    pub depth: usize,
    pub name: String,
    pub text: String,
    /// What the reference says, below the description.
    pub prose: Vec<Block>,
}

impl Entry {
    pub fn new(depth: usize, name: String, text: String) -> Self {
        Self {
            depth,
            name,
            text,
            prose: Vec::new(),
        }
    }
}

/// A text under construction. Everything added is made harmless to a terminal.
pub(super) struct Page {
    sheet: Sheet,
    text: String,
    /// Nothing stands below the last heading or title yet.
    after_heading: bool,
}

impl Page {
    pub fn new(sheet: Sheet) -> Self {
        Self {
            sheet,
            text: String::new(),
            after_heading: true,
        }
    }

    pub fn finish(self) -> String {
        self.text
    }

    /// Adds the first line: a name, and what it is.
    pub fn title(&mut self, name: &str, what: &str) {
        let name = escape_line(name);
        // The name is one word, so it is never split.
        let all = format!("{name} {}", escape_line(what));
        for (number, line) in wrap(&all, self.readable() - 2 * INDENT).iter().enumerate() {
            match line.strip_prefix(&*name) {
                Some(rest) if number == 0 => {
                    let name = self.paint(Role::Heading, &name);
                    self.text.push_str(&format!("{name}{rest}\n"));
                }
                _ => self
                    .text
                    .push_str(&format!("{:1$}{line}\n", "", 2 * INDENT)),
            }
        }
    }

    pub fn heading(&mut self, heading: &str) {
        let heading = self.paint(Role::Heading, heading);
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&format!("{heading}\n"));
        self.after_heading = true;
    }

    /// Adds a paragraph of prose.
    pub fn paragraph(&mut self, text: &str) {
        for line in wrap(&escape_line(text), self.readable() - INDENT) {
            self.text.push_str(&format!("{:INDENT$}{line}\n", ""));
        }
        self.after_heading = false;
    }

    /// Adds prose, with a blank line before each paragraph but the first of a part.
    pub fn prose(&mut self, blocks: &[Block]) {
        let mut after_heading = self.after_heading;
        for block in blocks {
            if !std::mem::take(&mut after_heading) && !matches!(block, Block::Item(_)) {
                self.text.push('\n');
            }
            for line in block_lines(block, self.readable() - INDENT) {
                self.text.push_str(&format!("{:INDENT$}{line}\n", ""));
            }
        }
        self.after_heading = false;
    }

    /// Adds lines as they are, because somebody may paste them.
    pub fn verbatim(&mut self, depth: usize, text: &str) {
        let indent = INDENT * (depth + 1);
        for line in text.lines() {
            self.text
                .push_str(&format!("{:indent$}{}\n", "", escape_line(line)));
        }
        self.after_heading = false;
    }

    /// Adds names without descriptions, in columns.
    pub fn columns(&mut self, names: &[&str]) {
        let names: Vec<_> = names.iter().map(|name| escape_line(name)).collect();
        for line in columns(&names, self.sheet.width.saturating_sub(INDENT)).lines() {
            self.text.push_str(&format!("{:INDENT$}{line}\n", ""));
        }
    }

    /// Adds names on the left and their descriptions on the right.
    pub fn entries(&mut self, entries: &[Entry]) {
        let indent = |entry: &Entry| INDENT * (entry.depth + 1);
        // A longer name gets a line of its own.
        let most = match entries.iter().any(|entry| !entry.prose.is_empty()) {
            true => self.readable() * 2 / 5,
            false => self.readable() * 3 / 5,
        };
        let widths = entries
            .iter()
            .filter(|entry| !(entry.text.is_empty() && entry.prose.is_empty()))
            .map(|entry| indent(entry) + entry.name.width() + 2);
        let column = widths.filter(|width| *width <= most).max().unwrap_or(most);
        let width = self.readable().saturating_sub(column).max(20);
        for entry in entries {
            let indent = indent(entry);
            let name = escape_line(&entry.name);
            let mut names = match indent + name.width() > self.readable() {
                true => wrap(&name, self.readable().saturating_sub(indent + INDENT)),
                false => vec![name.into_owned()],
            }
            .into_iter();
            let name = names.next().unwrap_or_default();
            let mut line = format!("{:indent$}{}", "", self.paint(Role::Key, &name));
            let mut used = indent + name.width();
            for name in names {
                self.text.push_str(&format!("{line}\n"));
                let indent = indent + INDENT;
                line = format!("{:indent$}{}", "", self.paint(Role::Key, &name));
                used = indent + name.width();
            }
            let mut texts = wrap(&escape_line(&entry.text), width);
            texts.extend(
                entry
                    .prose
                    .iter()
                    .flat_map(|block| block_lines(block, width)),
            );
            for text in texts {
                if used + 2 > column && used > 0 {
                    self.text.push_str(&format!("{line}\n"));
                    (line, used) = (String::new(), 0);
                }
                line.push_str(&format!("{:1$}{text}", "", column - used));
                self.text.push_str(&format!("{line}\n"));
                (line, used) = (String::new(), 0);
            }
            if used > 0 {
                self.text.push_str(&format!("{line}\n"));
            }
        }
        self.after_heading = false;
    }

    /// How many columns of prose to use.
    fn readable(&self) -> usize {
        self.sheet.width.clamp(40, PROSE)
    }

    fn paint(&self, role: Role, text: &str) -> String {
        match self.sheet.color {
            true => role.style().paint(escape_line(text)).to_string(),
            false => escape_line(text).into_owned(),
        }
    }
}

/// Whether an item of a list begins with its number, as `1. `.
fn is_numbered(item: &str) -> bool {
    let number = item.split_once(". ").map(|(number, _)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The lines of a block of prose, without indentation.
fn block_lines(block: &Block, width: usize) -> Vec<String> {
    match block {
        Block::Paragraph(text) => wrap(&escape_line(text), width),
        Block::Item(text) => {
            // A number is a mark already.
            let (mark, indent) = if is_numbered(text) {
                ("", "   ")
            } else {
                ("- ", "  ")
            };
            let lines = wrap(&escape_line(text), width.saturating_sub(indent.len()));
            let marked =
                |(number, line)| format!("{}{line}", if number == 0 { mark } else { indent });
            lines.iter().enumerate().map(marked).collect()
        }
        Block::Code(text) => {
            let lines = text.lines().map(|line| escape_line(line).into_owned());
            lines.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Sheet = Sheet {
        width: 40,
        color: false,
    };

    fn entry(depth: usize, name: &str, text: &str) -> Entry {
        Entry::new(depth, name.to_owned(), text.to_owned())
    }

    #[test]
    fn entries_are_in_two_columns_and_their_text_is_wrapped() {
        let mut page = Page::new(NARROW);
        page.entries(&[
            entry(0, "a", "one two `three four` five six seven eight"),
            entry(1, "bbbb", "short"),
            entry(0, "a-name-that-is-longer-than-most", "text"),
            entry(0, "alone", ""),
        ]);
        assert_eq!(
            page.finish(),
            "  a       one two `three four` five six\n          seven eight\n    bbbb  short\n  \
             a-name-that-is-longer-than-most\n          text\n  alone\n"
        );
    }

    #[test]
    fn control_characters_of_a_server_are_escaped() {
        for color in [false, true] {
            let mut page = Page::new(Sheet { color, ..NARROW });
            page.title("a\u{9b}", "b\u{9b}");
            page.heading("c\u{9b}");
            page.paragraph("d\u{9b}");
            page.columns(&["e\u{9b}"]);
            page.entries(&[entry(0, "f\u{9b}", "g\u{9b}")]);
            let text = page.finish();
            assert!(!text.contains('\u{9b}'), "{text:?}");
            assert_eq!(text.contains('\u{1b}'), color);
        }
    }

    #[test]
    fn items_have_one_mark_a_dash_or_their_number() {
        let lines = |text: &str| block_lines(&Block::Item(text.to_owned()), 12);
        assert_eq!(lines("one two three"), ["- one two", "  three"]);
        assert_eq!(lines("1. one two three"), ["1. one", "   two three"]);
        assert_eq!(lines("see v1. Then"), ["- see v1.", "  Then"]);
    }
}
