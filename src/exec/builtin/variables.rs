//! `:let`: variables.

use std::sync::Arc;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Output, Settings};
use crate::failure::Failure;
use crate::lang::{MASKED, Value, Words, conceal, is_name, literal, names_secret};
use crate::render::clip;

pub(super) const LET: Builtin = Builtin {
    name: "let",
    forms: &[
        &[],
        &[Part::Name("NAME"), Part::Word(&["="]), Part::Name("'TEXT'")],
        &[Part::Name("NAME"), Part::Word(&["="]), Part::Line],
    ],
    summary: "set a variable to a text or to what a command returns; without arguments, list the variables",
    help: "$NAME and ${NAME} in a line stand for the value, ${NAME.key.0} for a part of it.\n\
           A value that is nothing but a variable is taken as it is, whatever its characters.",
    run: |call| Box::pin(set(call)),
};

async fn set(call: &Call<'_>) -> Result<Effect, Failure> {
    if call.line.words.is_empty() {
        let settings = call.context.settings();
        return Ok(list(&settings).into());
    }
    let Some((name, value)) = call.line.words.split_at("=") else {
        return Err(call.usage());
    };
    let name = name.text();
    if !is_name(name) {
        return Err(Failure::Usage(format!(
            "`{name}` is not the name of a variable; a name has letters, digits and `_`"
        )));
    }
    if value.is_empty() {
        return Err(call.usage());
    }
    let value = match plain(call, &value)? {
        Some(value) => value,
        None => {
            let output = run(call, &value).await?;
            if call.context.settings_mut().dry_run {
                let mut settings = call.context.settings_mut();
                Arc::make_mut(&mut settings.variables).assume(name);
                return Ok(output.into());
            }
            returned(&value, &output)?
        }
    };
    let mut settings = call.context.settings_mut();
    Arc::make_mut(&mut settings.variables).set(name, value);
    Ok(Output::nothing().into())
}

/// The value that is written there: a text in quotes, a number, or another variable.
fn plain(call: &Call<'_>, words: &Words) -> Result<Option<Value>, Failure> {
    // No command starts with a digit.
    let is_value = |c: char| matches!(c, '"' | '\'' | '$') || c.is_ascii_digit();
    if !words.text().starts_with(is_value) {
        return Ok(None);
    }
    match words.value() {
        Ok(Value::Word(text)) => Ok(Some(Value::Text(text))),
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Failure::syntax_of(error, &call.line.words)),
    }
}

/// Runs the line of which the variable gets the value.
async fn run(call: &Call<'_>, words: &Words) -> Result<Output, Failure> {
    let line = call.inner_line(words)?;
    let outcome = call.run(line).await;
    match outcome.failure {
        Some(failure) => Err(failure),
        None => Ok(outcome.output),
    }
}

/// What the line has returned.
fn returned(words: &Words, output: &Output) -> Result<Value, Failure> {
    let json = output.value().ok_or_else(|| {
        let line = conceal(words.text()).into_owned();
        Failure::Usage(format!("`{line}` returns no value"))
    })?;
    literal::parse(&json).map_err(|error| Failure::syntax(error, &json))
}

fn list(settings: &Settings) -> Output {
    let (mut text, mut json) = (String::new(), serde_json::Map::new());
    for (name, value) in settings.variables.iter() {
        let value = match value {
            Some(_) if names_secret(name) => MASKED.to_owned(),
            Some(value) => value.to_json(),
            None => "null".to_owned(),
        };
        text.push_str(&format!("{name} = {}\n", clip(&value)));
        json.insert(
            name.to_owned(),
            serde_json::from_str(&value).unwrap_or_default(),
        );
    }
    Output::list(text, &serde_json::Value::Object(json))
}
