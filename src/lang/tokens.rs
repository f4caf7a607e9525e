//! Splits a line into words.
//!
//! White space separates words, except inside quotes and inside the brackets of a JSON value. A
//! line without quotes and brackets is split exactly as qmp-shell splits it.

use std::borrow::Cow;

use super::literal::{string_end, unescape};
use super::{SyntaxError, Variables};

/// The word that opens a transaction.
pub(super) const OPENS: &str = "transaction(";

/// Built-ins that may be called without a colon. No QMP command has these names.
pub(super) const PLAIN_BUILTINS: [&str; 2] = ["help", "exit"];

/// Built-ins that take the rest of the line as one text in another language, in which nothing is special but `${NAME}`.
/// They read it with [`Words::text`](super::Words::text) and what goes with it.
pub(super) const TEXT_BUILTINS: [&str; 5] = [":assert", ":hmp", ":exec", ":send", ":type"];

/// A word as it was typed, quotes included, and where it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub text: &'a str,
    pub start: usize,
    /// The variables that it may name; without any, a `$` is a `$`.
    pub variables: Option<&'a Variables>,
}

impl<'a> Word<'a> {
    pub fn new(text: &'a str, start: usize) -> Self {
        Self {
            text,
            start,
            variables: None,
        }
    }

    pub fn span(&self) -> std::ops::Range<usize> {
        self.start..self.end()
    }

    /// The text of the word; see [`plain`].
    pub fn plain(&self) -> Result<String, SyntaxError> {
        plain(self.text, self.start, self.variables)
    }

    /// What follows the first `by` in the word.
    pub fn after(&self, by: char) -> Option<Self> {
        let (_, text) = self.text.split_once(by)?;
        let start = self.end() - text.len();
        Some(Self {
            text,
            start,
            ..*self
        })
    }

    /// The offset after the word.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Splits `line`. Splitting stops after a word that opens its tail, because the rest is not in this language.
///
/// # Errors
///
/// A quote or bracket is not closed; a further line may close it.
pub(super) fn split(line: &str) -> Result<Vec<Word<'_>>, SyntaxError> {
    let mut words = Vec::new();
    split_into(line, &mut words)?;
    Ok(words)
}

/// Like [`split`], for a line that is still being typed: a word with an open quote or bracket
/// extends to the end of the line.
pub(super) fn split_open(line: &str) -> Vec<Word<'_>> {
    split_torn(line).0
}

/// The same, and whether the last word is one of these.
pub(super) fn split_torn(line: &str) -> (Vec<Word<'_>>, bool) {
    let mut words = Vec::new();
    let torn = split_into(line, &mut words).is_err();
    if torn {
        let end = words.last().map_or(0, Word::end);
        let rest = line[end..].trim_start();
        words.push(Word::new(rest, line.len() - rest.len()));
    }
    (words, torn)
}

fn split_into<'a>(line: &'a str, words: &mut Vec<Word<'a>>) -> Result<(), SyntaxError> {
    let mut at = 0;
    loop {
        let rest = &line[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if trimmed.is_empty() {
            return Ok(());
        }
        if trimmed.starts_with('#') {
            at += trimmed.find('\n').unwrap_or(trimmed.len());
            continue;
        }
        if let Some(length) = continuation(trimmed, at)? {
            at += length;
            continue;
        }
        let end = word_end(line, at)?;
        let text = &line[at..end];
        words.push(Word::new(text, at));
        if opens_tail(text) {
            return Ok(());
        }
        at = end;
        if TEXT_BUILTINS.contains(&text) {
            words.extend(text_from(line, at));
            return Ok(());
        }
    }
}

/// The rest of the line from this offset on as one word, unless there is nothing.
fn text_from(line: &str, at: usize) -> Option<Word<'_>> {
    let text = line[at..].trim();
    let start = line.trim_end().len() - text.len();
    (!text.is_empty()).then_some(Word::new(text, start))
}

/// The words of a line that is one text, but for an `&` at its end, which is a word of its own.
pub(super) fn split_text(line: &str) -> Vec<Word<'_>> {
    let trimmed = line.trim_end();
    let text = trimmed.strip_suffix('&');
    match text.filter(|text| text.ends_with(char::is_whitespace)) {
        Some(text) => {
            let and = Word::new(&trimmed[text.len()..], text.len());
            text_from(text, 0).into_iter().chain([and]).collect()
        }
        None => text_from(line, 0).into_iter().collect(),
    }
}

/// The length of a backslash at the end of a line, with the line break, if `rest` starts with them. They separate
/// words.
///
/// # Errors
///
/// The line break is missing: the next line belongs to this one.
pub(super) fn continuation(rest: &str, at: usize) -> Result<Option<usize>, SyntaxError> {
    match rest {
        "\\" => Err(SyntaxError::continued(at..at + 1)),
        _ => Ok(rest.starts_with("\\\n").then_some(2)),
    }
}

/// Whether the word opens the tail of a line.
pub(super) fn opens_tail(word: &str) -> bool {
    matches!(word, "|" | ">" | ">>")
}

/// Returns the offset after the word that starts at `start`.
pub(super) fn word_end(line: &str, start: usize) -> Result<usize, SyntaxError> {
    let mut at = start;
    // A value may open at the start of the word and after its first `=`.
    let mut value_at = start;
    let mut key_ended = false;
    while let Some(c) = line[at..].chars().next() {
        let opens_value = value_at == at;
        match c {
            c if c.is_whitespace() => break,
            '\\' if continuation(&line[at..], at)?.is_some() => break,
            '=' if !key_ended => {
                key_ended = true;
                at += 1;
                value_at = at;
            }
            '\'' if opens_value => at = literal_end(line, at)?,
            '"' | '\'' => at = quoted_end(line, at)?,
            '{' | '[' if opens_value => at = brackets_end(line, at)?,
            '{' if opens_json_text(&line[at..]) => at = brackets_end(line, at)?,
            c => at += c.len_utf8(),
        }
    }
    Ok(at)
}

fn quoted_end(line: &str, start: usize) -> Result<usize, SyntaxError> {
    let quote = char::from(line.as_bytes()[start]);
    string_end(line, start).ok_or_else(|| SyntaxError::unclosed(quote, quote, start..start + 1))
}

/// Returns the offset after the closing quote of a `'…'`, in which a backslash is an ordinary
/// character.
fn literal_end(line: &str, start: usize) -> Result<usize, SyntaxError> {
    match line[start + 1..].find('\'') {
        Some(length) => Ok(start + length + 2),
        None => Err(SyntaxError::unclosed('\'', '\'', start..start + 1)),
    }
}

/// Whether a `{` inside a bare word opens JSON, as in `filename=json:{"driver": "null-co"}`.
fn opens_json_text(rest: &str) -> bool {
    rest[1..].trim_start().starts_with(['"', '\''])
}

/// Returns the offset after the bracket that closes the one at `start`. Brackets inside strings are
/// skipped.
fn brackets_end(line: &str, start: usize) -> Result<usize, SyntaxError> {
    let bytes = line.as_bytes();
    let mut open = Vec::new();
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = quoted_end(line, at)?;
                continue;
            }
            b'{' | b'[' => open.push(at),
            b'}' | b']' => {
                let opened = open.pop().expect("the first bracket is on the stack");
                let closer = closer_of(bytes[opened]);
                if char::from(bytes[at]) != closer {
                    return Err(SyntaxError::new(
                        format!(
                            "`{}` does not close the open `{}`",
                            char::from(bytes[at]),
                            char::from(bytes[opened])
                        ),
                        at..at + 1,
                    )
                    .help(format!("close it with `{closer}`")));
                }
                if open.is_empty() {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    let opened = *open.last().expect("the end was not reached otherwise");
    Err(SyntaxError::unclosed(
        char::from(bytes[opened]),
        closer_of(bytes[opened]),
        opened..opened + 1,
    ))
}

fn closer_of(opener: u8) -> char {
    if opener == b'{' { '}' } else { ']' }
}

/// Returns the text of a word or a part of one, without its quotes if it has any, and with the values of its
/// variables.
pub(super) fn plain(
    text: &str,
    at: usize,
    variables: Option<&Variables>,
) -> Result<String, SyntaxError> {
    let quote = match (text.chars().next(), variables) {
        (Some(quote @ ('"' | '\'')), _) => quote,
        (_, Some(variables)) => return variables.text(text, at).map(Cow::into_owned),
        (_, None) => return Ok(text.to_owned()),
    };
    let end = match quote {
        '"' => string_end(text, 0),
        _ => text[1..].find('\'').map(|length| length + 2),
    };
    let Some(end) = end else {
        return Err(SyntaxError::unclosed(quote, quote, at..at + 1));
    };
    if end < text.len() {
        return Err(SyntaxError::new(
            "unexpected text after the closing quote",
            at + end..at + text.len(),
        )
        .help(r#"quotes go around the whole value; inside "…" write \" for a quote"#));
    }
    let inner = &text[1..end - 1];
    match quote {
        '"' => {
            let read = |inner: &str| unescape(inner, quote);
            let Some(variables) = variables else {
                return read(inner).map_err(|error| error.shifted(at + 1));
            };
            // What is wrong in it is reported at its place on the line, so look before anything is replaced.
            read(inner).map_err(|error| error.shifted(at + 1))?;
            read(&variables.quoted(inner, at + 1)?)
        }
        _ => Ok(inner.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        let words = split(line).expect(line);
        words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn white_space_separates_words() {
        assert_eq!(words("  a  b=1\tc=2 \n"), ["a", "b=1", "c=2"]);
        assert_eq!(words(""), Vec::<&str>::new());
    }

    #[test]
    fn quotes_and_brackets_protect_spaces() {
        assert_eq!(words("a b='c d' e"), ["a", "b='c d'", "e"]);
        assert_eq!(words(r#"a b="c \" d" e"#), ["a", r#"b="c \" d""#, "e"]);
        assert_eq!(words(r"a b='c\' d"), ["a", r"b='c\'", "d"]);
        assert_eq!(words("a b={'c': [1, 2]} d"), ["a", "b={'c': [1, 2]}", "d"]);
        assert_eq!(words("a b=[']', 1] d"), ["a", "b=[']', 1]", "d"]);
        assert_eq!(words("a b:=[1, 2] d"), ["a", "b:=[1, 2]", "d"]);
        assert_eq!(
            words(r#"f=json:{"d": "n"} x"#),
            [r#"f=json:{"d": "n"}"#, "x"]
        );
        assert_eq!(words("a b=x'y z' c"), ["a", "b=x'y z'", "c"]);
    }

    #[test]
    fn a_backslash_at_the_end_of_a_line_continues_it() {
        assert_eq!(words("a \\\n b=1\\\nc"), ["a", "b=1", "c"]);
        assert_eq!(words("a b='\\\n' \\x"), ["a", "b='\\\n'", "\\x"]);
        assert_eq!(words("a # b \\"), ["a"]);
        for line in ["a \\", "a b=c\\", "\\"] {
            let error = split(line).expect_err(line);
            assert!(error.unclosed.is_some(), "{line}");
            assert!(error.may_be_closed_by("b") && !error.may_be_closed_by("b \\"));
        }
    }

    #[test]
    fn a_bracket_inside_a_bare_word_is_an_ordinary_character() {
        assert_eq!(
            words("a p=/dev[0 b=c] d={ }"),
            ["a", "p=/dev[0", "b=c]", "d={ }"]
        );
        assert_eq!(words("a b=c{d e"), ["a", "b=c{d", "e"]);
    }

    #[test]
    fn a_hash_comments_out_the_rest_only_at_the_start_of_a_word() {
        assert_eq!(words("a b=c#d # e 'f"), ["a", "b=c#d"]);
        assert_eq!(words("# all\na"), ["a"]);
    }

    #[test]
    fn a_bar_or_arrow_ends_the_command_only_as_a_separate_word() {
        assert_eq!(words("a b=c|d | .x'y"), ["a", "b=c|d", "|"]);
        assert_eq!(words("a b='|' > f'"), ["a", "b='|'", ">"]);
    }

    #[test]
    fn some_built_ins_take_the_rest_of_the_line_as_it_is() {
        assert_eq!(words(":send  don't # | & {  "), [":send", "don't # | & {"]);
        assert_eq!(words(":every 1s :send [a"), [":every", "1s", ":send", "[a"]);
        assert_eq!(words(":send "), [":send"]);
        assert_eq!(words("a b=:send c"), ["a", "b=:send", "c"]);
    }

    #[test]
    fn an_unclosed_quote_or_bracket_is_reported_with_what_closes_it() {
        for (line, closer, at) in [
            ("a b='c", '\'', 4),
            ("a b=\"c\\\"", '"', 4),
            ("a b={'c': [1", ']', 10),
            ("a b={'c", '\'', 5),
            ("{", '}', 0),
            ("don't", '\'', 3),
        ] {
            let error = split(line).expect_err(line);
            assert_eq!(
                (error.unclosed, error.span.start),
                (Some(closer), at),
                "{line}"
            );
        }
    }

    #[test]
    fn a_mismatched_bracket_is_not_reported_as_unclosed() {
        let error = split("a b=[1}").expect_err("a wrong bracket");
        assert_eq!(error.unclosed, None);
        assert_eq!(error.message, "`}` does not close the open `[`");
    }
}
