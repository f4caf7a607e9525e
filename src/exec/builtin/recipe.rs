//! `:recipe`.

use super::entry::{Builtin, Call, Effect, Part};
use super::help::sheet;
use crate::context::Output;
use crate::failure::Failure;
use crate::lang::{Parser, Statement, Value, all_of, any_of, nearest};
use crate::manual::list;
use crate::manual::recipes::{self, RECIPES, Recipe};

pub(super) const RECIPE: Builtin = Builtin {
    name: "recipe",
    forms: &[&[], &[Part::Recipe, Part::Blanks]],
    summary: "list recipes for what people do over QMP, or show one",
    help: "Recipes are files with lines of qmpsh, or shell scripts, which say how they are run. With KEY=VALUE, a recipe's\n\
           lines are shown without comments, after `:let` lines with those values, so that they can be pasted. TAB\n\
           completes the keys, and the values from the VM. `qmpsh -n :recipe NAME >FILE` needs no VM.",
    run: |call| Box::pin(async move { recipe(call) }),
};

fn recipe(call: &Call<'_>) -> Result<Effect, Failure> {
    if call.line.words.is_empty() {
        let all = RECIPES.iter();
        let all = all.map(|recipe| (recipe.name().to_owned(), recipe.title()));
        return Ok(Output::text(list(sheet(call.context), all)).into());
    }
    // What it is called with has the form of a command.
    let line = Parser::default().parse(&call.line.words);
    let line = line.map_err(|error| Failure::syntax_of(error, &call.line.words))?;
    let Statement::Command(given) = line.statement else {
        return Err(call.usage());
    };
    let recipe = named(&given.name)?;
    if given.arguments.is_empty() {
        let keys = recipe.blanks().into_iter();
        let keys: String = keys.map(|blank| format!(" {blank}=…")).collect();
        let notice = match keys.is_empty() || !call.context.settings().style.terminal {
            true => String::new(),
            false => format!("`:recipe {}{keys}` fills it in.", given.name),
        };
        let text = recipe.text.to_owned();
        return Ok(Output::Text { text, notice }.into());
    }
    if recipe.is_script() {
        return Err(Failure::Usage(format!(
            "`{}` is a shell script; it says itself what its arguments are",
            given.name
        )));
    }
    let blanks = recipe.blanks();
    let values = given.arguments.iter().map(|(key, value)| {
        let value = match value {
            Value::Word(text) | Value::Text(text) => text.clone(),
            value => value.to_json(),
        };
        match blanks.contains(&key.as_str()) {
            true => Ok((key.as_str(), value)),
            false if blanks.is_empty() => {
                Err(Failure::Usage(format!("`{}` has no blanks", given.name)))
            }
            false => Err(Failure::Usage(format!(
                "`{}` has no `{key}`; its blanks are {}",
                given.name,
                all_of(&blanks)
            ))),
        }
    });
    let values: Vec<(&str, String)> = values.collect::<Result<_, _>>()?;
    Ok(Output::text(recipe.filled(&values)).into())
}

/// The recipe of this name.
///
/// # Errors
///
/// There is none.
pub(super) fn named(name: &str) -> Result<&'static Recipe, Failure> {
    recipes::find(name).ok_or_else(|| {
        let near = nearest(name, RECIPES.iter().map(Recipe::name));
        Failure::Usage(match near.is_empty() {
            true => format!("there is no recipe `{name}`; `:recipe` lists them"),
            false => format!(
                "there is no recipe `{name}`; did you mean {}?",
                any_of(&near)
            ),
        })
    })
}
