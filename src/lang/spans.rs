//! Splits a line into parts that the prompt colours while it is typed.

use std::ops::Range;

use super::cursor::is_builtin;
use super::tokens;

/// A part of a line, to be coloured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where it is, in bytes.
    pub range: Range<usize>,
    /// What it is.
    pub kind: SpanKind,
}

/// What a part of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// The name of a command or an action.
    Command,
    /// A built-in's name, with its colon if it has one.
    Builtin,
    /// A dotted key, without its `=`.
    Key,
    /// A value, JSON or not.
    Value,
    /// From `#` to the end of the line.
    Comment,
}

/// Returns the parts of `line` that have a colour.
pub fn spans(line: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut first = true;
    let words = tokens::split_open(line);
    let mut end = 0;
    let mut has_own_words = false;
    for word in &words {
        comment(line, end..word.start, &mut spans);
        end = word.end();
        if word.text == "transaction(" {
            spans.push(Span {
                range: word.span(),
                kind: SpanKind::Command,
            });
            continue;
        }
        if first {
            first = false;
            has_own_words = is_builtin(word);
            let kind = match word.text.chars().next() {
                Some('{') => SpanKind::Value,
                _ if has_own_words => SpanKind::Builtin,
                _ => SpanKind::Command,
            };
            if word.text != ")" {
                spans.push(Span {
                    range: word.span(),
                    kind,
                });
            }
            continue;
        }
        if has_own_words || word.text.starts_with('<') {
            continue;
        }
        if let Some((key, _)) = word.text.split_once('=') {
            let value_at = word.start + key.len() + 1;
            let key = key.strip_suffix(':').unwrap_or(key);
            spans.push(Span {
                range: word.start..word.start + key.len(),
                kind: SpanKind::Key,
            });
            spans.push(Span {
                range: value_at..word.end(),
                kind: SpanKind::Value,
            });
        }
    }
    // The tail is not in this language.
    if words
        .last()
        .is_none_or(|last| !tokens::opens_tail(last.text))
    {
        comment(line, end..line.len(), &mut spans);
    }
    spans
}

/// Adds the comment between two words, if there is one. The rest between them is white space.
fn comment(line: &str, between: Range<usize>, spans: &mut Vec<Span>) {
    if let Some(at) = line[between.clone()].find('#') {
        spans.push(Span {
            range: between.start + at..between.end,
            kind: SpanKind::Comment,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_no_colour_of_ours() {
        let parts = spans("cmd a=1 | .x=\"# b=2\" > f");
        assert_eq!(parts.last().map(|span| span.range.end), Some(7));
    }

    #[test]
    fn a_line_is_split_into_coloured_parts() {
        let line = "cmd a.b='x y' c:=[1] # why";
        let parts = spans(line).into_iter();
        let parts: Vec<_> = parts.map(|span| (&line[span.range], span.kind)).collect();
        assert_eq!(
            parts,
            [
                ("cmd", SpanKind::Command),
                ("a.b", SpanKind::Key),
                ("'x y'", SpanKind::Value),
                ("c", SpanKind::Key),
                ("[1]", SpanKind::Value),
                ("# why", SpanKind::Comment),
            ]
        );
    }
}
