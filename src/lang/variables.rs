//! Variables: `$NAME`, `${NAME}` and `${NAME.key.0}` in the values of a line.
//!
//! They stand in bare words and in `"…"`. A value that is nothing but a variable is that very value, whatever its
//! characters: it is never split or read again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::nearest::{any_of, nearest};
use super::{SyntaxError, Value};

/// Values by name. A variable without one will have one when the line runs; until then it stands for itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables(BTreeMap<String, Option<Value>>);

impl Variables {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), Some(value));
    }

    /// Adds a variable whose value is not known yet.
    pub fn assume(&mut self, name: &str) {
        self.0.insert(name.to_owned(), None);
    }

    /// All variables with their values, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// The value of a bare word at offset `at` of the line.
    ///
    /// # Errors
    ///
    /// It names a variable that does not exist.
    pub(super) fn word(&self, text: &str, at: usize) -> Result<Value, SyntaxError> {
        let Some((before, reference, after)) = Reference::first_in(text, at)? else {
            return Ok(Value::Word(text.to_owned()));
        };
        if before.is_empty() && after.is_empty() {
            return Ok(match reference.value(self)? {
                // A text is given its type by the schema, as if it were typed here.
                Some(Value::Text(text)) => Value::Word(text.clone()),
                Some(value) => value.clone(),
                None => Value::Word(text.to_owned()),
            });
        }
        Ok(Value::Word(self.text(text, at)?.into_owned()))
    }

    /// `text`, which is at offset `at` of the line, with the values of its variables.
    ///
    /// # Errors
    ///
    /// It names a variable that does not exist.
    pub(super) fn text<'a>(&self, text: &'a str, at: usize) -> Result<Cow<'a, str>, SyntaxError> {
        self.replace(text, at, |value| match value {
            Value::Text(text) | Value::Word(text) => text.clone(),
            value => value.to_json(),
        })
    }

    /// The same for the inside of a `"…"`, which is still to be read as JSON.
    ///
    /// # Errors
    ///
    /// As for [`Variables::text`].
    pub(super) fn quoted<'a>(&self, text: &'a str, at: usize) -> Result<Cow<'a, str>, SyntaxError> {
        self.replace(text, at, |value| {
            let json = match value {
                Value::Text(text) | Value::Word(text) => super::quote(text),
                value => super::quote(&value.to_json()),
            };
            json[1..json.len() - 1].to_owned()
        })
    }

    /// The same for a text in another language, in which only `${NAME}` is a variable. `read` reads what is between the
    /// variables.
    ///
    /// # Errors
    ///
    /// It names a variable that does not exist, or `read` fails.
    pub(super) fn braced(
        &self,
        text: &str,
        at: usize,
        read: impl Fn(&str) -> Result<String, SyntaxError>,
    ) -> Result<String, SyntaxError> {
        let mut replaced = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let end = rest[start..]
                .find('}')
                .map_or(rest.len(), |end| start + end + 1);
            let (before, reference) = rest.split_at(start);
            let (reference, after) = reference.split_at(end - start);
            replaced.push_str(&read(before)?);
            let offset = text.len() - rest.len() + start;
            replaced.push_str(&self.text(reference, at + offset)?);
            rest = after;
        }
        replaced.push_str(&read(rest)?);
        Ok(replaced)
    }

    fn replace<'a>(
        &self,
        text: &'a str,
        at: usize,
        show: impl Fn(&Value) -> String,
    ) -> Result<Cow<'a, str>, SyntaxError> {
        let mut replaced = String::new();
        let mut rest = text;
        let start = |rest: &str| at + text.len() - rest.len();
        while let Some((before, reference, after)) = Reference::first_in(rest, start(rest))? {
            replaced.push_str(before);
            match reference.value(self)? {
                Some(value) => replaced.push_str(&show(value)),
                None => replaced.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        if rest.len() == text.len() {
            return Ok(text.into());
        }
        replaced.push_str(rest);
        Ok(replaced.into())
    }
}

/// A variable as it is named in a line.
struct Reference<'a> {
    /// Its name, and the keys into its value.
    path: &'a str,
    /// Where it is on the line.
    span: Range<usize>,
}

impl<'a> Reference<'a> {
    /// The first variable in `text`, with what is before and after it.
    fn first_in(text: &'a str, at: usize) -> Result<Option<(&'a str, Self, &'a str)>, SyntaxError> {
        for (dollar, _) in text.match_indices('$') {
            let rest = &text[dollar + 1..];
            let (path, length) = if let Some(inner) = rest.strip_prefix('{') {
                let Some(length) = inner.find('}') else {
                    let span = at + dollar..at + dollar + 2;
                    return Err(SyntaxError::new("`${` is never closed", span)
                        .help("write ${NAME}, or put the text in '…'"));
                };
                (&inner[..length], length + 2)
            } else {
                let name = &rest[..name_length(rest)];
                (name, name.len())
            };
            if length == 0 {
                continue;
            }
            let end = dollar + 1 + length;
            let span = at + dollar..at + end;
            let reference = Self { path, span };
            return Ok(Some((&text[..dollar], reference, &text[end..])));
        }
        Ok(None)
    }

    /// Its value, if it is known yet.
    fn value<'v>(&self, variables: &'v Variables) -> Result<Option<&'v Value>, SyntaxError> {
        let error = |message: String| SyntaxError::new(message, self.span.clone());
        let mut keys = self.path.split('.');
        let name = keys.next().unwrap_or_default();
        if !is_name(name) {
            return Err(error(format!("`{name}` is not the name of a variable"))
                .help("a name has letters, digits and `_`; in '…' a `$` is a `$`"));
        }
        let Some(value) = variables.0.get(name) else {
            let near = nearest(name, variables.iter().map(|(name, _)| name));
            let near: Vec<String> = near.iter().map(|name| format!("${name}")).collect();
            return Err(error(format!("there is no variable `{name}`")).help(
                match near.is_empty() {
                    true => format!(
                        "set it with `:let {name} = …` or --var {name}=…; in '…' a `$` is a `$`"
                    ),
                    false => format!("did you mean {}?", any_of(&near)),
                },
            ));
        };
        let Some(mut value) = value.as_ref() else {
            return Ok(None);
        };
        for key in keys {
            let found = match value {
                Value::Object(members) => members.get(key),
                Value::Array(items) => key.parse().ok().and_then(|at: usize| items.get(at)),
                _ => None,
            };
            value = found.ok_or_else(|| {
                let error = error(format!("the variable `{name}` has no `{}`", self.path));
                match value {
                    Value::Object(members) => {
                        let keys: Vec<&String> = members.keys().take(KEYS).collect();
                        error.help(format!("what it has there is {}", any_of(&keys)))
                    }
                    _ => error,
                }
            })?;
        }
        Ok(Some(value))
    }
}

/// The variables that a text names: where, and their names.
pub fn variables_in(text: &str) -> Vec<(Range<usize>, &str)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Ok(Some((_, reference, after))) = Reference::first_in(rest, text.len() - rest.len()) {
        let (name, _) = reference
            .path
            .split_once('.')
            .unwrap_or((reference.path, ""));
        found.push((reference.span, name));
        rest = after;
    }
    found
}

/// How many keys to list in an error.
const KEYS: usize = 20;

/// Whether `name` can be the name of a variable: that of one in jq, without its `$`.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name_length(name) == name.len()
}

/// The length of the name that `text` starts with, in bytes; 0 if there is none.
fn name_length(text: &str) -> usize {
    let is_part = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit()
    };
    let mut parts = text.char_indices();
    let end = parts.find(|part| !is_part(*part));
    end.map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Parser, Statement, Words};
    use super::*;
    use std::sync::Arc;

    fn variables() -> Arc<Variables> {
        let mut variables = Variables::default();
        let text = |text: &str| Value::Text(text.to_owned());
        variables.set("n", text("5"));
        variables.assume("later");
        variables.set("odd", text("a b'{\"$n"));
        variables.set(
            "x",
            super::super::literal::parse(r#"{"a-b": [1, {"c": "d"}]}"#).expect("x"),
        );
        Arc::new(variables)
    }

    fn command(line: &str) -> Result<Command, SyntaxError> {
        let words = Words::split(line)?.with_variables(variables());
        match Parser::default().parse(&words)?.statement {
            Statement::Command(command) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    fn value(text: &str) -> Value {
        let mut command = command(&format!("c k={text}")).expect(text);
        command.arguments.swap_remove("k").expect("it was given")
    }

    #[test]
    fn a_value_that_is_nothing_but_a_variable_is_that_very_value() {
        assert_eq!(value("$n"), Value::Word("5".into()));
        assert_eq!(value("${n}"), Value::Word("5".into()));
        assert_eq!(value("$odd"), Value::Word("a b'{\"$n".into()));
        assert_eq!(value("${x.a-b.0}"), Value::Number("1".into()));
        assert_eq!(value("${x.a-b.1.c}"), Value::Word("d".into()));
        assert_eq!(value("$x").to_json(), r#"{"a-b":[1,{"c":"d"}]}"#);
    }

    #[test]
    fn variables_are_replaced_in_bare_words_and_double_quotes_alone() {
        assert_eq!(value("/d/$n/${n}0"), Value::Word("/d/5/50".into()));
        assert_eq!(value(r#""$odd\n$n""#), Value::Text("a b'{\"$n\n5".into()));
        assert_eq!(
            value(r#""${x.a-b}""#),
            Value::Text(r#"[1,{"c":"d"}]"#.into())
        );
        assert_eq!(value("'$n'"), Value::Text("$n".into()));
        assert_eq!(value(r#""\u0024n""#), Value::Text("$n".into()));
    }

    #[test]
    fn a_variable_whose_value_is_not_known_yet_stands_for_itself() {
        assert_eq!(value("${later.a}"), Value::Word("${later.a}".into()));
        assert_eq!(value("\"$later/$n\""), Value::Text("$later/5".into()));
    }

    #[test]
    fn a_dollar_before_anything_else_is_a_dollar() {
        for text in ["$", "a$", "$5", "$$", "$-x", "a$/b"] {
            assert_eq!(value(text), Value::Word(text.into()));
        }
    }

    #[test]
    fn an_unknown_variable_is_an_error_where_it_stands() {
        for (line, span, message, help) in [
            (
                "c k=a$od.b",
                5..8,
                "there is no variable `od`",
                "did you mean `$odd`?",
            ),
            (
                "c k=${x.q}",
                4..10,
                "the variable `x` has no `x.q`",
                "what it has there is `a-b`",
            ),
            (
                "c k=${x.a-b.2}",
                4..14,
                "the variable `x` has no `x.a-b.2`",
                "",
            ),
            (
                "c k=${",
                4..6,
                "`${` is never closed",
                "write ${NAME}, or put the text in '…'",
            ),
        ] {
            let error = command(line).expect_err(line);
            assert_eq!((error.span, error.message.as_str()), (span, message));
            assert_eq!(error.help.unwrap_or_default(), help, "{line}");
        }
        let error = command("c k=$unheard").expect_err("no such variable");
        assert!(
            error
                .help
                .is_some_and(|help| help.contains("--var unheard="))
        );
    }
}
