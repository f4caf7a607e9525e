//! Suggestions for misspelt names.

use strsim::osa_distance;

/// The most names to suggest. If more are equally near, none is suggested.
const MOST: usize = 3;

/// A longer word is not taken for a misspelt name.
const LONGEST: usize = 64;

/// A shorter part of a name says too little to suggest the whole.
const SHORTEST_PART: usize = 4;

/// Returns the names that `word` may have been meant to be: those from which one letter differs; failing that, those
/// that start with it, unless these are many; failing that, those that differ from it by a few letters; failing that, those
/// that contain most of it or of which it contains most. Case does not matter, nor does `-` or `_`.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return Vec::new();
    }
    let word = plain(word);
    let mut best = usize::MAX;
    let mut near = Vec::new();
    let mut containing = Vec::new();
    let mut starting = Vec::new();
    for name in names {
        let other = plain(name);
        if word.len() >= SHORTEST_PART && other.starts_with(&word) {
            starting.push(name);
        }
        let distance = osa_distance(&word, &other);
        if distance <= allowed(word.len().max(other.len())) && distance <= best {
            if distance < best {
                near.clear();
            }
            best = distance;
            near.push(name);
        } else if is_most_of(&word, &other) || is_most_of(&other, &word) {
            containing.push(name);
        }
    }
    starting.dedup();
    if best > 1 && (1..=MOST).contains(&starting.len()) {
        return starting;
    }
    let mut found = if near.is_empty() { containing } else { near };
    found.dedup();
    if found.len() > MOST {
        return Vec::new();
    }
    found
}

/// Whether `whole` contains `part`, which is at least half as long.
fn is_most_of(part: &str, whole: &str) -> bool {
    part.len() >= SHORTEST_PART && 2 * part.len() >= whole.len() && whole.contains(part)
}

/// How many letters may be wrong in a name of this length.
fn allowed(length: usize) -> usize {
    (length / 3).min(3)
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Joins `names`, each in backticks: `` `a`, `b` or `c` ``.
pub fn any_of<S: AsRef<str>>(names: &[S]) -> String {
    enumerate(names, "or")
}

/// Like [`any_of`], but with "and": `` `a`, `b` and `c` ``.
pub fn all_of<S: AsRef<str>>(names: &[S]) -> String {
    enumerate(names, "and")
}

fn enumerate<S: AsRef<str>>(names: &[S], conjunction: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{}`", n.as_ref())).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {conjunction} {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_near_the_word_are_suggested() {
        let names = [
            "query-status",
            "system_reset",
            "device_add",
            "device_del",
            "qcow",
            "qcow2",
            "id",
            "stop",
            "node-name",
        ];
        for (word, expected) in [
            ("query-statsu", &["query-status"][..]),
            ("system-reset", &["system_reset"]),
            ("DEVICE-ADD", &["device_add"]),
            ("device_dle", &["device_del"]),
            ("qcow3", &["qcow", "qcow2"]),
            ("status", &["query-status"]),
            ("query-sta", &["query-status"]),
            ("syst", &["system_reset"]),
            ("nodename", &["node-name"]),
            ("stop-now", &["stop"]),
            ("ip", &[]),
            ("migrate", &[]),
            ("", &[]),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
        assert!(nearest(&"a".repeat(1 << 20), names).is_empty());
    }

    #[test]
    fn nothing_is_suggested_when_too_many_names_are_equally_near() {
        let names = ["query-a", "query-b", "query-c", "query-d"];
        assert!(nearest("query-x", names).is_empty());
        assert!(nearest("query", names).is_empty());
    }

    #[test]
    fn names_are_joined_with_commas_and_a_conjunction() {
        assert_eq!(any_of(&["a"]), "`a`");
        assert_eq!(any_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(all_of(&["a", "b"]), "`a` and `b`");
    }
}
