//! `:set`, and the ways out.

use clap::ValueEnum;

use super::{Builtin, Completes, Outcome, args, usage};
use crate::failure::Failure;
use crate::lang::{any_of, nearest, seconds};
use crate::render::Format;
use crate::runner::Settings;

pub(super) const SET: Builtin = Builtin {
    name: "set",
    synopsis: "[NAME [VALUE]]",
    summary: "show or change a setting",
    help: "confirm on|off: ask before `quit` ends the VM.\n\
           envelope on|off: print whole replies, not just the value.\n\
           output auto|pretty|json|raw: how values are printed.\n\
           timeout SECS|off: how long to wait for a reply.",
    completes: Completes::Words(&[
        ("confirm", &["on", "off"]),
        ("envelope", &["on", "off"]),
        ("output", &["auto", "pretty", "json", "raw"]),
        ("timeout", &["off"]),
    ]),
    run: |runner, line| Box::pin(async move { set(&mut runner.settings_mut(), &args(line)?) }),
};

pub(super) const QUIT: Builtin = Builtin {
    name: "quit",
    synopsis: "",
    summary: "leave qmpsh; the VM goes on",
    help: "`quit` without the colon is QMP's own command, and ends the VM.",
    completes: Completes::Nothing,
    run: |_, _| Box::pin(async { Ok(Outcome::Quit) }),
};

pub(super) const EXIT: Builtin = Builtin {
    name: "exit",
    synopsis: "",
    summary: "the same as :quit; the colon may be left out",
    help: "",
    completes: Completes::Nothing,
    run: |_, _| Box::pin(async { Ok(Outcome::Quit) }),
};

fn set(settings: &mut Settings, args: &[String]) -> Result<Outcome, Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        [] => return Ok(Outcome::Text(list(settings))),
        [name] => {
            let listed = list(settings);
            let line = listed
                .lines()
                .find(|line| line.split_whitespace().next() == Some(name));
            return line
                .map(|line| Outcome::Text(format!("{line}\n")))
                .ok_or_else(|| no_such_setting(name));
        }
        ["confirm", value] => settings.confirm = switch(value)?,
        ["envelope", value] => settings.envelope = switch(value)?,
        ["output", value] => {
            settings.style.format = match Format::from_str(value, false) {
                Ok(Format::Table) => {
                    return Err(Failure::Usage("`output table` is not built yet".to_owned()));
                }
                Ok(format) => format,
                Err(_) => {
                    return Err(Failure::Usage(format!(
                        "`{value}` is not auto, pretty, json or raw"
                    )));
                }
            }
        }
        ["timeout", "off"] => settings.timeout = None,
        ["timeout", value] => {
            let limit = value.parse().ok().and_then(seconds);
            settings.timeout = Some(limit.ok_or_else(|| {
                Failure::Usage(format!(
                    "`{value}` is neither a number of seconds nor `off`"
                ))
            })?);
        }
        [name, _] => return Err(no_such_setting(name)),
        _ => return Err(usage("set")),
    }
    Ok(Outcome::Text(String::new()))
}

fn list(settings: &Settings) -> String {
    let switch = |on| if on { "on" } else { "off" };
    let format = settings.style.format.to_possible_value();
    format!(
        "confirm   {}\nenvelope  {}\noutput    {}\ntimeout   {}\n",
        switch(settings.confirm),
        switch(settings.envelope),
        format.as_ref().map_or("", |format| format.get_name()),
        settings
            .timeout
            .map_or("off".to_owned(), |limit| limit.as_secs_f64().to_string()),
    )
}

fn switch(value: &str) -> Result<bool, Failure> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Failure::Usage(format!("`{value}` is neither on nor off"))),
    }
}

fn no_such_setting(name: &str) -> Failure {
    let Completes::Words(settings) = SET.completes else {
        unreachable!("the names of settings complete");
    };
    let near = nearest(name, settings.iter().map(|(setting, _)| *setting));
    Failure::Usage(match &near[..] {
        [] => format!("there is no setting `{name}`; `:set` alone lists them"),
        near => format!(
            "there is no setting `{name}`; did you mean {}?",
            any_of(near)
        ),
    })
}
