//! A line in parts, for colouring it while it is typed.

use std::ops::Range;

use super::outline::is_builtin;
use super::tokens;

/// A part of a line, for colouring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub span: Range<usize>,
    pub kind: PieceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// A command's name, or an action's.
    Command,
    /// A built-in's name, with its colon if it has one.
    Builtin,
    /// A dotted key, without its `=`.
    Key,
    /// A value, JSON or not.
    Value,
    Comment,
}

/// The parts of a line that have a colour.
pub fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut first = true;
    let words = tokens::split_open(line);
    let mut end = 0;
    let mut has_own_words = false;
    for word in &words {
        comment(line, end..word.start, &mut pieces);
        end = word.end();
        if word.text == "transaction(" {
            pieces.push(Piece {
                span: word.span(),
                kind: PieceKind::Command,
            });
            continue;
        }
        if first {
            first = false;
            has_own_words = is_builtin(word);
            let kind = match word.text.chars().next() {
                Some('{') => PieceKind::Value,
                _ if has_own_words => PieceKind::Builtin,
                _ => PieceKind::Command,
            };
            if word.text != ")" {
                pieces.push(Piece {
                    span: word.span(),
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
            pieces.push(Piece {
                span: word.start..word.start + key.len(),
                kind: PieceKind::Key,
            });
            pieces.push(Piece {
                span: value_at..word.end(),
                kind: PieceKind::Value,
            });
        }
    }
    comment(line, end..line.len(), &mut pieces);
    pieces
}

/// Between two words there is white space, and possibly a comment.
fn comment(line: &str, between: Range<usize>, pieces: &mut Vec<Piece>) {
    if let Some(at) = line[between.clone()].find('#') {
        pieces.push(Piece {
            span: between.start + at..between.end,
            kind: PieceKind::Comment,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_line_are_told_apart() {
        let line = "cmd a.b='x y' c:=[1] # why";
        let parts = pieces(line).into_iter();
        let parts: Vec<_> = parts.map(|piece| (&line[piece.span], piece.kind)).collect();
        assert_eq!(
            parts,
            [
                ("cmd", PieceKind::Command),
                ("a.b", PieceKind::Key),
                ("'x y'", PieceKind::Value),
                ("c", PieceKind::Key),
                ("[1]", PieceKind::Value),
                ("# why", PieceKind::Comment),
            ]
        );
    }
}
