//! Secrets that a text assigns to a name, in whatever form: `key=value`, `"key": value`.

use std::ops::Range;

use super::keys::{self, Key};

/// Where the first secret assigned by `key=` or `key:` starts. Everything after it counts as secret too, since the
/// secret may contain a comma. A `torn` text may be a piece of anything. `has_type` says whether the text is about a
/// secret object, so that `data` is a secret.
pub(super) fn assigned(text: &str, torn: bool, has_type: impl Fn() -> bool) -> Option<usize> {
    let mut found: Option<usize> = None;
    let mut has_name = false;
    let mut value = None;
    let mut is_typed = None;
    for (start, name) in names(text) {
        let end = start + name.len();
        if torn && (is_escape(&text[..start], name) || keys::takes_secret(name)) {
            found = found.or((end < text.len()).then_some(end));
            break;
        }
        match value_after(text, end, torn) {
            Some(start) => {
                let key = Key::in_text(name);
                if key.is_secret {
                    found = found.or(Some(start));
                    break;
                }
                if key.is_data && *is_typed.get_or_insert_with(&has_type) {
                    found = Some(start);
                    break;
                }
                if key.is_value && value.is_none() {
                    value = Some(start);
                }
            }
            None => has_name |= torn && keys::is_secret(name),
        }
    }
    let value = value.filter(|_| has_name);
    [found, value].into_iter().flatten().min()
}

/// What `text` assigns to names of secrets, wherever that stands: a net below all that knows where a secret can be.
pub(super) fn all_assigned(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, name) in names(text) {
        let is_inside = found.last().is_some_and(|last| start < last.end);
        if is_inside || !keys::is_secret(name) {
            continue;
        }
        let Some(start) = value_after(text, start + name.len(), false) else {
            continue;
        };
        let value = &text[start..];
        let length = match value.chars().next() {
            // What is inside is looked at where it is read.
            Some('{' | '[') => continue,
            Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|length| length + 2),
            _ => value.find(char::is_whitespace),
        };
        found.push(start..length.map_or(text.len(), |length| start + length));
    }
    found.retain(|range| !range.is_empty());
    found
}

/// Whether a word of `text` is the type of a secret object.
pub(super) fn has_secret_type(text: &str) -> bool {
    names(text).any(|(_, name)| keys::is_secret_type(name))
}

/// The words of `text` that could be keys, with their positions.
fn names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_part)?;
        let end = text[start..].find(|c| !is_part(c));
        at = end.map_or(text.len(), |length| start + length);
        Some((start, &text[start..at]))
    })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_')
}

/// Whether `word` begins with an escaped ASCII letter, as in `\u0070assword`.
fn is_escape(before: &str, word: &str) -> bool {
    before.ends_with('\\') && word.starts_with("u00") && word[3..].starts_with(['4', '5', '6', '7'])
}

/// Where the value assigned to the name that ends at `end` starts.
fn value_after(text: &str, end: usize, torn: bool) -> Option<usize> {
    let around = ['"', '\'', '\\', ' ', '\t'];
    let rest = text[end..].trim_start_matches(around);
    let has_quote = text[end..text.len() - rest.len()].contains(['"', '\'']);
    let value = match rest.strip_prefix('=') {
        Some(value) => value,
        None => {
            let value = rest.strip_prefix(':')?;
            // In prose, what follows a colon is an explanation.
            if !torn && !has_quote && value.starts_with(char::is_whitespace) {
                return None;
            }
            value
        }
    };
    let value = value.trim_start_matches(['=', ' ', '\t']);
    (!value.is_empty()).then_some(text.len() - value.len())
}
