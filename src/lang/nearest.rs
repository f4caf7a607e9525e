//! What somebody may have meant.

use strsim::osa_distance;

/// How many names are worth suggesting. Where more are as near, none is.
const MOST: usize = 3;

/// A word longer than this is no misspelt name.
const LONGEST: usize = 64;

/// A part of a name that is shorter than this says nothing.
const SHORTEST_PART: usize = 4;

/// The names that `word` is most likely meant to be, or none if nothing is near: those that differ by a few
/// letters, else those that `word` is most of, or that are most of it. `-` and `_` are the same letter here, as are `a` and `A`.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return Vec::new();
    }
    let word = plain(word);
    let mut best = usize::MAX;
    let mut near = Vec::new();
    let mut containing = Vec::new();
    for name in names {
        let other = plain(name);
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
    let mut found = if near.is_empty() { containing } else { near };
    found.dedup();
    if found.len() > MOST {
        return Vec::new();
    }
    found
}

/// Whether `part` stands in `whole` and is half of it at least.
fn is_most_of(part: &str, whole: &str) -> bool {
    part.len() >= SHORTEST_PART && 2 * part.len() >= whole.len() && whole.contains(part)
}

/// How many letters of a name of that length may be wrong.
fn allowed(length: usize) -> usize {
    (length / 3).min(3)
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// `names` as an enumeration in which each is quoted: `` `a`, `b` or `c` ``.
pub fn any_of<S: AsRef<str>>(names: &[S]) -> String {
    enumerate(names, "or")
}

/// The same, but all of them are meant: `` `a`, `b` and `c` ``.
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
    fn the_nearest_names_are_found_and_nothing_that_is_far() {
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
    fn where_too_many_are_as_near_none_is_suggested() {
        let names = ["query-a", "query-b", "query-c", "query-d"];
        assert!(nearest("query-x", names).is_empty());
        assert!(nearest("query", names).is_empty());
    }

    #[test]
    fn names_are_enumerated_in_words() {
        assert_eq!(any_of(&["a"]), "`a`");
        assert_eq!(any_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(all_of(&["a", "b"]), "`a` and `b`");
    }
}
