//! `:vm` and `:console`.

use std::sync::Arc;

use super::{Builtin, Completes, Outcome, args, usage};
use crate::failure::Failure;
use crate::lang;
use crate::qmp::Request;
use crate::render::escape;
use crate::runner::Runner;
use crate::vm::{Console, Place, Stopped, Vm};

pub(super) const VM: Builtin = Builtin {
    name: "vm",
    synopsis: "[stop [--hard] | restart | log [-f]]",
    summary: "show, stop or restart the VM that was launched, or show what it printed",
    help: "stop: ask it to `quit`, and kill it if it takes too long; with --hard, kill it at once.\n\
           restart: end it if it runs, and start it with the same arguments.\n\
           log: what QEMU printed; with -f, also what it prints until it ends.",
    completes: Completes::Words(&[("stop", &["--hard"]), ("restart", &[]), ("log", &["-f"])]),
    run: |runner, line| Box::pin(vm(runner, line)),
};

pub(super) const CONSOLE: Builtin = Builtin {
    name: "console",
    synopsis: "[CHARDEV | ADDRESS]",
    summary: "attach the terminal to the guest's console; Ctrl-] detaches",
    help: "Without an argument it is the console of --console. CHARDEV is a name from query-chardev, ADDRESS a\n\
           path or HOST:PORT at which QEMU serves a chardev. Events wait meanwhile, and are shown after.",
    completes: Completes::Files,
    run: |runner, line| Box::pin(console(runner, line)),
};

async fn vm(runner: &Runner, line: &lang::BuiltinLine) -> Result<Outcome, Failure> {
    let Some(vm) = &runner.vm else {
        return Err(Failure::Usage(
            "no VM was launched; `qmpsh --launch` does that".to_owned(),
        ));
    };
    let words = args(line)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => Ok(Outcome::Text(escape(&vm.describe()).into_owned())),
        ["stop"] => Ok(said(vm, stop(runner, vm).await)),
        ["stop", "--hard"] => Ok(said(vm, vm.kill().await)),
        ["restart"] => {
            stop(runner, vm).await;
            runner.open(None).await?;
            Ok(match runner.session.client() {
                Some(client) => Outcome::Connected(client),
                None => Outcome::Notice("the VM runs again".to_owned()),
            })
        }
        ["log"] => {
            let log = vm.log().map_err(|error| no_log(&error))?;
            Ok(Outcome::Text(escape(&log).into_owned()))
        }
        ["log", "-f"] => Ok(Outcome::Follow(
            vm.follow_log().map_err(|error| no_log(&error))?,
        )),
        _ => Err(usage("vm")),
    }
}

async fn stop(runner: &Runner, vm: &Vm) -> Stopped {
    let client = runner.session.client();
    vm.stop(client.as_deref()).await
}

fn said(vm: &Vm, stopped: Stopped) -> Outcome {
    Outcome::Notice(match stopped {
        Stopped::Already => "the VM does not run".to_owned(),
        Stopped::Gracefully => "the VM has shut down".to_owned(),
        Stopped::Killed => "the VM was killed (SIGKILL)".to_owned(),
        Stopped::TimedOut => format!(
            "the VM did not end within {} s and was killed (SIGKILL)",
            vm.shutdown_timeout().as_secs_f64()
        ),
    })
}

fn no_log(error: &std::io::Error) -> Failure {
    Failure::Usage(format!("cannot read the log: {error}"))
}

async fn console(runner: &Runner, line: &lang::BuiltinLine) -> Result<Outcome, Failure> {
    let words = args(line)?;
    let ours = runner.vm.as_ref().and_then(|vm| vm.console());
    let place = match (&words[..], ours) {
        ([], Some(console)) => return Ok(Outcome::Console(console.clone())),
        ([], None) => {
            return Err(Failure::Usage(
                "there is no console; --launch --console gives the guest one, and `:console CHARDEV` or \
                 `:console ADDRESS` names another"
                    .to_owned(),
            ));
        }
        ([name], ours) => match (chardev(runner, name).await?, ours) {
            // The other end of this one is ours.
            (Some(_), Some(console)) if Vm::is_console(name) => {
                return Ok(Outcome::Console(console.clone()));
            }
            (Some(filename), _) => Place::of_chardev(name, &filename).map_err(Failure::Usage)?,
            (None, _) => Place::of_address(&name.parse()?).map_err(Failure::Usage)?,
        },
        _ => return Err(usage("console")),
    };
    let console = Console::at(place.clone()).await;
    let console =
        console.map_err(|error| Failure::Usage(format!("cannot attach to {place}: {error}")))?;
    Ok(Outcome::Console(Arc::new(console)))
}

/// Where the chardev `name` is, as QEMU puts it, if there is one and a connection to ask.
async fn chardev(runner: &Runner, name: &str) -> Result<Option<String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Chardev {
        label: String,
        filename: String,
    }
    let Some(client) = runner.session.client() else {
        return Ok(None);
    };
    let reply = client
        .send(Request::new("query-chardev").quietly())?
        .await?;
    let chardevs: Vec<Chardev> = match reply.value() {
        Ok(value) => serde_json::from_str(value).unwrap_or_default(),
        // Not every server knows of chardevs.
        Err(_) => Vec::new(),
    };
    let found = chardevs.into_iter().find(|chardev| chardev.label == name);
    Ok(found.map(|chardev| chardev.filename))
}
