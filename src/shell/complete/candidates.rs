use std::cmp::Reverse;

/// A completion candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What is shown, and matched against the typed text.
    pub label: String,
    /// What replaces the typed text.
    pub text: String,
    /// What it is, in a few words; may be empty.
    pub note: String,
}

impl Candidate {
    pub fn new(label: impl Into<String>, text: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            text: text.into(),
            note: note.into(),
        }
    }

    /// A candidate whose replacement is `label` and a space.
    pub fn word(label: &str, note: impl Into<String>) -> Self {
        Self::new(label, format!("{label} "), note)
    }
}

/// The candidates to replace the text from the offset `start` to the cursor.
#[derive(Debug)]
pub struct Completion {
    pub start: usize,
    pub candidates: Vec<Candidate>,
}

/// How well a candidate matches the typed text. The best match comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Subsequence,
    Substring,
    PrefixInAnyCase,
    Prefix,
}

/// The candidates that match `typed` best: those that start with it, or else those that contain it, or else
/// those that contain its letters in order.
pub(super) fn matching(candidates: Vec<Candidate>, typed: &str) -> Vec<Candidate> {
    let mut found: Vec<(Fit, Candidate)> = candidates
        .into_iter()
        .filter_map(|candidate| Some((fit(&candidate.label, typed)?, candidate)))
        .collect();
    found.sort_by_key(|(fit, _)| Reverse(*fit));
    let best = found.first().map(|(fit, _)| *fit);
    found
        .into_iter()
        .take_while(|(fit, _)| Some(*fit) == best)
        .map(|(_, candidate)| candidate)
        .collect()
}

fn fit(label: &str, typed: &str) -> Option<Fit> {
    if label.starts_with(typed) {
        return Some(Fit::Prefix);
    }
    let (label, typed) = (label.to_lowercase(), typed.to_lowercase());
    if label.starts_with(&typed) {
        return Some(Fit::PrefixInAnyCase);
    }
    if label.contains(&typed) {
        return Some(Fit::Substring);
    }
    // Almost everything contains a single letter.
    let mut letters = label.chars();
    let is_subsequence = typed.chars().all(|c| letters.any(|letter| letter == c));
    (typed.chars().count() > 2 && is_subsequence).then_some(Fit::Subsequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(typed: &str) -> Vec<String> {
        let labels = ["query-status", "query-block", "block-commit", "Xen"];
        let all = labels.map(|label| Candidate::word(label, ""));
        let found = matching(all.into(), typed).into_iter();
        found.map(|candidate| candidate.label).collect()
    }

    #[test]
    fn only_the_best_kind_of_match_counts() {
        assert_eq!(found("block"), ["block-commit"]);
        assert_eq!(found("query-"), ["query-status", "query-block"]);
        assert_eq!(found("xe"), ["Xen"]);
        assert_eq!(found("status"), ["query-status"]);
        assert_eq!(found("lock"), ["query-block", "block-commit"]);
        assert_eq!(found("qblk"), ["query-block"]);
        assert_eq!(found("qz"), Vec::<String>::new());
        assert_eq!(found("").len(), 4);
    }
}
