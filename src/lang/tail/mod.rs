//! The end of a line, after its words: `[| FILTER] [| !CMD] [> FILE] [&]`.
//!
//! It is not in this language: a filter is a jq program, and CMD is a shell's. Bars and arrows count only as words of their
//! own, outside jq's quotes and brackets.

mod parts;
mod scan;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::tokens::plain;
use super::{SyntaxError, Variables};

use parts::{Parts, parts};

/// What becomes of what a line shows.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// `| FILTER`: a jq program that the value runs through.
    pub filter: Option<FilterText>,
    /// `| !CMD`: a program that it is piped through, for `sh -c`.
    pub program: Option<String>,
    /// `> FILE`, `>> FILE`: where it is written.
    pub file: Option<Redirection>,
}

/// A jq program in a line.
#[derive(Debug, Clone)]
pub struct FilterText {
    /// The program.
    pub text: String,
    /// Where it is in `source`, in bytes.
    pub at: usize,
    /// The whole line.
    pub source: Arc<str>,
}

/// A file to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// Its path, as written.
    pub path: PathBuf,
    /// `>>`: keep what is in it.
    pub appends: bool,
}

impl Tail {
    /// Whether there is neither a filter nor a program nor a file.
    pub fn is_empty(&self) -> bool {
        self.filter.is_none() && self.program.is_none() && self.file.is_none()
    }
}

impl FilterText {
    /// A filter that is not part of a line.
    pub fn alone(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            at: 0,
            source: text.into(),
        }
    }

    /// What is wrong with the part of the filter at `span`.
    pub fn error(&self, message: impl Into<String>, span: Range<usize>) -> SyntaxError {
        let before = self.text.get(..span.start).unwrap_or_default();
        let mut words = before
            .split_whitespace()
            .rev()
            .take_while(|word| *word != "|");
        let error = SyntaxError::new(message, span.clone());
        let error = match words.any(is_arrow) {
            true => error.help(
                "`> FILE` ends a line, with one name; put a name with spaces in quotes, and a comparison in parentheses",
            ),
            false => error,
        };
        error.shifted(self.at)
    }
}

/// The longest filter, in bytes.
const LONGEST: usize = 64 << 10;

/// Checks that the tail that opens at `start` is complete.
///
/// # Errors
///
/// A quote or bracket in it is not closed, or the next line belongs to it.
pub(super) fn check(line: &str, start: usize) -> Result<(), SyntaxError> {
    parts(line, start).map(drop)
}

/// Reads the tail that opens at `start`, and whether it ends in `&`.
///
/// # Errors
///
/// As for [`check`]; or a part is missing, or there is one too many.
pub(super) fn read(
    line: &str,
    start: usize,
    variables: Option<&Variables>,
) -> Result<(Tail, bool), SyntaxError> {
    let parts = parts(line, start)?;
    build(line, start, parts, variables)
}

/// The same for words that a shell has split: the first opens the tail.
///
/// # Errors
///
/// As for [`read`].
pub(super) fn read_words(
    source: &str,
    words: &[Range<usize>],
    variables: Option<&Variables>,
) -> Result<(Tail, bool), SyntaxError> {
    let text = |at: usize| words.get(at).map_or("", |span| &source[span.clone()]);
    let mut parts = Parts::default();
    let mut end = words.len();
    let opens_program = |at: &usize| text(*at) == "|" && text(at + 1).starts_with('!');
    if let Some(at) = (0..end).find(opens_program) {
        parts.program = Some(words[at + 1].start + 1);
        end = at;
    } else {
        if end > 1 && text(end - 1) == "&" {
            parts.background = true;
            end -= 1;
        }
        if end > 1 && is_arrow(text(end - 2)) {
            parts.file = Some((words[end - 2].clone(), words[end - 1].clone()));
            end -= 2;
        }
    }
    if end > 0 && text(0) == "|" {
        let filter_start = words[0].end;
        parts.filter = Some(filter_start..words[end - 1].end);
    }
    build(source, words[0].start, parts, variables)
}

fn build(
    line: &str,
    start: usize,
    parts: Parts,
    variables: Option<&Variables>,
) -> Result<(Tail, bool), SyntaxError> {
    let mut tail = Tail::default();
    if let Some(range) = parts.filter {
        let text = &line[range.clone()];
        if text.trim().is_empty() {
            return Err(
                SyntaxError::new("a filter is missing after `|`", start..start + 1)
                    .help("write | FILTER, a jq program, or | !CMD"),
            );
        }
        if text.len() > LONGEST {
            let message = format!("the filter is longer than {} KiB", LONGEST >> 10);
            return Err(SyntaxError::new(message, start..start + 1));
        }
        tail.filter = Some(FilterText {
            // Of the same length, so that places in it stay where they are.
            text: text.replace("\\\n", " \n"),
            at: range.start,
            source: line.into(),
        });
    }
    if let Some(at) = parts.program {
        let text = line[at..].trim();
        if text.is_empty() {
            return Err(SyntaxError::new(
                "a program is missing after `| !`",
                at - 1..at,
            ));
        }
        tail.program = Some(text.to_owned());
    }
    if let Some((arrow, path)) = parts.file {
        let text = plain(&line[path.clone()], path.start, variables)?;
        if text.is_empty() {
            return Err(SyntaxError::new("the name of the file is empty", path));
        }
        if tail.filter.is_some() && text.parse::<f64>().is_ok() {
            let message = format!("`> {text}` at the end names a file");
            return Err(SyntaxError::new(message, arrow.start..path.end).help(format!(
                "to compare, put the comparison in parentheses; to write such a file, write > ./{text}"
            )));
        }
        tail.file = Some(Redirection {
            path: text.into(),
            appends: arrow.len() == 2,
        });
    }
    if tail.is_empty() {
        let arrow = line[start..].split_whitespace().next().unwrap_or_default();
        let span = start..start + arrow.len();
        return Err(
            SyntaxError::new(format!("one file is expected after `{arrow}`"), span)
                .help("put a name with spaces in quotes"),
        );
    }
    Ok((tail, parts.background))
}

fn is_arrow(word: &str) -> bool {
    matches!(word, ">" | ">>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Line, Parser, Statement, Words};

    fn parse(line: &str) -> Result<Line, SyntaxError> {
        Parser::default().parse(&Words::split(line)?)
    }

    /// The parts of a line's tail: filter, program, file, `&`.
    fn tail(line: &str) -> [String; 4] {
        shown(&parse(line).expect(line))
    }

    fn shown(line: &Line) -> [String; 4] {
        let Tail {
            filter,
            program,
            file,
        } = &*line.tail;
        let file = file.as_ref().map(|file| {
            let arrow = if file.appends { ">>" } else { ">" };
            format!("{arrow}{}", file.path.display())
        });
        [
            filter
                .as_ref()
                .map_or(String::new(), |filter| filter.text.trim().to_owned()),
            program.clone().unwrap_or_default(),
            file.unwrap_or_default(),
            if line.background { "&" } else { "" }.to_owned(),
        ]
    }

    #[test]
    fn what_follows_the_first_bar_is_one_filter() {
        for (line, parts) in [
            ("c a=1 | .x", [".x", "", "", ""]),
            ("c | .[] | .y|.z", [".[] | .y|.z", "", "", ""]),
            ("c | .[] &", [".[]", "", "", "&"]),
            ("c | . > f", [".", "", ">f", ""]),
            ("c | . >> 'a b' &", [".", "", ">>a b", "&"]),
            ("c > f", ["", "", ">f", ""]),
            ("c >> f & ", ["", "", ">>f", "&"]),
            ("c > f # why", ["", "", ">f", ""]),
            ("c | (.a > 5)", ["(.a > 5)", "", "", ""]),
            ("c | select(.a > 5 ) > f", ["select(.a > 5 )", "", ">f", ""]),
            ("c | .a > 5 | not", [".a > 5 | not", "", "", ""]),
            ("c | \"> f | !x\"", ["\"> f | !x\"", "", "", ""]),
            (
                r#"c | "a\(.b | "> \(1)" ) > c" > f"#,
                [r#""a\(.b | "> \(1)" ) > c""#, "", ">f", ""],
            ),
            ("c | !less", ["", "less", "", ""]),
            (
                "c | .x | ! grep 'a > b' | tail > f",
                [".x", "grep 'a > b' | tail > f", "", ""],
            ),
            ("c | .a # why", [".a", "", "", ""]),
            (
                "c | {a: 1, # \"\n b: 2}",
                ["{a: 1, # \"\n b: 2}", "", "", ""],
            ),
            ("c | .a \\\n | .b", [".a  \n | .b", "", "", ""]),
            ("c | .a != 1", [".a != 1", "", "", ""]),
            ("{'execute': 'c'} | .x", [".x", "", "", ""]),
            ("transaction( a x=1 ) | .x > f", [".x", "", ">f", ""]),
        ] {
            assert_eq!(tail(line), parts, "{line}");
        }
    }

    #[test]
    fn words_that_a_shell_has_split_are_not_split_again() {
        for (args, parts) in [
            (&["c", "|", ".[] | .x"][..], [".[] | .x", "", "", ""]),
            (&["c", "|", ".a > 5"], [".a > 5", "", "", ""]),
            (&["c", "|", ".a", ">", "a b"], [".a", "", ">a b", ""]),
            (&["c", ">>", "f", "&"], ["", "", ">>f", "&"]),
            (&["c", "|", "!less"], ["", "less", "", ""]),
            (&["c", "|", ".a", "|", "!wc -l"], [".a", "wc -l", "", ""]),
        ] {
            let line = Parser::default().parse(&Words::from_args(args));
            assert_eq!(shown(&line.expect("a line")), parts, "{args:?}");
        }
    }

    #[test]
    fn a_built_in_and_the_line_in_it_have_the_tail() {
        let line = parse(":every 1s c | .x > f").expect("a line");
        assert_eq!(shown(&line), [".x", "", ">f", ""]);
        let Statement::Builtin(builtin) = line.statement else {
            panic!("a built-in");
        };
        let inner = Parser::default().parse(&builtin.words.tail());
        assert_eq!(shown(&inner.expect("a line")), [".x", "", ">f", ""]);
        assert_eq!(builtin.args().expect("plain words"), ["1s", "c"]);
        assert_eq!(builtin.words.text(), "1s c | .x > f");
    }

    #[test]
    fn an_open_bracket_or_string_continues_on_the_next_line() {
        for line in [
            "c | (.a",
            "c | \"a",
            "c | {a: [",
            "c | .a \\",
            "c | !a \\",
            "c | \"\\(1",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.unclosed.is_some(), "{line}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        for (line, message) in [
            ("c |", "a filter is missing after `|`"),
            ("c | > f", "a filter is missing after `|`"),
            ("c >", "one file is expected after `>`"),
            ("c >> a b", "one file is expected after `>>`"),
            ("c | !", "a program is missing after `| !`"),
            ("c > ''", "the name of the file is empty"),
            ("c | .a > 5", "`> 5` at the end names a file"),
            ("| .x", "expected a command first"),
            (
                "transaction( a | .x",
                "a filter, `>` and `| !` may only follow the `)` of a transaction",
            ),
        ] {
            assert_eq!(parse(line).expect_err(line).message, message, "{line}");
        }
        let deep = format!("c | {}", "(".repeat(100_000));
        assert!(
            parse(&deep)
                .expect_err("deep")
                .message
                .contains("nested more")
        );
    }
}
