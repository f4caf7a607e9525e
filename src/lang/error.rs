use std::fmt;
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use super::harmless::is_harmful;

/// The most columns of the offending line that an error shows.
const EXCERPT_COLUMNS: usize = 76;

/// The most characters of the line that it shows. Some characters take no column.
const MOST_CHARS: usize = 2 * EXCERPT_COLUMNS;

/// The most characters that an error's message or help may have.
const MESSAGE_CHARS: usize = 200;

/// Why a line does not parse, where, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, as a sentence without its full stop.
    pub message: String,
    /// Where, as byte offsets into the line.
    pub span: Range<usize>,
    /// How to correct it.
    pub help: Option<String>,
    /// The character that would close an open quote or bracket, or a line break if the line ends in a backslash. The
    /// next line may still contain it.
    pub unclosed: Option<char>,
}

impl SyntaxError {
    /// An error at these bytes of the line. `message` is a sentence without its full stop.
    pub fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            message: tame(message.into()),
            span,
            help: None,
            unclosed: None,
        }
    }

    /// The same with how to correct it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(tame(help.into()));
        self
    }

    pub(super) fn unclosed(opener: char, closer: char, span: Range<usize>) -> Self {
        Self {
            unclosed: Some(closer),
            ..Self::new(format!("`{opener}` is never closed"), span)
        }
        .help(format!("close it with `{closer}`"))
    }

    /// The line ends in a backslash, and the next one is missing.
    pub(super) fn continued(span: Range<usize>) -> Self {
        Self {
            unclosed: Some('\n'),
            ..Self::new("no line follows the `\\` at the end of this one", span)
        }
    }

    /// Whether `line`, the next one, can close what is open. It is a quick look, so that a long text is not read again
    /// for each of its lines.
    pub fn may_be_closed_by(&self, line: &str) -> bool {
        match self.unclosed {
            None => true,
            Some('\n') => !line.ends_with('\\'),
            Some(closer) => line.contains(closer),
        }
    }

    /// Moves the span `by` bytes to the right, for an error found in a part of the line.
    pub(super) fn shifted(mut self, by: usize) -> Self {
        self.span = self.span.start + by..self.span.end + by;
        self
    }

    /// The error without what it quotes of the secrets of `source`, which `shown` has overwritten.
    pub fn without_secrets(mut self, source: &str, shown: &str) -> Self {
        // Of what is quoted a character may be replaced, and the end cut off.
        let part = |text: &str| text.as_bytes().get(self.span.clone()).map(<[u8]>::to_vec);
        if part(source) != part(shown) {
            self.message = without_quotes(&self.message, shown);
            self.help = self.help.map(|help| without_quotes(&help, shown));
        }
        self
    }

    /// Formats the error for a terminal, with the line and carets under the offending part.
    ///
    /// Control characters of `source` are replaced, and long lines are cut.
    pub fn report(&self, source: &str) -> String {
        let mut start = self.span.start.min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..]
            .find('\n')
            .map_or(source.len(), |at| start + at);

        // The text before the offending part gets at most half of the excerpt.
        let mut shown_from = start;
        let mut before = 0;
        for (at, c) in source[line_start..start]
            .char_indices()
            .rev()
            .take(MOST_CHARS)
        {
            before += width(c);
            if before > EXCERPT_COLUMNS / 2 {
                break;
            }
            shown_from = line_start + at;
        }

        let mut excerpt = String::new();
        let mut indent = 0;
        let mut carets = 0;
        if shown_from > line_start {
            excerpt.push('…');
            indent += 1;
        }
        let mut columns = indent;
        for (count, (at, c)) in source[shown_from..line_end].char_indices().enumerate() {
            let at = shown_from + at;
            if columns + width(c) > EXCERPT_COLUMNS || count == MOST_CHARS {
                excerpt.push('…');
                break;
            }
            columns += width(c);
            if at < start {
                indent += width(c);
            } else if at < self.span.end {
                carets += width(c);
            }
            excerpt.push(if is_harmful(c) { '·' } else { c });
        }

        let mut report = format!(
            "{}\n  {excerpt}\n  {}{}",
            self.message,
            " ".repeat(indent),
            "^".repeat(carets.max(1))
        );
        if let Some(help) = &self.help {
            report.push_str("\nhelp: ");
            report.push_str(help);
        }
        report
    }
}

/// Cuts a long message and replaces control characters: the message may quote what was typed.
fn tame(message: String) -> String {
    let end = message.char_indices().nth(MESSAGE_CHARS);
    if end.is_none() && !message.contains(is_harmful) {
        return message;
    }
    let shown = end.map_or(message.as_str(), |(end, _)| &message[..end]);
    let mut tame: String = shown
        .chars()
        .map(|c| if is_harmful(c) { '·' } else { c })
        .collect();
    if end.is_some() {
        tame.push('…');
    }
    tame
}

/// `message` with `…` for what it quotes that is not in `shown`.
fn without_quotes(message: &str, shown: &str) -> String {
    let parts = message.split('`').enumerate();
    let parts = parts.map(|(index, part)| match index % 2 {
        1 if part.chars().nth(1).is_some() && !shown.contains(part) => "…",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("`")
}

/// The columns that a character takes in [`SyntaxError::report`].
fn width(c: char) -> usize {
    if is_harmful(c) {
        1
    } else {
        c.width().unwrap_or(0)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SyntaxError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_is_under_the_offending_part() {
        let error = SyntaxError::new("bad", 4..5).help("better");
        assert_eq!(
            error.report("abc déf ghi"),
            "bad\n  abc déf ghi\n      ^\nhelp: better"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_offending_part() {
        let line = format!("{}!{}", "a".repeat(1000), "b".repeat(1000));
        let report = SyntaxError::new("bad", 1000..1001).report(&line);
        let lines: Vec<&str> = report.lines().collect();
        assert!(lines[1].chars().count() < 85, "{report}");
        let caret = lines[2].find('^').expect("a caret");
        assert_eq!(lines[1].chars().nth(caret), Some('!'));
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let report = SyntaxError::new("bad", 0..1).report("a\u{1b}[31m");
        assert!(!report.contains('\u{1b}'), "{report:?}");
    }

    #[test]
    fn an_error_at_the_end_of_the_line_points_after_it() {
        assert_eq!(
            SyntaxError::new("bad", 3..3).report("abc"),
            "bad\n  abc\n     ^"
        );
    }
}
