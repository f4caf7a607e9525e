//! `:key` and `:type`: the guest's keyboard.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output};
use crate::exec::query::query;
use crate::failure::Failure;
use crate::lang::typed_text;

/// How long a key is held, and how long it is until the next one is pressed. QEMU does both in its own time, and drops
/// keys if more than some hundred wait.
const HOLD: Duration = Duration::from_millis(20);

/// Names that people use, and the names that QEMU uses (`QKeyCode`).
const ALIASES: [(&str, &str); 14] = [
    ("control", "ctrl"),
    ("del", "delete"),
    ("enter", "ret"),
    ("return", "ret"),
    ("escape", "esc"),
    ("space", "spc"),
    ("ins", "insert"),
    ("pageup", "pgup"),
    ("pagedown", "pgdn"),
    ("super", "meta_l"),
    ("win", "meta_l"),
    ("meta", "meta_l"),
    ("altgr", "alt_r"),
    ("bs", "backspace"),
];

/// The keys of a US keyboard that are no letters or digits: QEMU's name, and what they type without and with Shift.
const SIGNS: [(&str, char, char); 11] = [
    ("minus", '-', '_'),
    ("equal", '=', '+'),
    ("bracket_left", '[', '{'),
    ("bracket_right", ']', '}'),
    ("semicolon", ';', ':'),
    ("apostrophe", '\'', '"'),
    ("grave_accent", '`', '~'),
    ("backslash", '\\', '|'),
    ("comma", ',', '<'),
    ("dot", '.', '>'),
    ("slash", '/', '?'),
];

/// What the digits from 0 type with Shift on a US keyboard.
const SHIFTED_DIGITS: [char; 10] = [')', '!', '@', '#', '$', '%', '^', '&', '*', '('];

pub(super) const KEY: Builtin = Builtin {
    name: "key",
    forms: &[&[Part::Text]],
    summary: "press keys of the guest's keyboard, such as ctrl-alt-delete",
    help: "The keys in one word are pressed together, and words one after the other: :key down down ret. The names are\n\
           QEMU's (`help send-key` has them), and usual ones such as enter, del and win. They name places on a US\n\
           keyboard: what a key types is up to the guest's layout.",
    run: |call| Box::pin(async move { key(call).await }),
};

pub(super) const TYPE: Builtin = Builtin {
    name: "type",
    forms: &[&[Part::Text]],
    summary: "type a text on the guest's keyboard",
    help: "The text is typed on a US keyboard, so the guest must have a US layout for it to arrive unchanged, and other\n\
           characters than those of ASCII cannot be typed. TEXT is as for :send: \\n is Enter, \\t is Tab.",
    run: |call| Box::pin(async move { type_text(call).await }),
};

async fn key(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = call.args()?;
    if words.is_empty() {
        return Err(call.usage());
    }
    let chords: Vec<Vec<String>> = words.iter().map(|word| chord(word)).collect();
    press(call.context, &chords).await
}

async fn type_text(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = &call.line.words;
    if words.is_empty() {
        return Err(call.usage());
    }
    let text = typed_text(words).map_err(|error| Failure::syntax_of(error, words))?;
    let chords: Result<Vec<_>, char> = text.chars().map(|c| typed(c).ok_or(c)).collect();
    let chords = chords.map_err(|c| {
        Failure::Usage(format!(
            "`{}` is not on a US keyboard; nothing was typed",
            c.escape_debug()
        ))
    })?;
    press(call.context, &chords).await
}

/// The names of keys that are joined by `-`.
fn chord(word: &str) -> Vec<String> {
    let name = |name: &str| {
        let name = name.to_ascii_lowercase();
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        alias.map_or(name, |(_, known)| (*known).to_owned())
    };
    word.split('-').map(name).collect()
}

/// The keys of a US keyboard that type a character.
fn typed(c: char) -> Option<Vec<String>> {
    let shifted = |key: &str| vec!["shift".to_owned(), key.to_owned()];
    match c {
        'a'..='z' | '0'..='9' => return Some(vec![c.to_string()]),
        'A'..='Z' => return Some(shifted(&c.to_ascii_lowercase().to_string())),
        ' ' => return Some(vec!["spc".to_owned()]),
        '\n' => return Some(vec!["ret".to_owned()]),
        '\t' => return Some(vec!["tab".to_owned()]),
        _ => {}
    }
    if let Some(digit) = SHIFTED_DIGITS.iter().position(|sign| *sign == c) {
        return Some(shifted(&digit.to_string()));
    }
    let (key, plain, _) = SIGNS
        .iter()
        .find(|(_, plain, other)| [*plain, *other].contains(&c))?;
    Some(match c == *plain {
        true => vec![(*key).to_owned()],
        false => shifted(key),
    })
}

/// Presses the keys of each chord together, and the chords one after the other, as fast as QEMU passes them on.
async fn press(context: &Context, chords: &[Vec<String>]) -> Result<Effect, Failure> {
    for (at, chord) in chords.iter().enumerate() {
        let keys: Vec<_> = chord
            .iter()
            .map(|key| json!({"type": "qcode", "data": key}))
            .collect();
        let hold = u64::try_from(HOLD.as_millis()).unwrap_or(u64::MAX);
        let arguments = json!({"keys": keys, "hold-time": hold});
        query(context, "send-key", Some(arguments)).await?;
        if at + 1 < chords.len() {
            // QEMU waits after each key that is pressed, and after each that is released.
            let keys = u32::try_from(chord.len()).unwrap_or(u32::MAX);
            sleep(HOLD * 2 * keys).await;
        }
    }
    Ok(Output::nothing().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_of_ascii_can_be_typed() {
        for c in ' '..='~' {
            assert!(typed(c).is_some(), "{c}");
        }
        assert_eq!(typed('A'), Some(vec!["shift".to_owned(), "a".to_owned()]));
        assert_eq!(typed('*'), Some(vec!["shift".to_owned(), "8".to_owned()]));
        assert_eq!(typed('é'), None);
    }

    #[test]
    fn keys_have_the_names_that_people_use() {
        assert_eq!(chord("Ctrl-Alt-Del"), ["ctrl", "alt", "delete"]);
        assert_eq!(chord("f12"), ["f12"]);
    }
}
