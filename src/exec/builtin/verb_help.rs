//! `help` in a dialect whose lines are verbs and their arguments.

use std::fmt::Write;

use tokio::time::timeout;

use super::entry::{Call, Effect};
use crate::context::{Context, Output};
use crate::dialect::verbs::{Verb, resolve};
use crate::failure::Failure;
use crate::lang::{any_of, nearest};
use crate::manual::{Sheet, list};
use crate::render::escape;

/// Help on `words`: everything, a verb, or a topic of a verb.
///
/// # Errors
///
/// There is no such verb, or the server does not say what it has.
pub(super) async fn help(
    call: &Call<'_>,
    words: &[String],
    sheet: Sheet,
    builtins: String,
) -> Result<Effect, Failure> {
    let verbs = verbs(call.context).await;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(first) = words.first() else {
        let text = match &verbs {
            Some(verbs) => format!("{}\n{builtins}", table(sheet, verbs)),
            None => format!("(not connected, so only the built-ins are known)\n\n{builtins}"),
        };
        return Ok(Output::text(text).into());
    };
    let verbs = verbs.unwrap_or_default();
    let text = match resolve(&verbs, &words) {
        Some((verb, taken)) if taken == words.len() => page(verb, sheet),
        Some((verb, 1)) if !verb.topics.is_empty() => {
            return Err(unknown(words[1], &verb.topics));
        }
        Some((verb, _)) => page(verb, sheet),
        None => match search(&verbs, first, sheet) {
            Some(found) => found,
            None => return Err(unknown(first, &verbs)),
        },
    };
    Ok(Output::text(text).into())
}

async fn verbs(context: &Context) -> Option<std::sync::Arc<[Verb]>> {
    let inspector = context.target.inspector();
    let verbs = timeout(context.settings().patience(), inspector.verbs());
    verbs.await.ok().flatten()
}

fn table(sheet: Sheet, verbs: &[Verb]) -> String {
    let rows: Vec<(String, String)> = verbs
        .iter()
        .map(|verb| {
            let summary = verb.summary.lines().next().unwrap_or_default();
            let (headline, summary) = (verb.headline(), escape(summary).into_owned());
            (escape(&headline).into_owned(), summary)
        })
        .collect();
    let rows = rows
        .iter()
        .map(|(headline, summary)| (headline.clone(), summary.as_str()));
    list(sheet, rows)
}

fn page(verb: &Verb, sheet: Sheet) -> String {
    let mut text = format!("{}\n", escape(&verb.headline()));
    for line in verb.summary.lines() {
        let _ = writeln!(text, "  {}", escape(line));
    }
    if !verb.topics.is_empty() && verb.name() != "help" {
        text.push('\n');
        text.push_str(&table(sheet, &verb.topics));
    }
    text
}

/// The verbs and topics that mention `word`.
fn search(verbs: &[Verb], word: &str, sheet: Sheet) -> Option<String> {
    let word = word.to_lowercase();
    let mentions = |verb: &Verb| {
        verb.headline().to_lowercase().contains(&word)
            || verb.summary.to_lowercase().contains(&word)
    };
    let mut found: Vec<Verb> = Vec::new();
    for verb in verbs {
        if mentions(verb) {
            found.push(verb.clone());
        }
        if verb.name() != "help" {
            found.extend(
                verb.topics
                    .iter()
                    .filter(|topic| mentions(topic))
                    .map(|topic| Verb {
                        names: vec![format!("{} {}", verb.name(), topic.name())],
                        ..topic.clone()
                    }),
            );
        }
    }
    (!found.is_empty()).then(|| table(sheet, &found))
}

fn unknown(word: &str, verbs: &[Verb]) -> Failure {
    let near = nearest(word, verbs.iter().map(Verb::name));
    Failure::Usage(match &near[..] {
        [] => format!("nothing matches `{word}`"),
        near => format!("nothing matches `{word}`; did you mean {}?", any_of(near)),
    })
}
