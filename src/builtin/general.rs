//! `:help`, `:set`, and the ways out.

use std::fmt::Write;
use std::time::Duration;

use clap::ValueEnum;

use super::{BUILTINS, Builtin, Completes, Outcome, args, find, usage};
use crate::exit::Failure;
use crate::render::Format;
use crate::runner::Settings;

pub(super) const HELP: Builtin = Builtin {
    name: "help",
    synopsis: "[BUILT-IN]",
    summary: "list the built-ins, or explain one",
    help: "`help` alone, without the colon, does the same.",
    completes: Completes::Topics,
    run: |_, line| Box::pin(async move { help(&args(line)?) }),
};

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
    run: |runner, line| Box::pin(async move { set(&mut runner.settings, &args(line)?) }),
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

fn help(topics: &[String]) -> Result<Outcome, Failure> {
    let Some(topic) = topics.first() else {
        return Ok(Outcome::Text(overview()));
    };
    let Some(builtin) = find(topic) else {
        return Err(Failure::Usage(format!(
            "there is no built-in `{topic}`; help on QMP commands is not built yet"
        )));
    };
    let mut text = format!("{}\n  {}\n", builtin.headline(), builtin.summary);
    for line in builtin.help.lines() {
        let _ = writeln!(text, "  {line}");
    }
    Ok(Outcome::Text(text))
}

fn overview() -> String {
    let mut text = "A line is a QMP command and its arguments:\n  \
                    COMMAND [KEY=VALUE | KEY:=JSON | <PATH]… [&]\n  \
                    {\"execute\": …}              a whole message, sent as typed\n  \
                    transaction(                a line an action, up to `)`\n\n\
                    or a built-in:\n"
        .to_owned();
    for builtin in BUILTINS {
        let _ = writeln!(text, "  {:<26}  {}", builtin.headline(), builtin.summary);
    }
    text.push_str(
        "\nTAB completes, Ctrl-C stops waiting, Ctrl-D leaves. None of them touches the VM.\n",
    );
    text
}

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
            let seconds = value.parse().ok().map(Duration::try_from_secs_f64);
            match seconds {
                Some(Ok(limit)) => settings.timeout = Some(limit),
                _ => {
                    return Err(Failure::Usage(format!(
                        "`{value}` is neither a number of seconds nor `off`"
                    )));
                }
            }
        }
        [name, _] => return Err(no_such_setting(name)),
        _ => return Err(usage(&SET)),
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
    Failure::Usage(format!(
        "there is no setting `{name}`; `:set` alone lists them"
    ))
}
