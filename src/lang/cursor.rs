//! What can be understood of a line while it is being typed, and what is at the cursor.
//!
//! Nothing here is an error: what cannot be read yet is left out.

use super::arguments::Arguments;
use super::key_value;
use super::partial_json;
use super::tokens::{self, PLAIN_BUILTINS, Word};
use super::{Object, Value};

/// What the line, or the action of a transaction, says so far.
#[derive(Debug)]
pub struct CursorContext {
    /// The name of the command or action.
    pub command: Option<String>,
    /// Whether the line is an action of a transaction.
    pub action: bool,
    /// The arguments that can be read, before and after the cursor.
    pub arguments: Object,
    /// What can be completed.
    pub place: CursorPlace,
}

/// What is at the cursor. The part typed so far runs from `start` to the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "`start` and `path` are the same everywhere")]
pub enum CursorPlace {
    /// The name of a command or a built-in.
    Command { start: usize },
    /// An argument of the built-in `name`; `before` are the arguments before it.
    Builtin {
        name: String,
        before: Vec<String>,
        start: usize,
    },
    /// The last segment of a dotted key; `path` are the segments before it.
    Key { path: Vec<String>, start: usize },
    /// The value of a key.
    Value { path: Vec<String>, start: usize },
    /// A key inside JSON. `start` is at the opening quote, if there is one.
    JsonKey { path: Vec<String>, start: usize },
    /// A value inside JSON. `start` is as in [`CursorPlace::JsonKey`].
    JsonValue { path: Vec<String>, start: usize },
    /// The value of `execute` in a whole message: a command's name.
    JsonCommand { start: usize },
    /// A top-level key of a whole message.
    MessageKey { start: usize },
    /// The path of a file.
    File { start: usize },
    /// Something that cannot be completed.
    Nowhere,
}

/// The command of a line, and where its filter starts, if the cursor at byte `at` is in the filter.
pub fn filter_before(line: &str, at: usize) -> Option<(&str, usize)> {
    let words = tokens::split_open(line);
    let (first, last) = (words.first()?, words.last()?);
    let is_filter = last.text == "|" && last.end() <= at && words.len() > 1;
    is_filter.then(|| (first.text, last.end()))
}

impl CursorContext {
    /// Reads `line` with the cursor at byte `at`. `in_transaction` says whether an earlier line
    /// opened a transaction, so that this line is one of its actions.
    pub fn of(line: &str, at: usize, in_transaction: bool) -> Self {
        let (mut context, words) = Self::start(line, in_transaction, at);
        // The word that the cursor is in or directly after.
        let current = words
            .iter()
            .position(|word| word.start <= at && at <= word.end());
        let Some(first) = words.first().filter(|first| first.start <= at).copied() else {
            context.place = CursorPlace::Command { start: at };
            return context;
        };
        if first.text.starts_with('{') && !context.action {
            context.message(line, &first, at);
        } else if current == Some(0) {
            context.command = Some(first.text.to_owned());
            context.read(&words[1..]);
            context.place = CursorPlace::Command { start: first.start };
        } else if is_builtin(&first) {
            let before = words[1..].iter().filter(|word| word.end() < at);
            context.place = CursorPlace::Builtin {
                name: first.text.trim_start_matches(':').to_owned(),
                before: before.map(|word| word.text.to_owned()).collect(),
                start: current.map_or(at, |current| words[current].start),
            };
        } else {
            context.command = Some(first.text.to_owned());
            context.arguments(line, &words, current, at);
        }
        context
    }

    /// Returns an empty context and the words of the line, without a `transaction(` before the
    /// cursor.
    fn start(line: &str, in_transaction: bool, at: usize) -> (Self, Vec<Word<'_>>) {
        let mut words = tokens::split_open(line);
        let opens = |first: &Word<'_>| first.text == "transaction(" && first.end() < at;
        let opens = words.first().is_some_and(opens);
        if opens {
            words.remove(0);
        }
        let context = Self {
            command: None,
            action: in_transaction || opens,
            arguments: Object::new(),
            place: CursorPlace::Nowhere,
        };
        (context, words)
    }

    /// Reads `line` as complete: its last word is not being typed.
    pub fn whole(line: &str, in_transaction: bool) -> Self {
        let (mut context, words) = Self::start(line, in_transaction, line.len());
        match words.split_first() {
            Some((first, _)) if first.text.starts_with('{') && !context.action => {
                context.message(line, first, line.len());
            }
            Some((first, rest)) if !is_builtin(first) => {
                context.command = Some(first.text.to_owned());
                context.read(rest);
            }
            _ => {}
        }
        context
    }

    fn arguments(&mut self, line: &str, words: &[Word<'_>], current: Option<usize>, at: usize) {
        let others = words.iter().enumerate().skip(1);
        let others: Vec<Word<'_>> = others
            .filter(|(index, _)| Some(*index) != current)
            .map(|(_, word)| *word)
            .collect();
        let Some(word) = current.map(|current| words[current]) else {
            self.read(&others);
            self.place = match words.last() {
                // The text of a filter, or the file of a redirection.
                Some(last) if tokens::opens_tail(last.text) && last.start < at => match last.text {
                    "|" => CursorPlace::Nowhere,
                    _ => {
                        let name = line[last.end()..at].trim_start();
                        CursorPlace::File {
                            start: at - name.len(),
                        }
                    }
                },
                _ => CursorPlace::Key {
                    path: Vec::new(),
                    start: at,
                },
            };
            return;
        };
        let text = &word.text[..at - word.start];
        if text.starts_with('<') {
            let path = text.trim_start_matches(['<', '>']);
            self.read(&others);
            self.place = CursorPlace::File {
                start: at - path.len(),
            };
            return;
        }
        let Some((key, value)) = text.split_once('=') else {
            self.read(&others);
            let (path, last) = text.rsplit_once('.').unwrap_or(("", text));
            self.place = CursorPlace::Key {
                path: segments(path),
                start: at - last.len(),
            };
            return;
        };
        let value_at = word.start + key.len() + 1;
        let key = key.strip_suffix(':').unwrap_or(key);
        let mut path = segments(key);
        if !value.starts_with(['{', '[']) {
            self.read(&others);
            self.place = CursorPlace::Value {
                path,
                start: value_at,
            };
            return;
        }
        let partial = partial_json::read(value);
        self.read_with(&others, Some((key, partial.value)));
        path.extend(partial.path);
        self.place = match partial.place {
            partial_json::JsonPlace::Key(start) => CursorPlace::JsonKey {
                path,
                start: value_at + start,
            },
            partial_json::JsonPlace::Value(start) => CursorPlace::JsonValue {
                path,
                start: value_at + start,
            },
            partial_json::JsonPlace::Nowhere => CursorPlace::Nowhere,
        };
    }

    fn read(&mut self, words: &[Word<'_>]) {
        self.read_with(words, None);
    }

    fn read_with(&mut self, words: &[Word<'_>], current: Option<(&str, Value)>) {
        let mut arguments = Arguments::default();
        for word in words {
            if let Ok((key, value)) = key_value::read(word) {
                let _ = arguments.set(key, value, word.span());
            }
        }
        if let Some((key, value)) = current {
            let _ = arguments.set(key, value, 0..0);
        }
        self.arguments = arguments.finish_with_holes();
    }

    /// Reads a whole message.
    fn message(&mut self, line: &str, word: &Word<'_>, at: usize) {
        let partial = partial_json::read(&line[word.start..at.min(word.end())]);
        let Value::Object(mut members) = partial.value else {
            return;
        };
        let name = ["execute", "exec-oob"]
            .iter()
            .find_map(|key| members.get(*key));
        if let Some(Value::Text(name)) = name {
            self.command = Some(name.clone());
        }
        if let Some(Value::Object(arguments)) = members.swap_remove("arguments") {
            self.arguments = arguments;
        }
        let path: Vec<&str> = partial.path.iter().map(String::as_str).collect();
        self.place = match (partial.place, &path[..]) {
            (partial_json::JsonPlace::Key(start), []) => CursorPlace::MessageKey {
                start: word.start + start,
            },
            (partial_json::JsonPlace::Value(start), ["execute" | "exec-oob"]) => {
                CursorPlace::JsonCommand {
                    start: word.start + start,
                }
            }
            (partial_json::JsonPlace::Key(start), ["arguments", path @ ..]) => {
                CursorPlace::JsonKey {
                    path: owned(path),
                    start: word.start + start,
                }
            }
            (partial_json::JsonPlace::Value(start), ["arguments", path @ ..]) => {
                CursorPlace::JsonValue {
                    path: owned(path),
                    start: word.start + start,
                }
            }
            _ => CursorPlace::Nowhere,
        };
    }
}

pub(super) fn is_builtin(first: &Word<'_>) -> bool {
    first.text.starts_with(':') || PLAIN_BUILTINS.contains(&first.text)
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|segment| (*segment).to_owned()).collect()
}

fn segments(path: &str) -> Vec<String> {
    match path {
        "" => Vec::new(),
        path => path.split('.').map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a line in which `|` marks the cursor.
    fn context(line: &str) -> CursorContext {
        let at = line.find('|').expect("a cursor");
        CursorContext::of(&line.replacen('|', "", 1), at, false)
    }

    fn path(path: &str) -> Vec<String> {
        segments(path)
    }

    #[test]
    fn the_context_says_what_is_at_the_cursor() {
        for (line, place) in [
            ("|", CursorPlace::Command { start: 0 }),
            ("que|", CursorPlace::Command { start: 0 }),
            ("  que|", CursorPlace::Command { start: 2 }),
            (
                "c |",
                CursorPlace::Key {
                    path: path(""),
                    start: 2,
                },
            ),
            (
                "c ke|",
                CursorPlace::Key {
                    path: path(""),
                    start: 2,
                },
            ),
            (
                "c a.b.ke|",
                CursorPlace::Key {
                    path: path("a.b"),
                    start: 6,
                },
            ),
            (
                "c a.|",
                CursorPlace::Key {
                    path: path("a"),
                    start: 4,
                },
            ),
            (
                "c a=|",
                CursorPlace::Value {
                    path: path("a"),
                    start: 4,
                },
            ),
            (
                "c a.b=x|",
                CursorPlace::Value {
                    path: path("a.b"),
                    start: 6,
                },
            ),
            (
                "c a='x y|",
                CursorPlace::Value {
                    path: path("a"),
                    start: 4,
                },
            ),
            (
                "c a:=t|",
                CursorPlace::Value {
                    path: path("a"),
                    start: 5,
                },
            ),
            (
                "c a={'b': {'|",
                CursorPlace::JsonKey {
                    path: path("a.b"),
                    start: 11,
                },
            ),
            (
                "c a=[{'b': |",
                CursorPlace::JsonValue {
                    path: path("a.0.b"),
                    start: 11,
                },
            ),
            (
                "c a=[{'b': |'x'}]",
                CursorPlace::JsonValue {
                    path: path("a.0.b"),
                    start: 11,
                },
            ),
            ("c <>/dev/n|", CursorPlace::File { start: 4 }),
            ("c a=1 > fi|", CursorPlace::File { start: 8 }),
            ("c a=1 > |", CursorPlace::File { start: 8 }),
            ("{|", CursorPlace::MessageKey { start: 1 }),
            ("{'execute': '|", CursorPlace::JsonCommand { start: 12 }),
            (
                "{'execute': 'c', 'arguments': {'a': |",
                CursorPlace::JsonValue {
                    path: path("a"),
                    start: 36,
                },
            ),
        ] {
            assert_eq!(context(line).place, place, "{line}");
        }
    }

    #[test]
    fn arguments_before_and_after_the_cursor_are_read() {
        for (line, command, arguments) in [
            ("c a=1 b| d=2", "c", r#"{"a":1,"d":2}"#),
            ("c a.0=1 a.2=3 |", "c", r#"{"a":[1,null,3]}"#),
            ("c a=1 a=2 b= |", "c", r#"{"a":1,"b":""}"#),
            ("c a={'b': 1, '|", "c", r#"{"a":{"b":1}}"#),
            ("c a={'b': 1, '| d=5", "c", r#"{"a":{"b":1}}"#),
            ("c| a=1", "c", r#"{"a":1}"#),
            (
                "{'execute': 'x', 'arguments': {'a': 1, '|",
                "x",
                r#"{"a":1}"#,
            ),
        ] {
            let context = context(line);
            assert_eq!(context.command.as_deref(), Some(command), "{line}");
            let json = Value::Object(context.arguments).to_json();
            assert_eq!(json, arguments, "{line}");
        }
    }

    #[test]
    fn an_action_of_a_transaction_is_read_as_a_command() {
        let context = context("transaction( a x|");
        assert!(context.action);
        assert_eq!(context.command.as_deref(), Some("a"));
        assert_eq!(
            context.place,
            CursorPlace::Key {
                path: path(""),
                start: 15
            }
        );
    }

    #[test]
    fn the_words_of_a_built_in_are_not_read_as_arguments() {
        let CursorPlace::Builtin {
            name,
            before,
            start,
        } = context(":set output js| x").place
        else {
            panic!("a built-in");
        };
        assert_eq!(
            (name.as_str(), before, start),
            ("set", vec!["output".to_owned()], 12)
        );
    }
}
