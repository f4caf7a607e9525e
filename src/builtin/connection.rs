//! `:status`, `:connect`, `:disconnect`, and `:oob`.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{Builtin, Completes, Outcome, args, span, usage};
use crate::failure::Failure;
use crate::lang::{self, Line, Parser};
use crate::qmp::{Request, State};
use crate::render::escape;
use crate::runner::Runner;
use crate::transport::{Address, Endpoint};

/// How long `:status` waits for an answer. When QEMU is stuck, one asks all the more.
const ROUND_TRIP: Duration = Duration::from_secs(1);

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
    help: "ADDRESS is a path, HOST:PORT, [V6]:PORT, :PORT, unix:PATH, tcp:HOST:PORT, fd:N\n\
           or exec:COMMAND LINE.",
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
            stays(runner)?;
            let (before, address) = (runner.session.state(), runner.session.endpoint());
            runner.session.disconnect().await;
            let address = address.map_or(String::new(), |address| address.to_string());
            match before {
                State::Running(_) => Ok(Outcome::Notice(format!("disconnected from {address}"))),
                State::Connecting(_) => Ok(Outcome::Notice(format!(
                    "no longer trying to connect to {address}"
                ))),
                state => Err(Failure::not_connected(&state)),
            }
        })
    },
};

pub(super) const OOB: Builtin = Builtin {
    name: "oob",
    synopsis: "COMMAND [KEY=VALUE…]",
    summary: "send a command out of band, ahead of those still running",
    help: "Few commands allow it: those with `allow-oob` in query-qmp-schema.",
    completes: Completes::OobCommands,
    run: |runner, line| Box::pin(async move { oob(runner, line) }),
};

async fn connect(runner: &Runner, line: &lang::BuiltinLine) -> Result<Outcome, Failure> {
    let endpoint = match &args(line)?[..] {
        [] => runner
            .session
            .endpoint()
            .ok_or_else(|| Failure::Usage("no address: say :connect ADDRESS".to_owned()))?,
        [address] => address.parse::<Address>()?.into(),
        _ => return Err(usage("connect")),
    };
    stays(runner)?;
    runner.session.connect(endpoint).await?;
    match runner.session.state() {
        State::Running(client) => Ok(Outcome::Connected(client)),
        state => Err(Failure::not_connected(&state)),
    }
}

/// The monitor of a VM that we launched may be ours alone. Closed, it is lost to everybody.
fn stays(runner: &Runner) -> Result<(), Failure> {
    match runner.session.endpoint() {
        Some(Endpoint::Launched(_)) => Err(Failure::Usage(
            "this shell launched its VM and stays with it; `:vm stop` ends it, `:vm restart` starts it again"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

fn oob(runner: &Runner, line: &lang::BuiltinLine) -> Result<Outcome, Failure> {
    if runner.session.client().is_some_and(|client| !client.oob()) {
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
        Line::Empty | Line::Builtin(_) => Err(usage("oob")),
    }
}

async fn status(runner: &Runner) -> Result<Outcome, Failure> {
    let Some(client) = runner.session.client() else {
        let address = runner.session.endpoint().map(|address| address.to_string());
        let text = format!(
            "{}\naddress      {}\n",
            Failure::not_connected(&runner.session.state()),
            address.as_deref().unwrap_or("none")
        );
        return Ok(Outcome::Text(escape(&text).into_owned()));
    };
    let started = Instant::now();
    // Any reply will do, a refusal too.
    let reply = client.send(Request::new("query-version").quietly())?;
    let trip = timeout(runner.settings().patience().min(ROUND_TRIP), reply).await;
    let trip = trip.ok().transpose()?.map(|_| started.elapsed());
    let stats = client.stats();
    let version = &client.greeting().version;
    let mut text = format!("address      {}\n", client.endpoint());
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
        span(stats.since.elapsed().as_secs_f64().floor()),
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
