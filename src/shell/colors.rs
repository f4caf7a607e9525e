//! A line in colours while it is typed.

use nu_ansi_term::{Color, Style};

use crate::builtin;
use crate::inspector::Inspector;
use crate::lang::{Outline, Piece, PieceKind, Value, pieces};
use crate::schema::{Builtin, Schema, Type, TypeId, word_as};

use super::complete::root;

/// What a line is judged by.
pub(super) struct Judge<'a> {
    pub inspector: &'a Inspector,
    pub schema: Option<&'a Schema>,
    pub in_transaction: bool,
}

impl Judge<'_> {
    /// `line` in colours. What the cursor, at `at`, is behind may still become right.
    pub fn paint(&self, line: &str, at: usize) -> String {
        let outline = Outline::whole(line, self.in_transaction);
        let given = Value::Object(outline.arguments.clone());
        let root = self.schema.and_then(|schema| root(schema, &outline));
        let mut painted = String::with_capacity(2 * line.len());
        let mut end = 0;
        let mut of = None;
        for Piece { span, kind } in pieces(line) {
            let text = &line[span.clone()];
            let typing = span.end == at;
            let style = match kind {
                PieceKind::Comment => Style::new().dimmed(),
                PieceKind::Builtin => match builtin::find(text) {
                    Some(_) => Style::new().bold(),
                    None if typing => Style::new(),
                    None => wrong(),
                },
                PieceKind::Command => self.command(text, &outline, typing),
                PieceKind::Key => {
                    of = self.resolve(root, &given, text);
                    self.key(text, of, root, &outline, typing)
                }
                PieceKind::Value => self.value(text, of),
            };
            painted.push_str(&line[end..span.start]);
            painted.push_str(&style.paint(text).to_string());
            end = span.end;
        }
        painted.push_str(&line[end..]);
        painted
    }

    fn resolve(&self, root: Option<TypeId>, given: &Value, key: &str) -> Option<TypeId> {
        let path: Vec<&str> = key.split('.').collect();
        self.schema?.resolve(root?, Some(given), &path)
    }

    fn command(&self, name: &str, outline: &Outline, typing: bool) -> Style {
        let Some(schema) = self.schema else {
            return Style::new().bold();
        };
        let is_known = name == "transaction("
            || match outline.action {
                true => root(schema, outline).is_some(),
                false => schema.command(name).is_some(),
            };
        if is_known {
            Style::new().bold()
        } else if typing {
            Style::new()
        } else {
            wrong()
        }
    }

    fn key(
        &self,
        key: &str,
        of: Option<TypeId>,
        root: Option<TypeId>,
        outline: &Outline,
        typing: bool,
    ) -> Style {
        // A command that is unknown says nothing of its keys.
        let is_property = || {
            let driver = match outline.arguments.get("driver") {
                Some(Value::Word(driver) | Value::Text(driver)) => driver,
                _ => return true,
            };
            let known = self.inspector.known_properties(driver);
            known.is_none_or(|known| known.iter().any(|property| property.name == key))
        };
        let is_known = of.is_some()
            || root.is_none()
            || (outline.command.as_deref() == Some("device_add") && is_property());
        if is_known || typing {
            Color::Cyan.normal()
        } else {
            wrong()
        }
    }

    fn value(&self, text: &str, of: Option<TypeId>) -> Style {
        let builtin = match self.schema.zip(of).map(|(schema, of)| schema.get(of)) {
            Some(Type::Builtin(builtin)) => *builtin,
            Some(Type::Enum(_)) => Builtin::Str,
            _ => Builtin::Any,
        };
        match text.chars().next() {
            Some('{' | '[') => return Style::new(),
            Some('"' | '\'') => return Color::Green.normal(),
            _ => {}
        }
        let by_type = word_as(builtin, text).map(|value| value.to_json());
        let json = by_type.unwrap_or_else(|| Value::Word(text.to_owned()).to_json());
        if json.starts_with('"') {
            Color::Green.normal()
        } else {
            Color::Yellow.normal()
        }
    }
}

fn wrong() -> Style {
    Color::Red.normal()
}
