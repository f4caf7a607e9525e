use std::sync::LazyLock;

use qmpsh::lang::{Object, Parser, Statement, Words};
use qmpsh::manual::{Manual, Sheet};
use qmpsh::render::escape_line;
use qmpsh::schema::Schema;
use serde_json::{Value, json};

use super::complete::at_end;
use super::{assert_harmless, session};

/// How many commands of a schema are looked at: those that were changed come first.
const COMMANDS: usize = 3;

static ENTITIES: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(session::SCHEMA).expect("an array"));

/// A schema with faults: it is refused, or everything that is made of it works. What starts with `[` is the schema
/// itself; other bytes are changes to a real one.
pub fn schema(bytes: &[u8]) {
    if bytes.first() == Some(&b'[') {
        if let Ok(text) = str::from_utf8(bytes)
            && let Ok(schema) = Schema::read(text)
        {
            use_it(&schema, &[]);
        }
        return;
    }
    let mut entities = ENTITIES.clone();
    let mut changed = Vec::new();
    for change in bytes.chunks_exact(4).take(16) {
        if let Some(name) = apply(change, &mut entities) {
            changed.push(name);
        }
    }
    let text = Value::from(entities).to_string();
    if let Ok(schema) = Schema::read(&text) {
        use_it(&schema, &changed);
    }
}

/// Makes one change. Returns the name of what it was made to.
fn apply(change: &[u8], entities: &mut Vec<Value>) -> Option<String> {
    let &[kind, one, other, how] = change else {
        return None;
    };
    // Bytes reach the first 256 of the entities, and the top bits of `kind` the others.
    let place =
        |byte: u8| (usize::from(byte) + 256 * usize::from(kind >> 7)) % entities.len().max(1);
    let (one, other) = (place(one), place(other));
    let name = entities.get(one)?["name"].as_str()?.to_owned();
    let of = entities[other]["name"].clone();
    match kind % 12 {
        0 => drop(entities.remove(one)),
        1 => entities.push(entities[one].clone()),
        2 => entities[one]["name"] = of,
        3 => entities[one]["name"] = hostile(how),
        4 => {
            let kinds = [
                "command",
                "event",
                "object",
                "alternate",
                "enum",
                "array",
                "builtin",
            ];
            entities[one]["meta-type"] = kinds[usize::from(how) % kinds.len()].into();
        }
        5 => {
            for key in ["arg-type", "ret-type", "element-type"] {
                if entities[one].get(key).is_some() {
                    entities[one][key] = of.clone();
                }
            }
        }
        6 => {
            if let Some(member) = some(&mut entities[one]["members"], how) {
                member["type"] = of;
            }
        }
        7 => {
            if let Some(member) = some(&mut entities[one]["members"], how) {
                member["name"] = hostile(how);
                member["default"] = hostile(how);
            }
        }
        8 => {
            if let Some(variant) = some(&mut entities[one]["variants"], how) {
                variant["type"] = of;
                variant["case"] = hostile(how);
            }
        }
        9 => {
            let member = json!({"name": hostile(how), "type": of});
            match &mut entities[one]["members"] {
                Value::Array(members) => members.push(member),
                none => *none = json!([member]),
            }
        }
        10 => entities[one]["tag"] = hostile(how),
        // Each a member of the next.
        _ => {
            let types: Vec<Value> = (0..usize::from(how))
                .map(|level| {
                    let below = if level == 0 {
                        name.clone()
                    } else {
                        format!("deep{}", level - 1)
                    };
                    json!({"meta-type": "object", "name": format!("deep{level}"),
                           "members": [{"name": "a", "type": below}, {"name": "b", "type": of}]})
                })
                .collect();
            entities.extend(types);
            if how > 0 {
                entities[one]["arg-type"] = format!("deep{}", how - 1).into();
            }
        }
    }
    Some(name)
}

fn some(list: &mut Value, which: u8) -> Option<&mut Value> {
    let list = list.as_array_mut()?;
    let count = list.len().max(1);
    list.get_mut(usize::from(which) % count)
}

fn hostile(which: u8) -> Value {
    let texts = [
        "",
        "\u{1b}]52;c;x\u{7}",
        "a\nb",
        "\u{202e}",
        "id",
        "driver",
        "type",
        "password",
        "a.b",
        "0",
        "*",
        "=",
        "'\"",
        "{",
    ];
    match usize::from(which) % (texts.len() + 2) {
        0 => Value::Null,
        1 => json!([[[{}]]]),
        text => texts[text - 2].into(),
    }
}

/// Types, checks, completes and explains some of the commands.
fn use_it(schema: &Schema, changed: &[String]) {
    let sheet = Sheet {
        width: 80,
        color: false,
    };
    let manual = Manual::new(schema, None, sheet);
    let is_changed_once = changed.len() == 1;
    let known = |name: &String| schema.command(name).is_some();
    let changed = changed.iter().filter(|name| known(name)).cloned();
    let mut names: Vec<String> = changed.collect();
    names.extend(
        schema
            .commands()
            .map(|(name, _)| name.to_owned())
            .take(COMMANDS),
    );
    names.truncate(COMMANDS);
    for name in &names {
        if let Some(page) = manual.command(name, &Object::new(), &[]) {
            assert_harmless(&page);
        }
        let line = format!("{name} id=1 driver=file type=qcode a.b=1 name=on ");
        at_end(&line, schema);
        let parsed = Words::split(&line).and_then(|words| Parser::default().parse(&words));
        if let Ok(Statement::Command(mut command)) = parsed.map(|line| line.statement) {
            schema.type_words(&mut command);
            for problem in schema.check(&command) {
                assert_harmless(&escape_line(&problem.to_string()));
            }
        }
    }
    for (name, _) in schema.events().take(COMMANDS) {
        if let Some(page) = manual.event(name) {
            assert_harmless(&page);
        }
    }
    // Both look at the whole of it.
    if is_changed_once {
        assert_harmless(&manual.overview());
        if let Some(page) = manual.search("dev") {
            assert_harmless(&page);
        }
    }
}
