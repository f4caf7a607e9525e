//! Applies what `config.toml` says.

use std::sync::Arc;

use nu_ansi_term::Style;

use super::aliases;
use super::settings::{SETTINGS, apply};
use crate::config::{ALIAS, Config, Entry, MUTE, THEME, Value};
use crate::context::Context;
use crate::failure::Failure;
use crate::lang::{any_of, nearest};
use crate::render::{Role, read_style, set_theme};

/// Applies it, and returns what is wrong with it: each thing with its file and line. What is right applies nevertheless.
pub fn configure(context: &Context, config: &Config) -> Vec<Failure> {
    let unreadable = config.unreadable.clone().map(Failure::Usage);
    let mut wrong: Vec<Failure> = unreadable.into_iter().collect();
    let mut check = |entry: &Entry, applied: Result<(), Failure>| {
        if let Err(failure) = applied {
            let place = config.place(entry.line);
            wrong.push(Failure::Usage(format!("{place}: {failure}")));
        }
    };
    for entry in &config.entries {
        match (&*entry.key, &entry.value) {
            (MUTE, Value::Texts(names)) => {
                context.settings_mut().muted = Arc::new(names.iter().cloned().collect());
            }
            (MUTE, _) => check(entry, Err(not(MUTE, "a list of names: [\"STOP\"]"))),
            (ALIAS, Value::Table(table)) => {
                for alias in table {
                    check(alias, set_alias(context, alias));
                }
            }
            (THEME, Value::Table(table)) => {
                let mut chosen = Vec::new();
                for role in table {
                    let read = read_role(role).map(|role| chosen.push(role));
                    check(role, read);
                }
                set_theme(chosen);
            }
            (THEME, _) => check(entry, Err(not(THEME, "a table: [theme]"))),
            (ALIAS, _) => check(entry, Err(not(ALIAS, "a table: [alias]"))),
            _ => check(entry, set(context, entry)),
        }
    }
    wrong
}

fn set(context: &Context, entry: &Entry) -> Result<(), Failure> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.name == entry.key) else {
        return Err(unknown(&entry.key));
    };
    match setting.text(&entry.value) {
        Some(text) => apply(context, setting.name, &text),
        None => Err(not(setting.name, setting.takes())),
    }
}

fn set_alias(context: &Context, alias: &Entry) -> Result<(), Failure> {
    match &alias.value {
        Value::Text(line) => aliases::set(context, &alias.key, line),
        _ => Err(not(&alias.key, "a line in quotes")),
    }
}

/// How a role is to look.
fn read_role(entry: &Entry) -> Result<(Role, Style), Failure> {
    let role = Role::NAMES.iter().find(|(name, _)| *name == entry.key);
    let Some((_, role)) = role else {
        let near = nearest(&entry.key, Role::NAMES.iter().map(|(name, _)| *name));
        let names = Role::NAMES.map(|(name, _)| name);
        let meant = any_of(if near.is_empty() { &names } else { &near });
        let why = format!("a theme has no `{}`; did you mean {meant}?", entry.key);
        return Err(Failure::Usage(why));
    };
    let style = match &entry.value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(not(&entry.key, "a style in quotes, such as \"bold red\"")),
    };
    let style = read_style(&style).map_err(|word| {
        Failure::Usage(format!(
            "`{word}` is no colour: red, bright-red, …, 0 to 255; nor bold, dimmed, italic, underline or reverse"
        ))
    })?;
    Ok((*role, style))
}

fn not(key: &str, what: &str) -> Failure {
    Failure::Usage(format!("`{key}` must be {what}"))
}

fn unknown(key: &str) -> Failure {
    let names = SETTINGS.iter().map(|setting| setting.name);
    let near = nearest(key, names.chain([MUTE, ALIAS, THEME]));
    Failure::Usage(match near.is_empty() {
        true => format!("there is no setting `{key}`; `:set` lists the settings"),
        false => format!(
            "there is no setting `{key}`; did you mean {}?",
            any_of(&near)
        ),
    })
}
