//! `:set`, `:fail`, `:quit` and `:exit`.

use clap::ValueEnum;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Output, Settings, Target};
use crate::failure::Failure;
use crate::lang::{any_of, nearest, seconds};
use crate::render::Format;

/// The settings, each with those of its values that completion can offer.
const SETTINGS: &[(&str, &[&str])] = &[
    ("confirm", &["on", "off"]),
    ("envelope", &["on", "off"]),
    ("output", &["auto", "pretty", "json", "table", "raw"]),
    ("probe", &["on", "off"]),
    ("quiet", &["on", "off"]),
    ("timeout", &["off"]),
];

pub(super) const SET: Builtin = Builtin {
    name: "set",
    forms: &[&[], &[Part::Setting(SETTINGS)]],
    summary: "show or change a setting",
    help: "confirm on|off: whether to ask before `quit` ends the VM.\n\
           envelope on|off: whether to print whole replies instead of just the value.\n\
           output auto|pretty|json|table|raw: how to print values.\n\
           probe on|off: whether to ask the VM itself for its types if no other QEMU can be asked instead. The VM then \
           loads all its modules, and aborts if those were upgraded since it was started.\n\
           quiet on|off: whether to leave out empty values, {}.\n\
           timeout SECS|off: how long to wait for each reply.",
    run: |call| Box::pin(async move { set(call) }),
};

pub(super) const FAIL: Builtin = Builtin {
    name: "fail",
    forms: &[&[Part::Optional(&[Part::Name("TEXT")])]],
    summary: "fail with TEXT: a script ends there, with exit status 1",
    help: "",
    run: |call| {
        Box::pin(async move {
            let text = call.args()?.join(" ");
            Err(Failure::Failed(match text.is_empty() {
                true => "failed".to_owned(),
                false => text,
            }))
        })
    },
};

pub(super) const QUIT: Builtin = Builtin {
    name: "quit",
    forms: &[&[Part::Optional(&[Part::Name("STATUS")])]],
    summary: "leave qmpsh; the VM keeps running",
    help: "A script ends there, with exit status STATUS if one is given. `quit` without the colon is a QMP command and\n\
           ends the VM.",
    run: |call| Box::pin(async move { quit(call) }),
};

pub(super) const EXIT: Builtin = Builtin {
    name: "exit",
    forms: &[&[Part::Optional(&[Part::Name("STATUS")])]],
    summary: "the same as :quit; the colon may be left out",
    help: "",
    run: |call| Box::pin(async move { quit(call) }),
};

fn quit(call: &Call<'_>) -> Result<Effect, Failure> {
    let status =
        match &call.args()?[..] {
            [] => None,
            [status] => Some(status.parse().map_err(|_| {
                Failure::Usage(format!("`{status}` is not an exit status: 0 to 255"))
            })?),
            _ => return Err(call.usage()),
        };
    Ok(Output::Quit(status).into())
}

fn set(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let target = &call.context.target;
    let settings = &mut *call.context.settings_mut();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        [] => return Ok(Output::text(list(settings, target)).into()),
        [name] => {
            let listed = list(settings, target);
            let line = listed
                .lines()
                .find(|line| line.split_whitespace().next() == Some(name));
            return line
                .map(|line| Output::text(format!("{line}\n")).into())
                .ok_or_else(|| no_such_setting(name));
        }
        ["confirm", value] => settings.confirm = switch(value)?,
        ["envelope", value] => settings.envelope = switch(value)?,
        ["output", value] => {
            settings.style.format = match Format::from_str(value, false) {
                Ok(format) => format,
                Err(_) => {
                    return Err(Failure::Usage(format!(
                        "`{value}` is not auto, pretty, json, table or raw"
                    )));
                }
            }
        }
        ["quiet", value] => settings.quiet = switch(value)?,
        ["probe", value] => target.set_probe(switch(value)?),
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
        _ => return Err(call.usage()),
    }
    Ok(Output::nothing().into())
}

fn list(settings: &Settings, target: &Target) -> String {
    let switch = |on| if on { "on" } else { "off" };
    let format = settings.style.format.to_possible_value();
    format!(
        "confirm   {}\nenvelope  {}\noutput    {}\nprobe     {}\nquiet     {}\ntimeout   {}\n",
        switch(settings.confirm),
        switch(settings.envelope),
        format.as_ref().map_or("", |format| format.get_name()),
        switch(target.probe()),
        switch(settings.quiet),
        settings
            .timeout
            .map_or("off".to_owned(), |limit| limit.as_secs_f64().to_string()),
    )
}

fn switch(value: &str) -> Result<bool, Failure> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Failure::Usage(format!(
            "`{value}` is neither `on` nor `off`"
        ))),
    }
}

fn no_such_setting(name: &str) -> Failure {
    let near = nearest(name, SETTINGS.iter().map(|(setting, _)| *setting));
    Failure::Usage(match &near[..] {
        [] => format!("there is no setting `{name}`; `:set` lists the settings"),
        near => format!(
            "there is no setting `{name}`; did you mean {}?",
            any_of(near)
        ),
    })
}
