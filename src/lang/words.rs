use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::secret::conceal_words;
use super::tail::{self, FilterText, Tail};
use super::tokens::{self, OPENS, PLAIN_BUILTINS, Word};
use super::{Aliases, Language, SyntaxError, Value, Variables, key_value};

/// A line split into words, with its text, so that an error can point into it.
#[derive(Debug, Clone)]
pub struct Words {
    source: String,
    spans: Vec<Range<usize>>,
    /// A shell has split them, so they have no quotes around them.
    given: bool,
    after: After,
    variables: Option<Arc<Variables>>,
    aliases: Option<Arc<Aliases>>,
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
        let mut words = tokens::split(line)?;
        let opener = words.pop_if(|word| tokens::opens_tail(word.text));
        if let Some(opener) = opener {
            tail::check(line, opener.start)?;
        }
        Ok(Self {
            after: opener.map_or(After::Nothing, |opener| After::Tail(opener.start)),
            ..Self::of(line, &words)
        })
    }

    /// Splits a line in which `language` is spoken.
    ///
    /// # Errors
    ///
    /// As for [`Words::split`].
    pub fn split_in(line: &str, language: &Language) -> Result<Self, SyntaxError> {
        let first = line.split_whitespace().next().unwrap_or_default();
        let is_ours = first.starts_with([':', '#']) || PLAIN_BUILTINS.contains(&first);
        match language {
            Language::Text(_) if !is_ours => Ok(Self::of(line, &tokens::split_text(line))),
            _ => Self::split(line),
        }
    }

    /// These words of a line, after which nothing follows.
    fn of(line: &str, words: &[Word<'_>]) -> Self {
        Self {
            source: line.to_owned(),
            spans: words.iter().map(Word::span).collect(),
            given: false,
            after: After::Nothing,
            variables: None,
            aliases: None,
        }
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
            given: true,
            after,
            variables: None,
            aliases: None,
        }
    }

    /// The same words, which may name these variables. Without any, a `$` is a `$`.
    pub fn with_variables(mut self, variables: Arc<Variables>) -> Self {
        self.variables = Some(variables);
        self
    }

    /// The same words, which may begin with one of these aliases. Without any, they never do.
    pub fn with_aliases(mut self, aliases: Arc<Aliases>) -> Self {
        self.aliases = Some(aliases);
        self
    }

    /// The same words, in which nothing stands for anything else: no variable, no alias.
    pub fn literal(mut self) -> Self {
        self.variables = None;
        self.aliases = None;
        self
    }

    /// The same words with the variables of `other`, and these aliases.
    pub(super) fn named_as(mut self, other: &Self, aliases: Aliases) -> Self {
        self.variables = other.variables.clone();
        self.aliases = Some(Arc::new(aliases));
        self
    }

    /// The aliases that they may begin with. Words that a shell has split have none.
    pub(super) fn aliases(&self) -> Option<&Aliases> {
        self.aliases.as_deref().filter(|_| !self.given)
    }

    /// The same words, which may also name `variable`, whose value is not known yet.
    pub fn assuming(mut self, variable: &str) -> Self {
        let variables = self.variables.get_or_insert_default();
        Arc::make_mut(variables).assume(variable);
        self
    }

    /// Whether they may name variables.
    pub(super) fn has_variables(&self) -> bool {
        self.source.contains('$')
    }

    /// The text that spans refer to.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The words as plain text, with quotes removed.
    ///
    /// # Errors
    ///
    /// A closing quote is followed by more text.
    pub fn plain(&self) -> Result<Vec<String>, SyntaxError> {
        self.list().iter().map(Word::plain).collect()
    }

    /// Whether the last word opens a transaction, and what stands before it.
    pub fn before_transaction(&self) -> Option<Self> {
        let last = self.list().last().map(|word| word.text)?;
        (last == OPENS).then(|| self.part(0..self.spans.len() - 1))
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The word with this index, as typed.
    pub fn word(&self, index: usize) -> Option<&str> {
        self.spans.get(index).map(|span| &self.source[span.clone()])
    }

    /// Where the word with this index is in the source; an empty range if there is none.
    pub fn span(&self, index: usize) -> Range<usize> {
        self.spans.get(index).cloned().unwrap_or_default()
    }

    /// The first word, as typed.
    pub fn first(&self) -> Option<&str> {
        self.word(0)
    }

    /// The words as they are, if a shell has split them and there are several.
    pub fn given(&self) -> Option<impl Iterator<Item = &str>> {
        let several = self.given && self.spans.len() > 1;
        several.then(|| self.spans.iter().map(|span| &self.source[span.clone()]))
    }

    /// The words after the first, and what follows them.
    pub fn tail(&self) -> Self {
        Self {
            after: self.after.clone(),
            ..self.part(1..self.spans.len())
        }
    }

    /// The words in this range, or none if there are fewer; with what follows them if the last one is among them.
    pub fn part(&self, range: Range<usize>) -> Self {
        let after = match range.end == self.spans.len() {
            true => self.after.clone(),
            false => After::Nothing,
        };
        Self {
            source: self.source.clone(),
            spans: self.spans.get(range).unwrap_or_default().to_vec(),
            given: self.given,
            after,
            variables: self.variables.clone(),
            aliases: self.aliases.clone(),
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

    /// Whether there are no words.
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

    /// The text from the first word to the end of the tail.
    pub fn text(&self) -> &str {
        let end = match &self.after {
            After::Nothing => self.spans.last().map_or(0, |last| last.end),
            After::Tail(_) => self.source.trim_end().len(),
            After::Words(_) => self.source.len(),
        };
        &self.source[self.text_start().min(end)..end]
    }

    /// That text as a filter, which may be in single quotes.
    pub fn as_filter(&self) -> FilterText {
        let text = self.text();
        let quoted = text
            .strip_prefix('\'')
            .and_then(|text| text.strip_suffix('\''));
        FilterText {
            text: quoted.unwrap_or(text).to_owned(),
            at: self.text_start() + usize::from(quoted.is_some()),
            source: self.source.as_str().into(),
        }
    }

    /// Where that text starts in the source.
    fn text_start(&self) -> usize {
        let first = self.spans.first().map(|first| first.start);
        let tail = match &self.after {
            After::Nothing => None,
            After::Tail(start) => Some(*start),
            After::Words(words) => words.first().map(|first| first.start),
        };
        first.or(tail).unwrap_or_default()
    }

    /// The filter that follows the words, if there is one.
    ///
    /// # Errors
    ///
    /// What follows them is incomplete.
    pub fn filter(&self) -> Result<Option<FilterText>, SyntaxError> {
        Ok(self.read_tail()?.0.filter)
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

    /// The text from the first word to the end, which is in another language, with the values of the variables that it
    /// names as `${NAME}`.
    ///
    /// # Errors
    ///
    /// It names a variable that does not exist.
    pub fn foreign_text(&self) -> Result<String, SyntaxError> {
        self.with_values(self.text(), |text| Ok(text.to_owned()))
    }

    /// A part of that text with the values of its variables. `read` reads what is between them.
    ///
    /// # Errors
    ///
    /// It names a variable that does not exist, or `read` fails.
    pub fn with_values(
        &self,
        part: &str,
        read: impl Fn(&str) -> Result<String, SyntaxError>,
    ) -> Result<String, SyntaxError> {
        // For the place of an error; a part may have been written in another way.
        let found = self.source.find(part);
        match &self.variables {
            Some(variables) => variables.braced(part, found.unwrap_or(0), read),
            None => read(part),
        }
    }

    /// Splits at each occurrence of one of `markers`: the words before the first, and those after each, with the marker
    /// before them.
    pub fn split_all<'a>(&self, markers: &[&'a str]) -> (Self, Vec<(&'a str, Self)>) {
        let list = self.list();
        let found = |word: &Word<'_>| markers.iter().copied().find(|marker| *marker == word.text);
        let at: Vec<(usize, &str)> = list
            .iter()
            .enumerate()
            .filter_map(|(at, word)| found(word).map(|marker| (at, marker)))
            .collect();
        let ends = at.iter().skip(1).map(|(at, _)| *at).chain([list.len()]);
        let first = at.first().map_or(list.len(), |(at, _)| *at);
        let parts = at.iter().zip(ends);
        let parts = parts.map(|((at, marker), end)| (*marker, self.part(at + 1..end)));
        (self.part(0..first), parts.collect())
    }

    /// Removes the option `name` and its value, given as `name VALUE` or `name=VALUE`, and returns the value.
    ///
    /// # Errors
    ///
    /// The value is missing.
    pub fn take_option(&mut self, name: &str) -> Result<Option<String>, SyntaxError> {
        let is_it = |word: &Word<'_>| {
            let rest = word.text.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        let list = self.list();
        let Some(at) = list.iter().position(is_it) else {
            return Ok(None);
        };
        let (value, count) = match (list[at].after('='), list.get(at + 1)) {
            (Some(value), _) => (value.plain()?, 1),
            (None, Some(next)) => (next.plain()?, 2),
            (None, None) => {
                let missing = format!("`{name}` needs a value");
                return Err(SyntaxError::new(missing, list[at].span()));
            }
        };
        self.spans.drain(at..at + count);
        Ok(Some(value))
    }

    /// Removes the option `name`, which takes no value. Returns whether it was there.
    pub fn take_flag(&mut self, name: &str) -> bool {
        let at = self.list().iter().position(|word| word.text == name);
        if let Some(at) = at {
            self.spans.remove(at);
        }
        at.is_some()
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
    /// The line as it was typed; several rows if a quote or bracket spans them.
    pub text: String,
    /// Its words, or why it has none.
    pub words: Result<Words, SyntaxError>,
}

impl SplitLine {
    fn new(text: String, language: &Language) -> Self {
        let words = Words::split_in(&text, language);
        Self { text, words }
    }

    /// Whether there is nothing in it, or only a comment.
    pub fn is_blank(&self) -> bool {
        self.words.as_ref().is_ok_and(Words::is_empty)
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

/// Splits `text`, in which `language` is spoken, into lines. A line with an unclosed quote or bracket, or a backslash at
/// its end, continues on the next.
pub fn lines(text: &str, language: &Language) -> Vec<SplitLine> {
    let mut lines = Vec::new();
    let mut rest = text.split('\n');
    while let Some(line) = rest.next() {
        let mut line = SplitLine::new(line.to_owned(), language);
        while let Some(error) = line.open()
            && let Some(more) = rest.next()
        {
            let may_close = error.may_be_closed_by(more);
            line.text.push('\n');
            line.text.push_str(more);
            if may_close {
                line = SplitLine::new(line.text, language);
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_markers() {
        let words = Words::split("A a=1 --or B --fail C --or").expect("words");
        let (first, parts) = words.split_all(&["--or", "--fail"]);
        let parts: Vec<_> = parts.iter().map(|(m, part)| (*m, part.text())).collect();
        assert_eq!(first.text(), "A a=1");
        assert_eq!(parts, [("--or", "B"), ("--fail", "C"), ("--or", "")]);
        let (condition, line) = words.split_at("--or").expect("it is there");
        assert_eq!(
            (condition.text(), line.text()),
            ("A a=1", "B --fail C --or")
        );
        assert!(line.split_at("do").is_none());
    }

    #[test]
    fn an_option_is_removed_with_its_value() {
        let mut words = Words::split("A --timeout 5 B").expect("words");
        assert_eq!(words.take_option("--timeout"), Ok(Some("5".to_owned())));
        let left: Vec<&str> = words.list().iter().map(|word| word.text).collect();
        assert_eq!(left, ["A", "B"]);
        assert_eq!(words.take_option("--timeout"), Ok(None));
        let mut words = Words::split("--timeout='5' --once").expect("words");
        assert_eq!(words.take_option("--timeout"), Ok(Some("5".to_owned())));
        assert!(words.take_flag("--once") && !words.take_flag("--once"));
        let mut words = Words::split("A --timeout").expect("words");
        assert!(words.take_option("--timeout").is_err());
    }

    #[test]
    fn a_line_ends_only_where_no_quote_or_bracket_is_open() {
        let texts = |text| {
            let lines = lines(text, &Language::default()).into_iter();
            lines.map(|line| line.text).collect::<Vec<_>>()
        };
        assert_eq!(texts("a\nb c={\n1:2}\nd"), ["a", "b c={\n1:2}", "d"]);
        assert_eq!(texts("a 'b\nc"), ["a 'b\nc"]);
        assert_eq!(texts("a \\\nb \\\nc\nd"), ["a \\\nb \\\nc", "d"]);
    }
}
