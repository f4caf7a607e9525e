//! What is shown after the cursor: the keys that are missing from the line, or the rest of an older line.

use rustyline::hint::Hint;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::lang::{CursorContext, CursorPlace};
use crate::render::escape_line;
use crate::schema::{Member, Schema};

use super::complete::root;

/// A text shown after the cursor, which is not part of the line.
pub(crate) enum Shown {
    /// The keys that the line lacks.
    Missing(String),
    /// The rest of a line of the history, which the user can accept.
    Ghost(String),
}

impl Shown {
    /// The hint `text`, which is not ours, in at most `columns` columns.
    pub fn note(text: &str, columns: usize) -> Option<Self> {
        let text = escape_line(text);
        let mut width = 0;
        let fits = text.char_indices().find(|(_, c)| {
            width += c.width().unwrap_or(0);
            width + 1 > columns
        });
        Some(Self::Missing(match fits {
            None => text.into_owned(),
            Some((0, _)) => return None,
            Some((end, _)) => format!("{}…", &text[..end]),
        }))
    }
}

impl Hint for Shown {
    fn display(&self) -> &str {
        match self {
            Self::Missing(text) | Self::Ghost(text) => text,
        }
    }

    fn completion(&self) -> Option<&str> {
        match self {
            Self::Missing(_) => None,
            Self::Ghost(text) => Some(text),
        }
    }
}

/// Lists the keys that `line` lacks: the required ones, then the optional ones in brackets, in at most
/// `columns` columns. `None` if no hint should be shown.
pub(crate) fn missing(
    line: &str,
    in_transaction: bool,
    schema: &Schema,
    columns: usize,
) -> Option<Shown> {
    let context = CursorContext::whole(line, in_transaction);
    // In the middle of a command's name or a key, completion helps instead.
    let is_key = |start: &usize| line[*start..].is_empty();
    match CursorContext::of(line, line.len(), in_transaction).place {
        CursorPlace::Command { start } if !is_key(&start) => {}
        CursorPlace::Value { .. } => {}
        CursorPlace::Key { path, start } if path.is_empty() && is_key(&start) => {}
        _ => return None,
    }
    let object = schema.object(root(schema, &context)?)?;
    let members = schema.members(object, &context.arguments).into_iter();
    let lacking = members.filter(|member| !context.arguments.contains_key(&*member.name));
    let (required, optional): (Vec<&Member>, Vec<&Member>) =
        lacking.partition(|member| member.required);
    let name = |member: &&Member| {
        let takes_keys = schema.object(member.of).is_some() || schema.items(member.of).is_some();
        let end = if takes_keys { "." } else { "=" };
        format!("{}{end}", escape_line(&member.name))
    };
    let mut words: Vec<String> = required.iter().map(name).collect();
    let count = words.len();
    words.extend(optional.iter().map(name));
    if count < words.len() {
        words[count].insert(0, '[');
        words.last_mut()?.push(']');
    }
    let mut hint = String::new();
    for word in words {
        let space = if hint.is_empty() && line.ends_with(' ') {
            ""
        } else {
            " "
        };
        if hint.width() + word.width() + 3 > columns {
            hint.push_str(space);
            hint.push('…');
            break;
        }
        hint.push_str(space);
        hint.push_str(&word);
    }
    (!hint.is_empty()).then_some(Shown::Missing(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"[
        {"meta-type": "command", "name": "c", "arg-type": "1", "ret-type": "1"},
        {"meta-type": "command", "name": "none", "arg-type": "2", "ret-type": "2"},
        {"meta-type": "object", "name": "1", "tag": "kind", "members": [
            {"name": "size", "type": "int", "default": null}, {"name": "kind", "type": "str"},
            {"name": "id", "type": "str"}, {"name": "of", "type": "2", "default": null}],
         "variants": [{"case": "ram", "type": "3"}]},
        {"meta-type": "object", "name": "2", "members": []},
        {"meta-type": "object", "name": "3", "members": [{"name": "share", "type": "int"}]},
        {"meta-type": "builtin", "name": "int", "json-type": "int"},
        {"meta-type": "builtin", "name": "str", "json-type": "string"}]"#;

    fn hint(line: &str, columns: usize) -> Option<String> {
        let schema = Schema::read(SCHEMA).expect("a valid schema");
        missing(line, false, &schema, columns).map(|hint| hint.display().to_owned())
    }

    #[test]
    fn required_keys_come_first_and_optional_ones_follow_in_brackets() {
        for (line, expected) in [
            ("c", Some(" kind= id= [size= of.]")),
            ("c ", Some("kind= id= [size= of.]")),
            ("c id=1 ", Some("kind= [size= of.]")),
            ("c kind=ram", Some(" id= share= [size= of.]")),
            ("c kind=ram id=1 size=1 of.x=1 ", Some("share=")),
            ("c ki", None),
            ("none ", None),
            ("nope ", None),
            ("", None),
            (":help ", None),
        ] {
            assert_eq!(hint(line, 80).as_deref(), expected, "{line}");
        }
        assert_eq!(hint("c ", 12).as_deref(), Some("kind= id= …"));
    }
}
