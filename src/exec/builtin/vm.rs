//! `:vm`.

use std::io;

use super::entry::{Builtin, Call, Effect, Part};
use super::wait::{limit, within};
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::render::escape;
use crate::vm::{Stopped, Vm};

pub(super) const VM: Builtin = Builtin {
    name: "vm",
    forms: &[
        &[],
        &[Part::Word(&["stop"]), Part::Flag("--hard", "")],
        &[Part::Word(&["wait"]), Part::Flag("--timeout", "SECS")],
        &[Part::Word(&["restart"])],
        &[
            Part::Word(&["log"]),
            Part::Flag("--all", ""),
            Part::Flag("-f", ""),
        ],
    ],
    summary: "show, stop or restart the launched VM, wait until it has ended, or show its output",
    help: "stop: send `quit`, and kill the VM if it takes too long; with --hard, kill it immediately.
\
           wait: wait until the VM has ended, and fail if it ended abnormally. Without --timeout, the limit for \
           replies applies.\n\
           restart: stop the VM if it is running, and start it again with the same arguments.
\
           log: show the last 200 lines that QEMU has printed; with --all, everything; with -f, keep showing output \
           until QEMU exits.",
    run: |call| Box::pin(vm(call)),
};

async fn vm(call: &Call<'_>) -> Result<Effect, Failure> {
    let target = &call.context.target;
    let Some(vm) = &target.vm else {
        return Err(Failure::Usage(
            "no VM was launched; `qmpsh --launch` launches one".to_owned(),
        ));
    };
    let words = call.args()?;
    if words.first().is_some_and(|word| word == "wait") {
        return wait(call, vm).await;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            let vm = vm.describe();
            let json = serde_json::to_value(&vm).unwrap_or_default();
            Ok(Output::list(escape(&vm.to_string()), &json).into())
        }
        ["stop"] => ended(vm, stop(call.context, vm).await),
        ["stop", "--hard"] => ended(vm, vm.kill().await),
        ["restart"] => {
            let stopped = stop(call.context, vm).await;
            if stopped.is_failure() {
                vm.say(vm.describe_end(stopped));
            }
            target.open(None).await?;
            Ok(match target.session.client() {
                Some(_) => Output::Connected.into(),
                None => Output::notice("the VM is running again").into(),
            })
        }
        ["log", ref flags @ ..] => {
            let (mut all, mut follow) = (false, false);
            for flag in flags {
                match *flag {
                    "--all" => all = true,
                    "-f" => follow = true,
                    _ => return Err(call.usage()),
                }
            }
            log(vm, all, follow)
                .map_err(|error| Failure::Local(format!("cannot read the log: {error}")))
        }
        _ => Err(call.usage()),
    }
}

async fn stop(context: &Context, vm: &Vm) -> Stopped {
    let client = context.target.session.client();
    vm.stop(client.as_deref()).await
}

/// Waits until the VM has ended, whatever ended it.
async fn wait(call: &Call<'_>, vm: &Vm) -> Result<Effect, Failure> {
    let limit = limit(call, &mut call.line.words.clone())?;
    match within(limit, vm.ended()).await {
        Some(stopped) => ended(vm, stopped),
        None => Err(Failure::NotInTime {
            what: "the VM has not ended".to_owned(),
            limit: limit.unwrap_or_default(),
        }),
    }
}

/// What is shown of the end of a VM that was to end.
fn ended(vm: &Vm, stopped: Stopped) -> Result<Effect, Failure> {
    let text = vm.describe_end(stopped);
    match stopped.is_failure() {
        true => Err(Failure::Local(text)),
        false => Ok(Output::notice(text).into()),
    }
}

/// What QEMU printed.
fn log(vm: &Vm, all: bool, follow: bool) -> io::Result<Effect> {
    let log = vm.log(all, follow)?;
    if all || follow {
        return Ok(Output::Follow(log).into());
    }
    Ok(Output::Text {
        text: escape(&log.rest()?).into_owned(),
        notice: log.left_out().unwrap_or_default(),
    }
    .into())
}
