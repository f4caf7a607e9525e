//! `:status`, `:connect`, `:disconnect`, and `:oob`.

use std::time::{Duration, Instant};

use super::{Builtin, Completes, Outcome, args, usage};
use crate::exit::Failure;
use crate::lang::{self, Line, Parser};
use crate::qmp::Request;
use crate::render::escape;
use crate::runner::Runner;

pub(super) const STATUS: Builtin = Builtin {
    name: "status",
    synopsis: "",
    summary: "show the connection and the server",
    help: "That is its address, version and pid, the messages so far, and the round-trip time.",
    completes: Completes::Nothing,
    run: |runner, _| Box::pin(status(runner)),
};

pub(super) const CONNECT: Builtin = Builtin {
    name: "connect",
    synopsis: "[ADDRESS]",
    summary: "connect there, or again where we were connected last",
    help: "ADDRESS is a path, HOST:PORT, [V6]:PORT, :PORT, unix:PATH or tcp:HOST:PORT.",
    completes: Completes::Files,
    run: |runner, line| Box::pin(connect(runner, line)),
};

pub(super) const DISCONNECT: Builtin = Builtin {
    name: "disconnect",
    synopsis: "",
    summary: "close the connection, so that another client may use the monitor",
    help: "",
    completes: Completes::Nothing,
    run: |runner, _| {
        Box::pin(async {
            match runner.client.take() {
                Some(client) => Ok(Outcome::Notice(format!(
                    "disconnected from {}",
                    client.address()
                ))),
                None => Err(Failure::NotConnected),
            }
        })
    },
};

pub(super) const OOB: Builtin = Builtin {
    name: "oob",
    synopsis: "COMMAND [KEY=VALUE…]",
    summary: "send a command out of band, ahead of those still running",
    help: "Few commands allow it: those with `allow-oob` in query-qmp-schema.",
    completes: Completes::Commands,
    run: |runner, line| Box::pin(async move { oob(runner, line) }),
};

async fn connect(runner: &mut Runner, line: &lang::Builtin) -> Result<Outcome, Failure> {
    match &args(line)?[..] {
        [] => runner.connect().await?,
        [address] => runner.connect_to(address.parse()?).await?,
        _ => return Err(usage(&CONNECT)),
    }
    Ok(Outcome::Connected)
}

fn oob(runner: &Runner, line: &lang::Builtin) -> Result<Outcome, Failure> {
    if runner.client.as_ref().is_some_and(|client| !client.oob()) {
        return Err(Failure::Usage(
            "this connection has no out-of-band execution".to_owned(),
        ));
    }
    let parsed = Parser::default()
        .parse(&line.words)
        .map_err(|error| Failure::syntax(error, line.words.source()))?;
    match parsed {
        Line::Command(mut command) => {
            command.oob = true;
            Ok(Outcome::Command(command))
        }
        Line::Message(_) => Err(Failure::Usage(
            "a whole message says `exec-oob` itself".to_owned(),
        )),
        Line::Empty | Line::Builtin(_) => Err(usage(&OOB)),
    }
}

async fn status(runner: &mut Runner) -> Result<Outcome, Failure> {
    let Some(client) = &runner.client else {
        let address = runner.address.as_ref().map(ToString::to_string);
        return Ok(Outcome::Text(format!(
            "not connected\naddress      {}\n",
            address.as_deref().unwrap_or("none")
        )));
    };
    let started = Instant::now();
    // Any reply will do, a refusal too.
    let reply = client.send(Request::new("query-version").quietly())?;
    let trip = match runner.settings.timeout {
        None => Some(reply.await?),
        Some(limit) => tokio::time::timeout(limit, reply).await.ok().transpose()?,
    }
    .map(|_| started.elapsed());
    let stats = client.stats();
    let version = &client.greeting().version;
    let mut text = format!("address      {}\n", client.address());
    text.push_str(&format!(
        "server       QEMU {}{}\n",
        version.qemu,
        package(&version.package)
    ));
    if let Some(pid) = client.peer_pid() {
        text.push_str(&format!("pid          {pid}\n"));
    }
    text.push_str(&format!(
        "out-of-band  {}\nconnected    for {}\nmessages     {} sent, {} received\n",
        if client.oob() { "enabled" } else { "no" },
        span(stats.since.elapsed()),
        stats.sent,
        stats.received,
    ));
    text.push_str(&match trip {
        Some(trip) => format!("round trip   {:.2} ms\n", trip.as_secs_f64() * 1e3),
        None => "round trip   no answer in time\n".to_owned(),
    });
    Ok(Outcome::Text(escape(&text).into_owned()))
}

/// A distribution's version behind QEMU's own.
fn package(package: &str) -> String {
    match package.trim() {
        "" => String::new(),
        package => format!(" ({package})"),
    }
}

/// A length of time, to the second.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}
