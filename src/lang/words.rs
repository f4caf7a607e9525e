use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::arguments::Arguments;
use super::key_value;
use super::secret::conceal_words;
use super::tail::{self, Tail};
use super::tokens::{self, Word};
use super::{Object, SyntaxError, Value, Variables};

/// A line split into words, with its text, so that an error can point into it.
#[derive(Debug, Clone)]
pub struct Words {
    source: String,
    spans: Vec<Range<usize>>,
    after: After,
    variables: Option<Arc<Variables>>,
}

/// What follows the words.
#[derive(Debug, Clone)]
enum After {
    Nothing,
    /// A tail that opens at this offset.
    Tail(usize),
    /// A tail of words that a shell has split.
    Words(Vec<Range<usize>>),
}

impl Words {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// A quote or bracket is not closed; see [`SyntaxError::unclosed`].
    pub fn split(line: &str) -> Result<Self, SyntaxError> {
        let mut spans: Vec<_> = tokens::split(line)?.iter().map(Word::span).collect();
        let opens = |span: &mut Range<usize>| tokens::opens_tail(&line[span.clone()]);
        let after = spans.pop_if(opens);
        Ok(Self {
            source: line.to_owned(),
            spans,
            after: after.map_or(After::Nothing, |opener| After::Tail(opener.start)),
            variables: None,
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
        let opens = |span: &Range<usize>| tokens::opens_tail(&source[span.clone()]);
        let after = match spans.iter().position(opens) {
            Some(at) => After::Words(spans.split_off(at)),
            None => After::Nothing,
        };
        Self {
            source,
            spans,
            after,
            variables: None,
        }
    }

    /// The same words, which may name these variables. Without any, a `$` is a `$`.
    pub fn with_variables(mut self, variables: Arc<Variables>) -> Self {
        self.variables = Some(variables);
        self
    }

    /// The same words, which may also name `variable`, whose value is not known yet.
    pub fn assuming(mut self, variable: &str) -> Self {
        let variables = self.variables.get_or_insert_default();
        Arc::make_mut(variables).assume(variable);
        self
    }

    /// Whether they may name variables.
    pub fn has_variables(&self) -> bool {
        self.source.contains('$')
    }

    /// The text that spans refer to.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The words after the first, and what follows them.
    pub fn tail(&self) -> Self {
        Self {
            after: self.after.clone(),
            ..self.part(1..self.spans.len())
        }
    }

    /// The words in this range, or none if there are fewer, without what follows the last.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        Self {
            source: self.source.clone(),
            spans: self.spans.get(range).unwrap_or_default().to_vec(),
            after: After::Nothing,
            variables: self.variables.clone(),
        }
    }

    /// The words before and after the first occurrence of `word`.
    pub fn split_at(&self, word: &str) -> Option<(Self, Self)> {
        let at = self.list().iter().position(|other| other.text == word)?;
        let after = Self {
            after: self.after.clone(),
            ..self.part(at + 1..self.spans.len())
        };
        Some((self.part(0..at), after))
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// That text with its secrets overwritten, byte for byte.
    pub fn concealed(&self) -> Cow<'_, str> {
        conceal_words(&self.source, &self.spans)
    }

    /// The text from the first word to the end of the tail.
    pub fn text(&self) -> &str {
        let start = self.spans.first().map(|first| first.start);
        let (tail, end) = match &self.after {
            After::Nothing => (None, self.spans.last().map_or(0, |last| last.end)),
            After::Tail(start) => (Some(*start), self.source.trim_end().len()),
            After::Words(words) => (words.first().map(|first| first.start), self.source.len()),
        };
        start.or(tail).map_or("", |start| &self.source[start..end])
    }

    /// What follows the words, and whether that ends in `&`.
    pub(super) fn read_tail(&self) -> Result<(Tail, bool), SyntaxError> {
        let variables = self.variables.as_deref();
        match &self.after {
            After::Nothing => Ok(Default::default()),
            After::Tail(start) => tail::read(&self.source, *start, variables),
            After::Words(words) => tail::read_words(&self.source, words, variables),
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
                names.push(word.plain()?);
            }
        }
        Ok((names, arguments.finish()?))
    }

    /// The value of what is one word: a text in quotes, or a bare word, which may be a variable.
    ///
    /// # Errors
    ///
    /// It is not one word, or names a variable that does not exist.
    pub fn value(&self) -> Result<Value, SyntaxError> {
        match &self.list()[..] {
            [word] => key_value::value(word, word.text),
            words => {
                let rest = words
                    .get(1)
                    .map_or(0..0, |second| second.start..self.source.len());
                Err(SyntaxError::new("unexpected text after the value", rest)
                    .help("put a text with spaces in quotes"))
            }
        }
    }

    pub(super) fn list(&self) -> Vec<Word<'_>> {
        let word = |span: &Range<usize>| Word {
            text: &self.source[span.clone()],
            start: span.start,
            variables: self.variables.as_deref(),
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

    /// Whether the next line belongs to it: a quote or bracket is still open at the end, or it ends in a backslash.
    pub fn is_unclosed(&self) -> bool {
        self.open().is_some()
    }

    fn open(&self) -> Option<&SyntaxError> {
        let error = self.words.as_ref().err();
        error.filter(|error| error.unclosed.is_some())
    }
}

/// Splits `text` into lines. A line with an unclosed quote or bracket, or a backslash at its end, continues on the next.
pub fn lines(text: &str) -> Vec<SplitLine> {
    let mut lines = Vec::new();
    let mut rest = text.split('\n');
    while let Some(line) = rest.next() {
        let mut line = SplitLine::new(line.to_owned());
        while let Some(error) = line.open()
            && let Some(more) = rest.next()
        {
            let may_close = error.may_be_closed_by(more);
            line.text.push('\n');
            line.text.push_str(more);
            if may_close {
                line = SplitLine::new(line.text);
            }
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
        assert_eq!(texts("a \\\nb \\\nc\nd"), ["a \\\nb \\\nc", "d"]);
    }
}
