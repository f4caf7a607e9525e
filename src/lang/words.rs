use std::ops::Range;

use super::SyntaxError;
use super::literal::{string_end, unescape};
use super::tokens::{self, Word};

/// A line split into words, with the text it came from, so that an error can point at it.
#[derive(Debug, Clone)]
pub struct Words {
    source: String,
    spans: Vec<Range<usize>>,
}

impl Words {
    /// Splits a line as it was typed.
    ///
    /// # Errors
    ///
    /// An unclosed quote or bracket; see [`SyntaxError::unclosed`].
    pub fn split(line: &str) -> Result<Self, SyntaxError> {
        let spans = tokens::split(line)?.iter().map(Word::span).collect();
        Ok(Self {
            source: line.to_owned(),
            spans,
        })
    }

    /// Takes the words of a command line, which a shell has split already.
    pub fn from_args<S: AsRef<str>>(args: &[S]) -> Self {
        let mut source = String::new();
        let mut spans = Vec::new();
        for arg in args {
            if !spans.is_empty() {
                source.push(' ');
            }
            let start = source.len();
            source.push_str(arg.as_ref());
            spans.push(start..source.len());
        }
        Self { source, spans }
    }

    /// The text that the words' places refer to.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The words without the first one, of the same text.
    pub fn tail(&self) -> Self {
        Self {
            source: self.source.clone(),
            spans: self.spans.iter().skip(1).cloned().collect(),
        }
    }

    pub(super) fn list(&self) -> Vec<Word<'_>> {
        let word = |span: &Range<usize>| Word {
            text: &self.source[span.clone()],
            start: span.start,
        };
        self.spans.iter().map(word).collect()
    }
}

/// Whether a quote or bracket is open at the end of `text`.
pub fn is_unclosed(text: &str) -> bool {
    tokens::split(text).is_err_and(|error| error.unclosed.is_some())
}

/// The lines of `text`, each with those that an unclosed quote or bracket goes on in.
pub fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.split('\n');
    while let Some(line) = rest.next() {
        let mut line = line.to_owned();
        while is_unclosed(&line)
            && let Some(more) = rest.next()
        {
            line.push('\n');
            line.push_str(more);
        }
        lines.push(line);
    }
    lines
}

/// The text of a word: what its quotes delimit, or the word itself.
pub(super) fn plain(text: &str, at: usize) -> Result<String, SyntaxError> {
    let quote = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => quote,
        _ => return Ok(text.to_owned()),
    };
    let end = match quote {
        '"' => string_end(text, 0),
        _ => text[1..].find('\'').map(|length| length + 2),
    };
    let Some(end) = end else {
        return Err(SyntaxError::unclosed(quote, quote, at..at + 1));
    };
    if end < text.len() {
        return Err(
            SyntaxError::new("text behind the closing quote", at + end..at + text.len())
                .help(r#"a quote delimits the whole value; inside "…" write \" for one"#),
        );
    }
    let inner = &text[1..end - 1];
    match quote {
        '"' => unescape(inner, quote).map_err(|error| error.shifted(at + 1)),
        _ => Ok(inner.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_lines_where_nothing_is_open() {
        assert_eq!(lines("a\nb c={\n1:2}\nd"), ["a", "b c={\n1:2}", "d"]);
        assert_eq!(lines("a 'b\nc"), ["a 'b\nc"]);
    }
}
