//! Colours a line while it is being typed.

use nu_ansi_term::Style;

use crate::context::Inspector;
use crate::dialect::verbs::find;
use crate::exec::builtin;
use crate::lang::{Aliases, CursorContext, Dialect, Span, SpanKind, Value, spans};
use crate::render::Role;
use crate::schema::{Scalar, Schema, Type, TypeId, word_as};

use super::complete::root;

/// Colours lines according to what the server accepts.
pub(super) struct Painter<'a> {
    pub inspector: &'a Inspector,
    pub schema: Option<&'a Schema>,
    pub in_transaction: bool,
    /// The aliases that the line may begin with.
    pub aliases: &'a Aliases,
    /// What the line is written in.
    pub dialect: Dialect,
}

impl Painter<'_> {
    /// Colours `line`. The word that ends at the cursor, at byte `at`, is not marked as wrong, because it may
    /// be incomplete.
    pub fn paint(&self, line: &str, at: usize) -> String {
        if self.dialect.has_verbs() && !line.trim_start().starts_with([':', '#']) {
            return self.verb(line, at);
        }
        let context = CursorContext::whole(line, self.in_transaction);
        let given = Value::Object(context.arguments.clone());
        let root = self.schema.and_then(|schema| root(schema, &context));
        let mut painted = String::with_capacity(2 * line.len());
        let mut end = 0;
        let mut of = None;
        for Span { range, kind } in spans(line) {
            let text = &line[range.clone()];
            let typing = range.end == at;
            let style = match kind {
                SpanKind::Comment => Role::Aside.style(),
                SpanKind::Builtin => match builtin::find(text) {
                    Some(_) => Role::Command.style(),
                    None if typing => Style::new(),
                    None => Role::Wrong.style(),
                },
                SpanKind::Command => self.command(text, &context, typing),
                SpanKind::Key => {
                    of = self.resolve(root, &given, text);
                    self.key(text, of, root, &context, typing)
                }
                SpanKind::Value => self.value(text, of),
            };
            painted.push_str(&line[end..range.start]);
            painted.push_str(&style.paint(text).to_string());
            end = range.end;
        }
        painted.push_str(&line[end..]);
        painted
    }

    /// Colours a line that is a verb and its arguments.
    fn verb(&self, line: &str, at: usize) -> String {
        let start = line.len() - line.trim_start().len();
        let end = line[start..].find(char::is_whitespace);
        let end = end.map_or(line.len(), |length| start + length);
        let verb = &line[start..end];
        let is_known = || match self.inspector.known_verbs() {
            Some(verbs) => find(&verbs, verb.split('/').next().unwrap_or(verb)).is_some(),
            None => true,
        };
        let style = match () {
            () if builtin::find(verb).is_some() || is_known() => Role::Command.style(),
            () if end == at => Style::new(),
            () => Role::Wrong.style(),
        };
        let (before, after) = (&line[..start], &line[end..]);
        format!("{before}{}{after}", style.paint(verb))
    }

    fn resolve(&self, root: Option<TypeId>, given: &Value, key: &str) -> Option<TypeId> {
        let path: Vec<&str> = key.split('.').collect();
        self.schema?.resolve(root?, Some(given), &path)
    }

    fn command(&self, name: &str, context: &CursorContext, typing: bool) -> Style {
        let Some(schema) = self.schema else {
            return Role::Command.style();
        };
        let is_known = name == "transaction("
            || !context.action && self.aliases.get(name).is_some()
            || match context.action {
                true => root(schema, context).is_some(),
                false => schema.command(name).is_some(),
            };
        if is_known {
            Role::Command.style()
        } else if typing {
            Style::new()
        } else {
            Role::Wrong.style()
        }
    }

    fn key(
        &self,
        key: &str,
        of: Option<TypeId>,
        root: Option<TypeId>,
        context: &CursorContext,
        typing: bool,
    ) -> Style {
        // The keys of an unknown command are not marked as wrong.
        let is_property = || {
            let Some(driver) = context.arguments.get("driver").and_then(Value::as_str) else {
                return true;
            };
            let known = self.inspector.known_properties(driver);
            known.is_none_or(|known| known.iter().any(|property| property.name == key))
        };
        let is_known = of.is_some()
            || root.is_none()
            || (context.command.as_deref() == Some("device_add") && is_property());
        if is_known || typing {
            Role::Key.style()
        } else {
            Role::Wrong.style()
        }
    }

    fn value(&self, text: &str, of: Option<TypeId>) -> Style {
        let scalar = match self.schema.zip(of).map(|(schema, of)| schema.get(of)) {
            Some(Type::Scalar(scalar)) => *scalar,
            Some(Type::Enum(_)) => Scalar::Str,
            _ => Scalar::Any,
        };
        match text.chars().next() {
            Some('{' | '[') => return Style::new(),
            Some('"' | '\'') => return Role::Text.style(),
            _ => {}
        }
        let by_type = word_as(scalar, text).map(|value| value.to_json());
        let json = by_type.unwrap_or_else(|| Value::Word(text.to_owned()).to_json());
        if json.starts_with('"') {
            Role::Text.style()
        } else {
            Role::Value.style()
        }
    }
}
