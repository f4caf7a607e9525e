//! Formats completion candidates as a list.

use unicode_width::UnicodeWidthStr;

use super::complete::Candidate;
use crate::render::{Role, columns, cut_end, escape_line};

/// Space between two columns.
const GAP: usize = 2;

/// Up to this many candidates get a row each, with a note.
const EXPLAINED: usize = 60;

/// The narrowest space for notes in which they are shown.
const NOTE: usize = 12;

/// The longest note that is shown beside its candidate in columns.
const SHORT_NOTE: usize = 24;

/// Lists the candidates on rows of at most `width` columns: each on a row of its own with its note if most have one, and
/// if there are no more than `rows`; otherwise in columns.
pub(crate) fn list(candidates: &[Candidate], width: usize, rows: usize, color: bool) -> String {
    let labels: Vec<String> = candidates
        .iter()
        .map(|c| escape_line(&c.label).into_owned())
        .collect();
    let notes: Vec<String> = candidates
        .iter()
        .map(|c| escape_line(&c.note.replace('\n', " ")).into_owned())
        .collect();
    let noted = notes.iter().filter(|note| !note.is_empty()).count();
    let longest = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let space = longest + GAP;
    let room = width.saturating_sub(space + 1);
    if 2 * noted <= candidates.len() || candidates.len() > rows.min(EXPLAINED) || room < NOTE {
        let noted = columns(&with_short_notes(&labels, &notes, width), width);
        return match noted.lines().nth(rows) {
            None => noted,
            Some(_) => columns(&labels, width),
        };
    }
    let mut list = String::new();
    for (label, note) in labels.iter().zip(&notes) {
        let note = cut_end(note, room);
        let note = if color && !note.is_empty() {
            Role::Aside.style().paint(note).to_string()
        } else {
            note.into_owned()
        };
        let space = " ".repeat(space - label.width());
        list.push_str(format!("{label}{space}{note}").trim_end());
        list.push('\n');
    }
    list
}

/// The candidates, with those notes in brackets that a few of them have, such as `deprecated`.
fn with_short_notes(labels: &[String], notes: &[String], width: usize) -> Vec<String> {
    let are_few = 2 * notes.iter().filter(|note| !note.is_empty()).count() <= labels.len();
    let fits = |label: &str, note: &str| {
        !note.is_empty() && note.width() <= SHORT_NOTE && label.width() + note.width() + 3 < width
    };
    let cell = |(label, note): (&String, &String)| match are_few && fits(label, note) {
        true => format!("{label} ({note})"),
        false => label.clone(),
    };
    labels.iter().zip(notes).map(cell).collect()
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
        assert_eq!(
            list(&candidates, 80, 24, false),
            "a    one\nbcd  two three\n"
        );
        assert_eq!(list(&candidates, 10, 24, false), "a  bcd\n");
        // They would take more than the screen.
        assert_eq!(list(&candidates, 80, 1, false), "a  bcd\n");
    }

    #[test]
    fn a_note_of_one_candidate_does_not_give_each_a_row() {
        let mut candidates = ["file", "raw", "gluster", "qcow2"].map(|c| Candidate::word(c, ""));
        candidates[2].note = "deprecated".to_owned();
        let listed = list(&candidates, 80, 24, false);
        assert_eq!(listed, "file  raw  gluster (deprecated)  qcow2\n");
        candidates[2].note = "x".repeat(70);
        let listed = list(&candidates, 80, 24, false);
        assert_eq!(listed, "file  raw  gluster  qcow2\n");
    }

    #[test]
    fn a_note_is_cut_at_the_edge_and_escaped() {
        let candidates = [
            Candidate::word("a", "x".repeat(50)),
            Candidate::word("b", "\x1b[31m"),
        ];
        let list = list(&candidates, 20, 24, false);
        assert!(list.lines().all(|line| line.width() < 20), "{list}");
        assert!(!list.contains('\x1b'));
    }
}
