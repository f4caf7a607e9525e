//! `:set`, and the settings.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::Value as Json;

use super::entry::{Builtin, Call, Effect, Part};
use crate::config::{self, ALIAS, Change, MUTE};
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::lang::{any_of, nearest, seconds};
use crate::render::{Format, escape_line};

/// A setting, which `:set` changes.
pub struct Setting {
    pub name: &'static str,
    kind: Kind,
    get: fn(&Context) -> String,
    set: fn(&Context, &str) -> Result<(), Failure>,
}

/// What values a setting has.
enum Kind {
    /// `on` or `off`.
    Switch,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A number of seconds, or `off`.
    Seconds,
    /// Any text, or `default`.
    Text,
}

impl Setting {
    /// Those of its values that completion can offer.
    pub fn values(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Switch => &["on", "off"],
            Kind::Choice(values) => values,
            Kind::Seconds => &["off"],
            Kind::Text => &["default"],
        }
    }

    /// What is written for its values in `config.toml`.
    pub(super) fn takes(&self) -> &'static str {
        match self.kind {
            Kind::Switch => "true or false",
            Kind::Choice(_) => "one of its values in quotes",
            Kind::Seconds => "a number of seconds, or \"off\"",
            Kind::Text => "a text in quotes",
        }
    }

    /// A value of `config.toml` as `:set` takes it. `None` if it is of another kind than the values of the setting.
    pub(super) fn text(&self, value: &config::Value) -> Option<String> {
        match (&self.kind, value) {
            (Kind::Switch, config::Value::Switch(on)) => Some(switch(*on)),
            (Kind::Seconds, config::Value::Number(number)) => Some(number.to_string()),
            (_, config::Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// A value as `config.toml` has it.
    fn saved(&self, value: &str) -> config::Value {
        match self.kind {
            Kind::Switch => config::Value::Switch(value == "on"),
            Kind::Seconds if let Ok(number) = value.parse() => config::Value::Number(number),
            _ => config::Value::Text(value.to_owned()),
        }
    }

    /// A value of it as JSON.
    fn json(&self, value: &str) -> Json {
        match self.kind {
            Kind::Switch => (value == "on").into(),
            Kind::Seconds => serde_json::from_str(value).unwrap_or_default(),
            Kind::Choice(_) | Kind::Text => value.into(),
        }
    }
}

/// All settings, by name.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "confirm",
        kind: Kind::Switch,
        get: |context| switch(context.settings_mut().confirm),
        set: |context, value| set_switch(value, &mut context.settings_mut().confirm),
    },
    Setting {
        name: "envelope",
        kind: Kind::Switch,
        get: |context| switch(context.settings_mut().envelope),
        set: |context, value| set_switch(value, &mut context.settings_mut().envelope),
    },
    Setting {
        name: "keep-going",
        kind: Kind::Switch,
        get: |context| switch(context.settings_mut().prompt.keep_going),
        set: |context, value| set_switch(value, &mut context.settings_mut().prompt.keep_going),
    },
    Setting {
        name: "keys",
        kind: Kind::Choice(&["emacs", "vi"]),
        get: |context| {
            let vi = context.settings_mut().prompt.vi_keys;
            if vi { "vi" } else { "emacs" }.to_owned()
        },
        set: |context, value| {
            context.settings_mut().prompt.vi_keys = match value {
                "emacs" => false,
                "vi" => true,
                _ => return Err(neither(value, "emacs", "vi")),
            };
            Ok(())
        },
    },
    Setting {
        name: "output",
        kind: Kind::Choice(&["auto", "pretty", "json", "table", "raw"]),
        get: |context| {
            let format = context.settings_mut().style.format.to_possible_value();
            format.map_or(String::new(), |format| format.get_name().to_owned())
        },
        set: |context, value| {
            let format = Format::from_str(value, false).map_err(|_| {
                Failure::Usage(format!("`{value}` is not auto, pretty, json, table or raw"))
            })?;
            context.settings_mut().style.format = format;
            Ok(())
        },
    },
    Setting {
        name: "pager",
        kind: Kind::Switch,
        get: |context| switch(context.settings_mut().pager),
        set: |context, value| set_switch(value, &mut context.settings_mut().pager),
    },
    Setting {
        name: "probe",
        kind: Kind::Switch,
        get: |context| switch(context.target.probe()),
        set: |context, value| {
            let mut on = false;
            set_switch(value, &mut on)?;
            context.target.set_probe(on);
            Ok(())
        },
    },
    Setting {
        name: "prompt",
        kind: Kind::Text,
        get: |context| {
            let text = context.settings_mut().prompt.text.clone();
            text.unwrap_or_else(|| "default".to_owned())
        },
        set: |context, value| {
            context.settings_mut().prompt.text = (value != "default").then(|| value.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "quiet",
        kind: Kind::Switch,
        get: |context| switch(context.settings_mut().quiet),
        set: |context, value| set_switch(value, &mut context.settings_mut().quiet),
    },
    Setting {
        name: "timeout",
        kind: Kind::Seconds,
        get: |context| {
            let timeout = context.settings_mut().timeout;
            timeout.map_or("off".to_owned(), |limit| limit.as_secs_f64().to_string())
        },
        set: |context, value| {
            let limit = value.parse().ok().and_then(seconds);
            if limit.is_none() && value != "off" {
                let why = format!("`{value}` is neither a number of seconds nor `off`");
                return Err(Failure::Usage(why));
            }
            context.settings_mut().timeout = limit;
            Ok(())
        },
    },
];

pub(super) const SET: Builtin = Builtin {
    name: "set",
    forms: &[
        &[Part::Flag("--save", "")],
        &[Part::Flag("--save", ""), Part::Setting],
    ],
    summary: "show or change a setting, or save what was changed",
    help: "confirm on|off: whether to ask before `quit`, or leaving a VM that `--launch` started, ends the VM.\n\
           envelope on|off: whether to print whole replies instead of just the value.\n\
           keep-going on|off: whether lines that are pasted together go on after one that fails.\n\
           keys emacs|vi: the keys that edit a line.\n\
           output auto|pretty|json|table|raw: how to print values.\n\
           pager on|off: whether to show values longer than two screens, and help longer than one, in $PAGER (less -RFX).\n\
           probe on|off: whether to ask the VM itself for its types if no other QEMU can be asked instead. The VM then \
           loads all its modules, and aborts if those were upgraded since it was started.\n\
           prompt TEXT|default: what the prompt looks like; {name}, {state}, {address} and {version} in TEXT stand for \
           what they say: '{name} {state}> '.\n\
           quiet on|off: whether to leave out empty values, {}.\n\
           timeout SECS|off: how long to wait for each reply.\n\
           --save writes the settings, mutes and aliases that were changed to config.toml.",
    run: |call| Box::pin(async move { set(call) }),
};

fn set(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut words = call.line.words.clone();
    let saves = words.take_flag("--save");
    let args = words.plain();
    let args = args.map_err(|error| Failure::syntax_of(error, &call.line.words))?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        [] if saves => Ok(Output::notice(save(call.context)?).into()),
        [] => Ok(list(call.context, SETTINGS.iter()).into()),
        [name] => {
            let setting = find(name)?;
            Ok(list(call.context, [setting].into_iter()).into())
        }
        [name, value] => {
            let setting = find(name)?;
            (setting.set)(call.context, value)?;
            let mut settings = call.context.settings_mut();
            settings.prompt.changed.insert(setting.name);
            drop(settings);
            Ok(match saves {
                true => Output::notice(save(call.context)?).into(),
                false => Output::nothing().into(),
            })
        }
        _ => Err(call.usage()),
    }
}

/// Changes a setting.
///
/// # Errors
///
/// There is no such setting, or it cannot have this value.
pub fn apply(context: &Context, name: &str, value: &str) -> Result<(), Failure> {
    (find(name)?.set)(context, value)
}

/// The setting of this name.
///
/// # Errors
///
/// There is none.
pub(super) fn find(name: &str) -> Result<&'static Setting, Failure> {
    let found = SETTINGS.iter().find(|setting| setting.name == name);
    found.ok_or_else(|| {
        let near = nearest(name, SETTINGS.iter().map(|setting| setting.name));
        Failure::Usage(match &near[..] {
            [] => format!("there is no setting `{name}`; `:set` lists the settings"),
            near => format!(
                "there is no setting `{name}`; did you mean {}?",
                any_of(near)
            ),
        })
    })
}

/// Writes what was changed to `config.toml`, and returns what to tell the user.
fn save(context: &Context) -> Result<String, Failure> {
    let settings = context.settings();
    if !settings.prompt.configured {
        let why =
            "config.toml is for the prompt, and was not read here, so nothing is written to it";
        return Err(Failure::Usage(why.to_owned()));
    }
    let changed = &settings.prompt.changed;
    let mut file = Change::begin()?;
    for setting in SETTINGS {
        if changed.contains(setting.name) {
            file.set(setting.name, &setting.saved(&(setting.get)(context)));
        }
    }
    if changed.contains(MUTE) {
        let muted = settings.muted.iter().cloned().collect();
        file.set(MUTE, &config::Value::Texts(muted));
    }
    if changed.contains(ALIAS) {
        file.set_aliases(settings.aliases.iter());
    }
    let path = file.path().display().to_string();
    file.write()?;
    let names: Vec<&str> = changed.iter().copied().collect();
    Ok(match names.is_empty() {
        true => format!(
            "nothing was changed that {} does not say",
            escape_line(&path)
        ),
        false => format!("saved to {}: {}", escape_line(&path), names.join(", ")),
    })
}

/// Settings with their values.
fn list(context: &Context, settings: impl Iterator<Item = &'static Setting> + Clone) -> Output {
    let width = settings.clone().map(|setting| setting.name.len()).max();
    let width = width.unwrap_or_default() + 2;
    let (mut text, mut json) = (String::new(), serde_json::Map::new());
    for setting in settings {
        let value = (setting.get)(context);
        let _ = writeln!(text, "{:width$}{}", setting.name, escape_line(&value));
        json.insert(setting.name.to_owned(), setting.json(&value));
    }
    Output::list(text, &Json::Object(json))
}

fn switch(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn set_switch(value: &str, switch: &mut bool) -> Result<(), Failure> {
    *switch = match value {
        "on" => true,
        "off" => false,
        _ => return Err(neither(value, "on", "off")),
    };
    Ok(())
}

fn neither(value: &str, one: &str, other: &str) -> Failure {
    Failure::Usage(format!("`{value}` is neither `{one}` nor `{other}`"))
}
