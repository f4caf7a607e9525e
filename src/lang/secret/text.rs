//! Secrets within one text: QEMU's option strings, URLs, `json:…`, lines for the human monitor, prose.

use std::ops::Range;

use super::assignment::{assigned, has_secret_type};
use super::keys;
use super::nest::Nest;
use super::{json, line};

/// An outermost text.
pub(super) const TOP: Nest = Nest::top(look);

fn look(text: &str, is_line: bool, nest: Nest) -> Vec<Range<usize>> {
    match is_line {
        true => find_in_line(text, nest),
        false => find(text, nest),
    }
}

/// The secrets in `text`.
pub(super) fn find(text: &str, nest: Nest) -> Vec<Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let trimmed = &text[start..];
    let json = match trimmed.strip_prefix("json:") {
        Some(json) => Some(json),
        None => trimmed.starts_with('{').then_some(trimmed),
    };
    if json.is_none() && !may_have_any(text) {
        return Vec::new();
    }
    if nest.is_deepest() {
        return std::iter::once(0..text.len()).collect();
    }
    if let Some(json) = json {
        let base = text.len() - json.len();
        let (found, is_torn) = json::find_torn(json, nest.deeper());
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
        return find_in_line(text, nest);
    }
    let mut found = urls(text);
    let first = assigned(text, false, || has_secret_type(text));
    found.extend(first.map(|start| start..text.len()));
    found
}

/// The secrets in a text that is a line.
fn find_in_line(text: &str, nest: Nest) -> Vec<Range<usize>> {
    if nest.is_deepest() {
        return std::iter::once(0..text.len()).collect();
    }
    let found = line::find(text, nest.deeper()).into_iter();
    found.map(|found| found.range).collect()
}

/// Whether a string looks like a line for a monitor.
fn is_for_a_monitor(word: &str) -> bool {
    let names = ["change", "objectadd", "qomset", "hmp"];
    keys::takes_secret(word)
        || names
            .iter()
            .any(|name| keys::is_command(word.trim_start_matches(':'), name))
}

/// A quick check: a secret comes after a sign, or is one of several words.
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
        // A password may contain an `@` or a slash.
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
