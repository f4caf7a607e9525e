//! Secrets in a typed line, and in the arguments of a process.

use std::borrow::Cow;
use std::ops::Range;

use super::Found;
use super::assignment::{all_assigned, assigned, has_secret_type};
use super::json;
use super::keys::{self, Key};
use super::members::{Candidate, Members};
use super::nest::Nest;
use crate::lang::literal::unescape;
use crate::lang::tokens::{Word, split_torn};

/// Words that are never part of a secret.
const PUNCTUATION: [&str; 8] = ["&", "|", ">", ">>", ")", "transaction(", "=", "do"];

/// Finds the secrets in a line, which need not parse.
pub(super) fn find(line: &str, nest: Nest) -> Vec<Found> {
    let (words, torn) = split_torn(line);
    let spans: Vec<_> = words.iter().map(Word::span).collect();
    find_in_words(line, &spans, torn, true, nest)
}

/// Finds the secrets in the words of `source` at `spans`, and between them. In a `typed` line words include their
/// quotes, and a secret with a space may have become two words. If it is `torn`, the last span is the rest of a line
/// that could not be split into words.
pub(super) fn find_in_words(
    source: &str,
    spans: &[Range<usize>],
    torn: bool,
    typed: bool,
    nest: Nest,
) -> Vec<Found> {
    let mut line = Line {
        source,
        typed,
        nest,
        found: Vec::new(),
        candidates: Vec::new(),
        members: Members::default(),
        is_help: false,
        after: After::Nothing,
    };
    let mut end = 0;
    for (index, span) in spans.iter().enumerate() {
        line.gap(end..span.start);
        end = span.end;
        match torn && index + 1 == spans.len() {
            true => line.rest(span.clone()),
            false => line.word(span.clone(), index == 0),
        }
    }
    line.gap(end..source.len());
    line.finish()
}

struct Line<'a> {
    source: &'a str,
    typed: bool,
    nest: Nest,
    found: Vec<Found>,
    candidates: Vec<Candidate>,
    members: Members,
    /// It is `help` or `:has`, whose words are names. Values there are secret all the same.
    is_help: bool,
    after: After,
}

/// What came before a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    /// A secret, which may continue.
    Secret,
    /// A secret in an unclosed object: everything after it may be part of it.
    Torn,
    /// A program's option that takes a secret.
    Option,
    /// A command that takes a secret as a bare word.
    Command,
    /// `qom-set` of the human monitor, followed by a path, a property and its value.
    QomSet,
    /// `sshpass`, which takes a password after `-p`.
    SshPass,
}

impl Line<'_> {
    fn word(&mut self, span: Range<usize>, is_first: bool) {
        if !self.typed {
            self.assignments(span.clone());
        }
        let word = &self.source[span.clone()];
        if PUNCTUATION.contains(&word) {
            return;
        }
        if word.starts_with('{') && self.after != After::Torn {
            let found = json::find(word, self.nest);
            self.add(found, span.start);
            return;
        }
        if self.after == After::Torn {
            self.hide(span);
            return;
        }
        if let Some((key, value)) = key_and_value(word) {
            let start = span.end - value.len();
            self.argument(Key::of_path(key), start..span.end);
            return;
        }
        self.plain(span, is_first);
    }

    /// The value of a key.
    fn argument(&mut self, key: Key, span: Range<usize>) {
        if key.is_secret {
            self.hide(span);
            self.follow(After::Secret);
            return;
        }
        let value = &self.source[span.clone()];
        if value.starts_with(['{', '[']) {
            let (found, candidates) = json::find_in(value, Some(key), self.nest);
            self.add(found, span.start);
            for mut candidate in candidates {
                candidate.range =
                    candidate.range.start + span.start..candidate.range.end + span.start;
                self.candidates.push(candidate);
            }
        } else {
            self.value(span.clone(), key.is_line);
        }
        let text = self.decoded(&span).into_owned();
        self.members.note(key, &text);
        self.members.is_secret |= self.members.is_qom && keys::is_secret_type(&text);
        self.candidates.extend(Candidate::new(key, span));
    }

    /// A word without a key.
    fn plain(&mut self, span: Range<usize>, is_first: bool) {
        let word = self.decoded(&span).into_owned();
        let name = word.trim_start_matches(':').trim_end_matches([':', '=']);
        match self.after {
            After::Option => {
                self.hide(span);
                self.after = After::Nothing;
                return;
            }
            After::Secret | After::Command if !word.starts_with('<') => {
                self.hide(span);
                return;
            }
            After::SshPass if word.starts_with("-p") => {
                match word.len() {
                    2 => self.after = After::Option,
                    _ => self.hide(span.start + 2..span.end),
                }
                return;
            }
            _ => {}
        }
        self.members.is_secret |= keys::is_secret_type(name) && self.members.is_qom;
        self.members.is_qom |= keys::is_command(name, "objectadd");
        self.is_help |= is_first && ["help", "has", "?"].contains(&name);
        self.value(span.clone(), false);
        if self.is_help {
            return;
        }
        if keys::takes_secret(name) {
            self.after = After::Command;
        } else if keys::is_command(name, "qomset") {
            self.after = After::QomSet;
        } else if name.rsplit(['/', ':']).next() == Some("sshpass") {
            self.after = After::SshPass;
        } else if !is_first
            && word.starts_with('-')
            && keys::is_secret(name.trim_start_matches('-'))
        {
            self.after = After::Option;
        } else if !is_first
            && self.typed
            && (keys::is_secret(name) || self.after == After::QomSet && keys::is_data(name))
        {
            self.follow(After::Secret);
        }
    }

    /// Looks for secrets within a value, which may be quoted.
    fn value(&mut self, span: Range<usize>, is_line: bool) {
        let value = self.decoded(&span);
        let is_line = is_line || !self.typed && value.contains(char::is_whitespace);
        let found = self.nest.look(&value, is_line);
        let reaches_end = found.iter().any(|range| range.end == value.len());
        let is_json = value.starts_with('{') || value.starts_with("json:");
        let after = match reaches_end {
            true if is_json => After::Torn,
            true => After::Secret,
            false => self.after,
        };
        match &value {
            Cow::Borrowed(inner) => {
                // The text is unchanged, apart from its quotes.
                let start = span.start + usize::from(inner.len() < span.len());
                let found = found.into_iter().map(|range| Found::part(range, start));
                self.found.extend(found);
            }
            Cow::Owned(_) if !found.is_empty() => self.hide(span),
            Cow::Owned(_) => {}
        }
        self.follow(after);
    }

    /// A value or word without its quotes and escapes.
    fn decoded(&self, span: &Range<usize>) -> Cow<'_, str> {
        let word = &self.source[span.clone()];
        let Some(quote @ ('"' | '\'')) = word.chars().next().filter(|_| self.typed) else {
            return word.into();
        };
        let inner = word[1..].strip_suffix(quote).unwrap_or(&word[1..]);
        match quote == '"' && inner.contains('\\') {
            true => unescape(inner, quote)
                .unwrap_or_else(|_| inner.to_owned())
                .into(),
            false => inner.into(),
        }
    }

    /// The text between words: white space, or a comment at the end.
    fn gap(&mut self, span: Range<usize>) {
        let gap = &self.source[span.clone()];
        let text = gap.trim_start_matches(|c: char| c == '#' || c.is_whitespace());
        if !text.is_empty() && matches!(self.after, After::Secret | After::Torn) {
            self.hide(span);
        } else if !text.is_empty() {
            let found = self.nest.look(text, false).into_iter();
            let start = span.end - text.len();
            self.found
                .extend(found.map(|range| Found::part(range, start)));
        }
    }

    /// The rest of a line with an unclosed or mismatched quote or bracket. After the first secret, everything may be
    /// part of it.
    fn rest(&mut self, span: Range<usize>) {
        let rest = &self.source[span.clone()];
        let is_hidden = matches!(
            self.after,
            After::Secret | After::Torn | After::Command | After::Option
        );
        let has_type = || has_secret_type(self.source);
        let first = match is_hidden {
            true => Some(0),
            false => assigned(rest, true, has_type),
        };
        let found = self.nest.look(rest, false).into_iter();
        let found = found.map(|range| Found::part(range, span.start));
        self.found.extend(found);
        if let Some(first) = first {
            self.hide(span.start + first..span.end);
        }
        if let Some((key, value)) = key_and_value(rest) {
            let start = span.end - value.len();
            self.candidates
                .extend(Candidate::new(Key::of_path(key), start..span.end));
        }
    }

    fn follow(&mut self, after: After) {
        if self.typed {
            self.after = after;
        }
    }

    fn assignments(&mut self, span: Range<usize>) {
        let found = all_assigned(&self.source[span.clone()]).into_iter();
        self.found
            .extend(found.map(|range| Found::part(range, span.start)));
    }

    fn hide(&mut self, span: Range<usize>) {
        if !span.is_empty() {
            self.found.push(Found::part(span, 0));
        }
    }

    fn add(&mut self, found: Vec<Found>, start: usize) {
        let found = found.into_iter().map(|found| found.shifted(start));
        self.found.extend(found);
    }

    fn finish(mut self) -> Vec<Found> {
        if !self.is_help {
            let hidden = self.candidates.iter();
            let hidden = hidden.filter(|candidate| self.members.hides(candidate.key));
            let hidden = hidden.map(|candidate| Found::part(candidate.range.clone(), 0));
            self.found.extend(hidden);
            if self.typed {
                self.assignments(0..self.source.len());
            }
        }
        self.found
    }
}

/// Splits an argument into its key, without leading `-`, and its value.
fn key_and_value(word: &str) -> Option<(&str, &str)> {
    let (key, value) = word.split_once('=')?;
    let key = key.strip_suffix(':').unwrap_or(key);
    let key = key.trim_start_matches('-');
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!key.is_empty() && key.chars().all(is_part)).then_some((key, value))
}
