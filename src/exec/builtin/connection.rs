//! `:status`, `:connect`, `:disconnect`, and `:oob`.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::lang::{Parser, Statement};
use crate::qmp::{Request, State};
use crate::render::escape_line;
use crate::render::span;
use crate::transport::Endpoint;
use crate::vm;

/// How long `:status` waits for an answer. It is short because a stuck QEMU is when people run `:status`.
const ROUND_TRIP: Duration = Duration::from_secs(1);

pub(super) const STATUS: Builtin = Builtin {
    name: "status",
    forms: &[&[]],
    summary: "show the connection and the server",
    help: "Shows the address, QEMU's version and pid, the number of messages, and the round-trip time.",
    run: |call| Box::pin(status(call.context)),
};

pub(super) const CONNECT: Builtin = Builtin {
    name: "connect",
    forms: &[&[], &[Part::Address]],
    summary: "connect to ADDRESS, or reconnect to the last address",
    help: "ADDRESS is a path, unix:PATH, HOST:PORT, [V6]:PORT, :PORT, tcp:HOST:PORT, fd:N,\n\
           exec:COMMAND LINE, or vm:NAME for the QEMU running here with that -name.",
    run: |call| Box::pin(connect(call)),
};

pub(super) const DISCONNECT: Builtin = Builtin {
    name: "disconnect",
    forms: &[&[]],
    summary: "close the connection, so that another client can use the monitor",
    help: "",
    run: |call| Box::pin(disconnect(call.context)),
};

pub(super) const OOB: Builtin = Builtin {
    name: "oob",
    forms: &[&[Part::OobCommand]],
    summary: "send a command out of band, ahead of commands still running",
    help: "Only commands with `allow-oob` in query-qmp-schema can run out of band.",
    run: |call| Box::pin(async move { oob(call) }),
};

async fn connect(call: &Call<'_>) -> Result<Effect, Failure> {
    let session = &call.context.target.session;
    let endpoint = match &call.args()?[..] {
        [] => session.endpoint().ok_or_else(|| {
            Failure::Usage("no address to reconnect to; use `:connect ADDRESS`".to_owned())
        })?,
        [address] => vm::list::address(address)?.into(),
        _ => return Err(call.usage()),
    };
    refuse_to_leave_launched(call.context)?;
    session.connect(endpoint).await?;
    match session.state() {
        State::Running(_) => Ok(Output::Connected.into()),
        state => Err(Failure::not_connected(&state)),
    }
}

async fn disconnect(context: &Context) -> Result<Effect, Failure> {
    refuse_to_leave_launched(context)?;
    let session = &context.target.session;
    let (before, address) = (session.state(), session.endpoint());
    session.disconnect().await;
    let address = address.map_or(String::new(), |address| address.to_string());
    let notice = match before {
        State::Running(_) => format!("disconnected from {address}"),
        State::Connecting(_) => format!("no longer trying to connect to {address}"),
        state => return Err(Failure::not_connected(&state)),
    };
    Ok(Output::notice(notice).into())
}

/// The monitor of a VM that we launched may be a private socket. Once closed, nobody can connect to it again.
fn refuse_to_leave_launched(context: &Context) -> Result<(), Failure> {
    match context.target.session.endpoint() {
        Some(Endpoint::Launched(_)) => Err(Failure::Usage(
            "this shell stays connected to the VM that it launched; `:vm stop` stops the VM, `:vm restart` restarts it"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

fn oob(call: &Call<'_>) -> Result<Effect, Failure> {
    let client = call.context.target.session.client();
    if client.is_some_and(|client| !client.oob()) {
        return Err(Failure::Usage(
            "out-of-band execution is not enabled on this connection".to_owned(),
        ));
    }
    let words = &call.line.words;
    let mut line = Parser::of(call.context.target.language())
        .parse(words)
        .map_err(|error| Failure::syntax_of(error, words))?;
    match &mut line.statement {
        Statement::Command(command) => {
            command.oob = true;
            Ok(Effect::Send(line))
        }
        Statement::Message(_) => Err(Failure::Usage(
            "to send a whole message out of band, use `exec-oob` in place of `execute`".to_owned(),
        )),
        Statement::Nothing | Statement::Builtin(_) => Err(call.usage()),
    }
}

async fn status(context: &Context) -> Result<Effect, Failure> {
    let session = &context.target.session;
    let Some(client) = session.client() else {
        let address = session.endpoint().map(|address| address.to_string());
        let text = format!(
            "{}\naddress      {}\n",
            Failure::not_connected(&session.state()),
            address.as_deref().map_or("none".into(), escape_line)
        );
        return Ok(Output::text(text).into());
    };
    let started = Instant::now();
    // Any reply will do, even an error.
    let reply = client.send(Request::new("query-version").quietly())?;
    let trip = timeout(context.settings().patience().min(ROUND_TRIP), reply).await;
    let trip = trip.ok().transpose()?.map(|_| started.elapsed());
    let stats = client.stats();
    let version = &client.greeting().version;
    let mut text = format!(
        "address      {}\n",
        escape_line(&client.endpoint().to_string())
    );
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
        None => "round trip   no reply in time\n".to_owned(),
    });
    for served in context.target.share.servings() {
        let address = escape_line(&served.address.to_string()).into_owned();
        let clients = match served.clients.len() {
            0 => "no client".to_owned(),
            1 => "1 client".to_owned(),
            count => format!("{count} clients"),
        };
        text.push_str(&format!("served at    {address} ({clients})\n"));
    }
    let limit = context.settings().patience().min(ROUND_TRIP);
    let monitors = timeout(limit, super::monitor::added(context)).await;
    for monitor in monitors.unwrap_or_default() {
        text.push_str(&format!("monitor at   {}\n", escape_line(&monitor)));
    }
    Ok(Output::text(text).into())
}

/// The distribution's version, to follow QEMU's own.
fn package(package: &str) -> String {
    match package.trim() {
        "" => String::new(),
        package => format!(" ({})", escape_line(package)),
    }
}
