//! `:console`, `:expect` and `:send`.

use std::sync::Arc;
use std::time::Duration;

use regex_bites::bytes::Regex;
use tokio::time::sleep;

use super::entry::{Builtin, Call, Effect, Part};
use super::wait::limit;
use crate::context::{Context, Output, Target};
use crate::failure::Failure;
use crate::lang::{quote, typed_text};
use crate::qmp::Request;
use crate::render::{Format, escape, escape_line};
use crate::vm::{Console, ConsoleAddress, Vm};

/// How long to wait before sending more to a guest that takes no more.
const AGAIN: Duration = Duration::from_millis(20);

/// How many lines of the console's output a failed `:expect` shows.
const LINES: usize = 10;

pub(super) const CONSOLE: Builtin = Builtin {
    name: "console",
    forms: &[&[], &[Part::Name("CHARDEV")], &[Part::Address]],
    summary: "attach the terminal to the guest's console; Ctrl-] detaches",
    help: "Without an argument, attaches to the console that --console adds, or to the last one attached to. CHARDEV is a\n\
           name from query-chardev; ADDRESS is a path or HOST:PORT at which QEMU serves a chardev. Events that arrive\n\
           meanwhile are shown after you detach. In a script it only connects, for :expect and :send.",
    run: |call| Box::pin(console(call)),
};

pub(super) const EXPECT: Builtin = Builtin {
    name: "expect",
    forms: &[&[Part::Name("REGEX"), Part::Flag("--timeout", "SECS")]],
    summary: "wait until the console shows something, and print it",
    help: "Searches what the console has shown since the last :expect, and then what it shows next. Quote a REGEX that has\n\
           spaces: :expect 'login: '. `.` does not match a line break; a match has at most 16 KiB.",
    run: |call| Box::pin(expect(call)),
};

pub(super) const SEND: Builtin = Builtin {
    name: "send",
    forms: &[&[Part::Text]],
    summary: "type text into the guest's console",
    help: "The whole rest of the line is TEXT. It can contain ${NAME}, \\n, \\r, \\t, \\xHH and JSON's other escapes; `'…'`\n\
           takes text literally. A shell in the guest needs a \\n at the end.",
    run: |call| Box::pin(send(call)),
};

async fn console(call: &Call<'_>) -> Result<Effect, Failure> {
    let target = &call.context.target;
    let words = call.args()?;
    let ours = target.vm.as_ref().and_then(|vm| vm.console());
    let address = match (&words[..], ours) {
        ([], _) => return Ok(Output::Console(current(target)?).into()),
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
    // The chardev serves one client, which may be us.
    target.set_console(None);
    let console = Console::at(address.clone()).await;
    let console =
        console.map_err(|error| Failure::Local(format!("cannot attach to {address}: {error}")))?;
    let console = Arc::new(console);
    target.set_console(Some(console.clone()));
    Ok(Output::Console(console).into())
}

/// The console last attached to, or the launched VM's.
fn current(target: &Target) -> Result<Arc<Console>, Failure> {
    target.console().ok_or_else(|| {
        Failure::Usage(
            "no console: launch the VM with --launch --console, or use `:console CHARDEV` or \
             `:console ADDRESS`"
                .to_owned(),
        )
    })
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

async fn expect(call: &Call<'_>) -> Result<Effect, Failure> {
    let target = &call.context.target;
    let settings = call.context.settings();
    let mut words = call.line.words.clone();
    let limit = limit(call, &mut words)?;
    let args = words.plain();
    let args = args.map_err(|error| Failure::syntax_of(error, &words))?;
    let [pattern] = &args[..] else {
        return Err(call.usage());
    };
    let regex = Regex::new(pattern).map_err(|error| {
        Failure::Usage(format!("`{pattern}` is not a regular expression: {error}"))
    })?;
    let console = current(target)?;
    let failed = |why: String| {
        let lines = console.last_lines(LINES);
        let lines = lines
            .iter()
            .map(|line| format!("\n    {}", escape_line(line)));
        match lines.len() {
            0 => why,
            _ => why + "; it has shown" + &lines.collect::<String>(),
        }
    };
    tokio::select! {
        biased;
        found = console.expect(&regex) => {
            let found = String::from_utf8_lossy(&found) + "\n";
            let raw = settings.style.format == Format::Raw && !settings.style.terminal;
            call.context.set_last(quote(found.trim_end_matches('\n')).into());
            let text = if raw { found } else { escape(&found).into_owned().into() };
            Ok(Output::text(text).into())
        }
        () = ended(target, &console) => Err(Failure::Console(failed(format!(
            "the VM has ended, and its console has not shown `{pattern}`"
        )))),
        limit = after(limit) => Err(Failure::ConsoleTimeout(failed(format!(
            "the console has not shown `{pattern}` within {} s", limit.as_secs_f64()
        )))),
    }
}

/// Resolves when the launched VM has ended and all that its console showed has been read. Never resolves for the console
/// of another VM, which reconnects.
async fn ended(target: &Target, console: &Arc<Console>) {
    match &target.vm {
        Some(vm) if vm.console().is_some_and(|ours| Arc::ptr_eq(ours, console)) => {
            vm.ended().await;
            let _ = console.connected().wait_for(|connected| !connected).await;
        }
        _ => std::future::pending().await,
    }
}

/// Resolves after a time limit, if there is one.
async fn after(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

async fn send(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = &call.line.words;
    if words.is_empty() {
        return Err(call.usage());
    }
    let text = typed_text(words).map_err(|error| Failure::syntax_of(error, words))?;
    let console = current(&call.context.target)?;
    let limit = call.context.settings().timeout;
    let mut keys = text.as_bytes();
    let sending = async {
        while !keys.is_empty() {
            if !*console.connected().borrow() {
                return Err(Failure::Local("the console is not connected".to_owned()));
            }
            keys = &keys[console.send(keys)..];
            if !keys.is_empty() {
                sleep(AGAIN).await;
            }
        }
        Ok(Output::nothing().into())
    };
    tokio::select! {
        biased;
        sent = sending => sent,
        limit = after(limit) => Err(Failure::ConsoleTimeout(format!(
            "the guest has not read all of the text within {} s", limit.as_secs_f64()
        ))),
    }
}
