//! Secrets in a text that is one value: QEMU's option strings, URLs, `json:…`, lines for the human monitor, prose.

use std::ops::Range;

use super::keys::{self, Key};
use super::{json, line};

/// How often a text may stand in a string of another; what lies deeper is masked as a whole.
const DEEPEST: usize = 4;

/// The secrets in `text`.
pub(super) fn find(text: &str, depth: usize) -> Vec<Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let trimmed = &text[start..];
    let json = match trimmed.strip_prefix("json:") {
        Some(json) => Some(json),
        None => trimmed.starts_with('{').then_some(trimmed),
    };
    if json.is_none() && !may_have_any(text) {
        return Vec::new();
    }
    if depth == DEEPEST {
        return std::iter::once(0..text.len()).collect();
    }
    if let Some(json) = json {
        let base = text.len() - json.len();
        let (found, is_torn) = json::find_torn(json, depth + 1);
        let found = found.into_iter();
        let mut found: Vec<_> = found.map(|found| found.shifted(base).range).collect();
        if is_torn {
            let first = assigned(json, true, || has_secret_type(json));
            found.extend(first.map(|start| base + start..text.len()));
        }
        return found;
    }
    let first = trimmed.split_ascii_whitespace().next().unwrap_or_default();
    let is_line = first.starts_with("exec:") || is_for_a_monitor(first);
    if is_line && first.len() < trimmed.trim_end().len() {
        return find_in_line(text, depth);
    }
    let mut found = urls(text);
    let first = assigned(text, false, || has_secret_type(text));
    found.extend(first.map(|start| start..text.len()));
    found
}

/// The secrets in what is a line in itself.
pub(super) fn find_in_line(text: &str, depth: usize) -> Vec<Range<usize>> {
    if depth == DEEPEST {
        return std::iter::once(0..text.len()).collect();
    }
    let found = line::find(text, depth + 1).into_iter();
    found.map(|found| found.range).collect()
}

/// Whether a string that begins so is a line for a monitor.
fn is_for_a_monitor(word: &str) -> bool {
    let names = ["change", "objectadd", "qomset", "hmp"];
    keys::takes_secret(word)
        || names
            .iter()
            .any(|name| keys::is_command(word.trim_start_matches(':'), name))
}

/// A quick look: a secret follows a sign, or is a word among others.
fn may_have_any(text: &str) -> bool {
    let has = |byte: u8| matches!(byte, b'=' | b':' | b' ');
    text.bytes().fold(false, |any, byte| any | has(byte))
}

/// The passwords in URLs: `https://user:password@host`, and libiscsi's `iscsi://user%password@host`.
fn urls(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut end = 0;
    for (at, sign) in text.match_indices("://") {
        if at < end {
            continue;
        }
        let start = at + sign.len();
        let rest = &text[start..];
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        let rest = &rest[..rest.find(ends).unwrap_or(rest.len())];
        end = start + rest.len();
        // A password may have an `@` or a slash in it.
        let Some(user_end) = rest.rfind('@') else {
            continue;
        };
        if let Some(length) = rest[..user_end].find([':', '%'])
            && length + 1 < user_end
        {
            found.push(start + length + 1..start + user_end);
        }
    }
    found
}

/// Where the first secret starts that `key=` or `key:` assigns: it may have a comma in it, so what follows is as
/// secret. A text that is `torn` may be a piece of anything. `has_type` says whether it is about an object for a secret,
/// whose `data` is one.
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

/// Whether a word of `text` names the type of an object for a secret.
pub(super) fn has_secret_type(text: &str) -> bool {
    names(text).any(|(_, name)| keys::is_secret_type(name))
}

/// The words of `text` that could be keys, and where they are.
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

/// Whether `word` begins with what an escape spells that could have been written plainly: `\u0070assword`.
fn is_escape(before: &str, word: &str) -> bool {
    before.ends_with('\\') && word.starts_with("u00") && word[3..].starts_with(['4', '5', '6', '7'])
}

/// Where the value starts that is assigned to the name that ends at `end`.
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
