use std::borrow::Cow;
use std::ops::Range;

use super::arguments::Arguments;
use super::key_value;
use super::secret::conceal_words;
use super::tokens::{self, Word, plain};
use super::{Object, SyntaxError};

/// A line split into words, with its text, so that an error can point into it.
#[derive(Debug, Clone)]
pub struct Words {
    source: String,
    spans: Vec<Range<usize>>,
}

impl Words {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// A quote or bracket is not closed; see [`SyntaxError::unclosed`].
    pub fn split(line: &str) -> Result<Self, SyntaxError> {
        let spans = tokens::split(line)?.iter().map(Word::span).collect();
        Ok(Self {
            source: line.to_owned(),
            spans,
        })
    }

    /// Takes words that a shell has already split.
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

    /// The text that spans refer to.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The words after the first.
    pub fn tail(&self) -> Self {
        self.part(1..self.spans.len())
    }

    /// The words in this range, or none if there are fewer.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        Self {
            source: self.source.clone(),
            spans: self.spans.get(range).unwrap_or_default().to_vec(),
        }
    }

    /// The words before and after the first occurrence of `word`.
    pub fn split_at(&self, word: &str) -> Option<(Self, Self)> {
        let at = self.list().iter().position(|other| other.text == word)?;
        Some((self.part(0..at), self.part(at + 1..self.spans.len())))
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The last word.
    pub fn last(&self) -> Option<&str> {
        Some(&self.source[self.spans.last()?.clone()])
    }

    /// That text with its secrets overwritten, byte for byte.
    pub fn concealed(&self) -> Cow<'_, str> {
        conceal_words(&self.source, &self.spans)
    }

    /// The text from the first word to the last.
    pub fn text(&self) -> &str {
        match (self.spans.first(), self.spans.last()) {
            (Some(first), Some(last)) => &self.source[first.start..last.end],
            _ => "",
        }
    }

    /// Reads conditions on events: plain words, and `key=value` for the data. A word that starts with
    /// `--` is a plain word.
    ///
    /// # Errors
    ///
    /// As for a command's arguments.
    pub fn conditions(&self) -> Result<(Vec<String>, Object), SyntaxError> {
        let mut names = Vec::new();
        let mut arguments = Arguments::default();
        for word in self.list() {
            if word.text.contains('=') && !word.text.starts_with("--") {
                let (key, value) = key_value::read(&word)?;
                arguments.set(key, value, word.start..word.start + key.len())?;
            } else {
                names.push(plain(word.text, word.start)?);
            }
        }
        Ok((names, arguments.finish()?))
    }

    pub(super) fn list(&self) -> Vec<Word<'_>> {
        let word = |span: &Range<usize>| Word {
            text: &self.source[span.clone()],
            start: span.start,
        };
        self.spans.iter().map(word).collect()
    }
}

/// The text of a line, and its words.
#[derive(Debug, Clone)]
pub struct SplitLine {
    pub text: String,
    pub words: Result<Words, SyntaxError>,
}

impl SplitLine {
    fn new(text: String) -> Self {
        let words = Words::split(&text);
        Self { text, words }
    }

    /// Whether there is nothing in it, or only a comment.
    pub fn is_blank(&self) -> bool {
        self.words.as_ref().is_ok_and(Words::is_empty)
    }

    /// Whether a quote or bracket is still open at the end.
    pub fn is_unclosed(&self) -> bool {
        let error = self.words.as_ref().err();
        error.is_some_and(|error| error.unclosed.is_some())
    }
}

/// Splits `text` into lines. A line with an unclosed quote or bracket continues on the next.
pub fn lines(text: &str) -> Vec<SplitLine> {
    let mut lines = Vec::new();
    let mut rest = text.split('\n');
    while let Some(line) = rest.next() {
        let mut line = SplitLine::new(line.to_owned());
        while line.is_unclosed()
            && let Some(more) = rest.next()
        {
            line = SplitLine::new(line.text + "\n" + more);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    #[test]
    fn conditions_are_plain_words_and_members() {
        let words =
            Words::split("STOP,RESUME id=j deep.a=1 --timeout 5 do stop a=b").expect("words");
        let (condition, line) = words.split_at("do").expect("it is there");
        let (names, members) = condition.conditions().expect("a condition");
        assert_eq!(names, ["STOP,RESUME", "--timeout", "5"]);
        assert_eq!(
            Value::Object(members).to_json(),
            r#"{"id":"j","deep":{"a":1}}"#
        );
        assert_eq!(line.text(), "stop a=b");
        assert!(line.split_at("do").is_none());
    }

    #[test]
    fn a_line_ends_only_where_no_quote_or_bracket_is_open() {
        let texts = |text| {
            let lines = lines(text).into_iter();
            lines.map(|line| line.text).collect::<Vec<_>>()
        };
        assert_eq!(texts("a\nb c={\n1:2}\nd"), ["a", "b c={\n1:2}", "d"]);
        assert_eq!(texts("a 'b\nc"), ["a 'b\nc"]);
    }
}
