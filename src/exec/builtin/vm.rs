//! `:vm` and `:console`.

use std::sync::Arc;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::qmp::Request;
use crate::render::escape;
use crate::vm::{Console, ConsoleAddress, Stopped, Vm};

pub(super) const VM: Builtin = Builtin {
    name: "vm",
    forms: &[
        &[],
        &[Part::Word(&["stop"]), Part::Flag("--hard", "")],
        &[Part::Word(&["restart"])],
        &[Part::Word(&["log"]), Part::Flag("-f", "")],
    ],
    summary: "show, stop or restart the launched VM, or show its output",
    help: "stop: send `quit`, and kill the VM if it takes too long; with --hard, kill it immediately.\n\
           restart: stop the VM if it is running, and start it again with the same arguments.\n\
           log: show what QEMU has printed; with -f, keep showing output until QEMU exits.",
    run: |call| Box::pin(vm(call)),
};

pub(super) const CONSOLE: Builtin = Builtin {
    name: "console",
    forms: &[&[], &[Part::Name("CHARDEV")], &[Part::Address]],
    summary: "attach the terminal to the guest's console; Ctrl-] detaches",
    help: "Without an argument, attaches to the console that --console adds. CHARDEV is a name from\n\
           query-chardev; ADDRESS is a path or HOST:PORT at which QEMU serves a chardev. Events that arrive\n\
           meanwhile are shown after you detach.",
    run: |call| Box::pin(console(call)),
};

async fn vm(call: &Call<'_>) -> Result<Effect, Failure> {
    let target = &call.context.target;
    let Some(vm) = &target.vm else {
        return Err(Failure::Usage(
            "no VM was launched; `qmpsh --launch` launches one".to_owned(),
        ));
    };
    let words = call.args()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => Ok(Output::text(escape(&vm.describe())).into()),
        ["stop"] => Ok(ended(vm, stop(call.context, vm).await)),
        ["stop", "--hard"] => Ok(ended(vm, vm.kill().await)),
        ["restart"] => {
            stop(call.context, vm).await;
            target.open(None).await?;
            Ok(match target.session.client() {
                Some(_) => Output::Connected.into(),
                None => Output::notice("the VM is running again").into(),
            })
        }
        ["log"] => {
            let log = vm.log().map_err(|error| no_log(&error))?;
            Ok(Output::text(escape(&log)).into())
        }
        ["log", "-f"] => {
            let log = vm.follow_log().map_err(|error| no_log(&error))?;
            Ok(Output::Follow(log).into())
        }
        _ => Err(call.usage()),
    }
}

async fn stop(context: &Context, vm: &Vm) -> Stopped {
    let client = context.target.session.client();
    vm.stop(client.as_deref()).await
}

fn ended(vm: &Vm, stopped: Stopped) -> Effect {
    let notice = match stopped {
        Stopped::Already => "the VM is not running".to_owned(),
        Stopped::Gracefully => "the VM has shut down".to_owned(),
        Stopped::Killed => "the VM was killed (SIGKILL)".to_owned(),
        Stopped::TimedOut => format!(
            "the VM did not shut down within {} s and was killed (SIGKILL)",
            vm.shutdown_timeout().as_secs_f64()
        ),
    };
    Output::notice(notice).into()
}

fn no_log(error: &std::io::Error) -> Failure {
    Failure::Local(format!("cannot read the log: {error}"))
}

async fn console(call: &Call<'_>) -> Result<Effect, Failure> {
    let target = &call.context.target;
    let words = call.args()?;
    let ours = target.vm.as_ref().and_then(|vm| vm.console());
    let address = match (&words[..], ours) {
        ([], Some(console)) => return Ok(Output::Console(console.clone()).into()),
        ([], None) => {
            return Err(Failure::Usage(
                "no console: launch the VM with --launch --console, or use `:console CHARDEV` or \
                 `:console ADDRESS`"
                    .to_owned(),
            ));
        }
        ([name], ours) => match (chardev(call.context, name).await?, ours) {
            // We hold the other end of this chardev.
            (Some(_), Some(console)) if Vm::is_console(name) => {
                return Ok(Output::Console(console.clone()).into());
            }
            (Some(filename), _) => ConsoleAddress::of_chardev(name, &filename)?,
            (None, _) => ConsoleAddress::of_address(&name.parse()?)?,
        },
        _ => return Err(call.usage()),
    };
    let console = Console::at(address.clone()).await;
    let console =
        console.map_err(|error| Failure::Local(format!("cannot attach to {address}: {error}")))?;
    Ok(Output::Console(Arc::new(console)).into())
}

/// QEMU's description of where the chardev `name` is. `None` if there is no such chardev, or no connection.
async fn chardev(context: &Context, name: &str) -> Result<Option<String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Chardev {
        label: String,
        filename: String,
    }
    let Some(client) = context.target.session.client() else {
        return Ok(None);
    };
    let reply = client
        .send(Request::new("query-chardev").quietly())?
        .await?;
    let chardevs: Vec<Chardev> = match reply.value() {
        Ok(value) => serde_json::from_str(value).unwrap_or_default(),
        // Not every server has `query-chardev`.
        Err(_) => Vec::new(),
    };
    let found = chardevs.into_iter().find(|chardev| chardev.label == name);
    Ok(found.map(|chardev| chardev.filename))
}
