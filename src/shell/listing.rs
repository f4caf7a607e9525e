//! Formats completion candidates as a list.

use nu_ansi_term::Style;
use unicode_width::UnicodeWidthStr;

use super::complete::Candidate;
use crate::render::{columns, cut_end, escape_line};

/// Space between two columns.
const GAP: usize = 2;

/// Up to this many candidates get a row each, with a note.
const EXPLAINED: usize = 60;

/// The narrowest space for notes in which they are shown.
const NOTE: usize = 12;

/// Lists the candidates: one per row with its note, or in columns if there are no notes or too many candidates.
/// No row is wider than `width` columns.
pub(crate) fn list(candidates: &[Candidate], width: usize, color: bool) -> String {
    let labels: Vec<String> = candidates
        .iter()
        .map(|c| escape_line(&c.label).into_owned())
        .collect();
    let widest = labels.iter().map(|label| label.width()).max().unwrap_or(0) + GAP;
    let has_notes = candidates
        .iter()
        .any(|candidate| !candidate.note.is_empty());
    let room = width.saturating_sub(widest + 1);
    if !has_notes || candidates.len() > EXPLAINED || room < NOTE {
        return columns(&labels, width);
    }
    let mut list = String::new();
    for (label, candidate) in labels.iter().zip(candidates) {
        let note = candidate.note.replace('\n', " ");
        let note = escape_line(&note);
        let note = cut_end(&note, room);
        let note = if color {
            Style::new().dimmed().paint(note).to_string()
        } else {
            note.into_owned()
        };
        let space = " ".repeat(widest - label.width());
        list.push_str(format!("{label}{space}{note}").trim_end());
        list.push('\n');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_with_notes_have_a_row_each() {
        let candidates = [
            Candidate::word("a", "one"),
            Candidate::word("bcd", "two\nthree"),
        ];
        assert_eq!(list(&candidates, 80, false), "a    one\nbcd  two three\n");
        assert_eq!(list(&candidates, 10, false), "a  bcd\n");
    }

    #[test]
    fn a_note_is_cut_at_the_edge_and_escaped() {
        let candidates = [
            Candidate::word("a", "x".repeat(50)),
            Candidate::word("b", "\x1b[31m"),
        ];
        let list = list(&candidates, 20, false);
        assert!(list.lines().all(|line| line.width() < 20), "{list}");
        assert!(!list.contains('\x1b'));
    }
}
