//! `:alias` and `:unalias`.

use std::sync::Arc;

use super::entry::{Builtin, Call, Effect, Part};
use crate::config;
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::lang::{any_of, conceal, nearest};
use crate::render::clip;

pub(super) const ALIAS: Builtin = Builtin {
    name: "alias",
    forms: &[
        &[],
        &[Part::Name("NAME")],
        &[Part::Name("NAME"), Part::Word(&["="]), Part::Line],
    ],
    summary: "let a name stand for a line; without arguments, list the aliases",
    help: "A line that begins with NAME begins with LINE instead; what follows the name is added to it. Variables in LINE\n\
           have the values that they have then. In the text of an alias, its own name is the command of that name.\n\
           `:set --save` keeps the aliases.",
    run: |call| Box::pin(async move { alias(call) }),
};

pub(super) const UNALIAS: Builtin = Builtin {
    name: "unalias",
    forms: &[&[Part::Name("NAME")]],
    summary: "remove an alias",
    help: "",
    run: |call| Box::pin(async move { unalias(call) }),
};

fn alias(call: &Call<'_>) -> Result<Effect, Failure> {
    if let Some((name, line)) = call.line.words.split_at("=") {
        set(call.context, name.text(), line.text())?;
        let mut settings = call.context.settings_mut();
        settings.prompt.changed.insert(config::ALIAS);
        return Ok(Output::nothing().into());
    }
    let aliases = call.context.settings_mut().aliases.clone();
    match &call.args()?[..] {
        [] => Ok(list(aliases.iter()).into()),
        [name] => {
            let line = aliases.get(name);
            let line = line.ok_or_else(|| unknown(call.context, name))?;
            Ok(list([(&**name, line)].into_iter()).into())
        }
        _ => Err(call.usage()),
    }
}

/// Lets `name` stand for `line`.
///
/// # Errors
///
/// It cannot.
pub(super) fn set(context: &Context, name: &str, line: &str) -> Result<(), Failure> {
    let mut settings = context.settings_mut();
    let aliases = Arc::make_mut(&mut settings.aliases);
    aliases.set(name, line).map_err(Failure::Usage)
}

fn unalias(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let [name] = &args[..] else {
        return Err(call.usage());
    };
    let mut settings = call.context.settings_mut();
    let removed = Arc::make_mut(&mut settings.aliases).remove(name);
    settings.prompt.changed.insert(config::ALIAS);
    drop(settings);
    match removed {
        true => Ok(Output::nothing().into()),
        false => Err(unknown(call.context, name)),
    }
}

fn unknown(context: &Context, name: &str) -> Failure {
    let aliases = context.settings_mut().aliases.clone();
    let near = nearest(name, aliases.iter().map(|(name, _)| name));
    Failure::Usage(match near.is_empty() {
        true => format!("there is no alias `{name}`; `:alias` lists them"),
        false => format!(
            "there is no alias `{name}`; did you mean {}?",
            any_of(&near)
        ),
    })
}

fn list<'a>(aliases: impl Iterator<Item = (&'a str, &'a str)>) -> Output {
    let (mut text, mut json) = (String::new(), serde_json::Map::new());
    for (name, line) in aliases {
        let line = conceal(line);
        text.push_str(&format!("{name} = {}\n", clip(&line)));
        json.insert(name.to_owned(), line.into());
    }
    Output::list(text, &serde_json::Value::Object(json))
}
