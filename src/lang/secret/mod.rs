//! Which arguments are secrets, so that they stay out of history, logs and errors.
//!
//! A secret is recognized by its key ([`keys`]), by the other members of its object ([`members`]), by its form in a
//! text ([`text`]: option strings, URLs, lines for the human monitor), or by its place on a line ([`line`]). In doubt,
//! a value counts as a secret. All of this takes linear time, and nesting takes no stack.

mod assignment;
mod json;
mod keys;
mod line;
mod members;
mod nest;
mod quick;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;
use std::ops::Range;

use text::TOP;

pub use quick::may_have_secret;

/// The text shown in place of a secret.
const MASK: &str = "••••";

/// The same as JSON.
pub const MASKED: &str = "\"••••\"";

/// The place of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    range: Range<usize>,
    /// Whether it is a whole JSON value, including quotes.
    is_value: bool,
}

impl Found {
    fn whole(range: Range<usize>) -> Self {
        Self {
            range,
            is_value: true,
        }
    }

    /// A range within a text that starts at `start`.
    fn part(range: Range<usize>, start: usize) -> Self {
        let found = Self {
            range,
            is_value: false,
        };
        found.shifted(start)
    }

    fn shifted(mut self, by: usize) -> Self {
        self.range = self.range.start + by..self.range.end + by;
        self
    }
}

/// Whether `line`, which need not parse, contains a secret.
pub fn line_has_secret(line: &str) -> bool {
    !line::find(line, TOP).is_empty()
}

/// Overwrites the secrets in `line`, which need not parse. The length stays the same, so that columns stay valid.
pub fn conceal(line: &str) -> Cow<'_, str> {
    overwrite(line, line::find(line, TOP))
}

/// The same for a text whose words are known.
pub(super) fn conceal_words<'a>(source: &'a str, spans: &[Range<usize>]) -> Cow<'a, str> {
    let mut found = line::find(source, TOP);
    found.extend(line::find_in_words(source, spans, false, true, TOP));
    overwrite(source, found)
}

/// Masks the secrets in the arguments of a process.
pub fn mask_arguments<S: AsRef<str>>(words: &[S]) -> Vec<String> {
    let mut source = String::new();
    let mut spans = Vec::new();
    for word in words {
        let start = source.len();
        source.push_str(word.as_ref());
        spans.push(start..source.len());
        source.push(' ');
    }
    let mut found = in_order(line::find_in_words(&source, &spans, false, false, TOP))
        .into_iter()
        .peekable();
    let mut masked = Vec::with_capacity(spans.len());
    for span in spans {
        let mut inside = Vec::new();
        while let Some(next) = found.next_if(|next| next.range.start < span.end) {
            inside.push(next.range.start - span.start..next.range.end - span.start);
        }
        masked.push(replace(&source[span], &inside, |_| MASK.into()));
    }
    masked
}

/// Masks the secret values in a message; `None` if there are none. The result of valid JSON is valid JSON.
pub fn mask_secrets(json: &str) -> Option<String> {
    let found = in_order(json::find(json, TOP));
    if found.is_empty() {
        return None;
    }
    let mut masked = String::with_capacity(json.len());
    let mut end = 0;
    for Found { range, is_value } in found {
        masked.push_str(&json[end..range.start]);
        masked.push_str(if is_value { MASKED } else { MASK });
        end = range.end;
    }
    masked.push_str(&json[end..]);
    Some(masked)
}

/// Whether a property of this name is a secret, and with it the reply to `qom-get`.
pub fn names_secret(name: &str) -> bool {
    keys::is_secret(name) || keys::is_data(name)
}

/// Masks the secrets quoted in a sentence that is not ours.
pub fn mask_text(text: &str) -> Cow<'_, str> {
    let found = text::find(text, TOP).into_iter();
    let found = in_order(found.map(|range| Found::part(range, 0)).collect());
    if found.is_empty() {
        return text.into();
    }
    let ranges: Vec<_> = found.into_iter().map(|found| found.range).collect();
    replace(text, &ranges, |_| MASK.into()).into()
}

fn overwrite(line: &str, found: Vec<Found>) -> Cow<'_, str> {
    if found.is_empty() {
        return line.into();
    }
    let ranges: Vec<_> = in_order(found)
        .into_iter()
        .map(|found| found.range)
        .collect();
    replace(line, &ranges, |secret| "*".repeat(secret.len()).into()).into()
}

fn replace(text: &str, ranges: &[Range<usize>], by: impl Fn(&str) -> Cow<'_, str>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    for range in ranges {
        replaced.push_str(&text[end..range.start]);
        replaced.push_str(&by(&text[range.clone()]));
        end = range.end;
    }
    replaced.push_str(&text[end..]);
    replaced
}

/// Sorts the ranges and removes those within others.
fn in_order(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    let mut end = 0;
    found.retain_mut(|found| {
        // Only ranges in plain text overlap. The second one is cut to follow the first.
        let is_new = found.range.end > end;
        found.range.start = found.range.start.max(end);
        end = end.max(found.range.end);
        is_new
    });
    found
}
