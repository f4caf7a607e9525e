//! `:status`, `:connect`, `:disconnect`, and `:oob`.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output};
use crate::dialect;
use crate::failure::Failure;
use crate::lang::{Parser, Statement};
use crate::qmp::State;
use crate::render::escape_line;
use crate::render::span;
use crate::server::Served;
use crate::transport::Endpoint;
use crate::vm;

/// How long `:status` waits for an answer. It is short because a stuck QEMU is when people run `:status`.
const ROUND_TRIP: Duration = Duration::from_secs(1);

pub(super) const STATUS: Builtin = Builtin {
    name: "status",
    forms: &[&[]],
    summary: "show the connection and the server",
    help: "Shows the address, QEMU's version and pid, the number of messages, and the round-trip time.\n\
           In scripts and to filters it is JSON, with times in seconds: `:status | .pid`.",
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
        let why = Failure::not_connected(&session.state()).to_string();
        let address = session.endpoint().map(|address| address.to_string());
        let shown = address.as_deref().map_or("none".into(), escape_line);
        let text = format!("{why}\naddress      {shown}\n");
        let json = json!({"connected": false, "address": address, "why": why});
        return Ok(Output::list(text, &json).into());
    };
    let started = Instant::now();
    let limit = context.settings().patience().min(ROUND_TRIP);
    // Any reply will do, even an error.
    let reply = client.send(dialect::ping(context.target.dialect))?;
    let trip = timeout(limit, reply).await;
    let trip = trip.ok().transpose()?.map(|_| started.elapsed());
    let stats = client.stats();
    let version = &client.greeting().version;
    let monitors = timeout(limit, super::monitor::added(context)).await;
    let status = Status {
        connected: true,
        address: client.endpoint().to_string(),
        server: context.target.server().await.unwrap_or_default(),
        version: version.qemu.to_string(),
        package: version.package.trim().to_owned(),
        pid: client.peer_pid(),
        oob: client.oob(),
        seconds: stats.since.elapsed().as_secs(),
        sent: stats.sent,
        received: stats.received,
        latency: trip.map(|trip| trip.as_secs_f64()),
        served: context.target.share.servings().iter().map(served).collect(),
        monitors: monitors.unwrap_or_default(),
    };
    let json = serde_json::to_value(&status).unwrap_or_default();
    Ok(Output::list(status.to_string(), &json).into())
}

/// An established connection. Displays as a table.
#[derive(Serialize)]
struct Status {
    connected: bool,
    address: String,
    /// What the server is.
    server: String,
    /// QEMU's own version, and the distribution's.
    version: String,
    package: String,
    pid: Option<i32>,
    /// Whether commands can run out of band.
    oob: bool,
    /// How long the connection has been up.
    seconds: u64,
    /// How many messages were sent, and received.
    sent: u64,
    received: u64,
    /// How long a reply took, in seconds, if it came in time.
    latency: Option<f64>,
    /// Where the VM is served.
    served: Vec<Place>,
    /// The monitors that `:monitor` has added.
    monitors: Vec<String>,
}

/// Where the VM is served, and to how many clients.
#[derive(Serialize)]
struct Place {
    address: String,
    clients: usize,
}

fn served(served: &Served) -> Place {
    Place {
        address: served.address.to_string(),
        clients: served.clients.len(),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "address      {}", escape_line(&self.address))?;
        let package = match &*self.package {
            "" => String::new(),
            package => format!(" ({})", escape_line(package)),
        };
        let server = escape_line(&self.server);
        writeln!(f, "server       {server}{package}")?;
        if let Some(pid) = self.pid {
            writeln!(f, "pid          {pid}")?;
        }
        let oob = if self.oob { "enabled" } else { "no" };
        writeln!(f, "out-of-band  {oob}")?;
        writeln!(f, "connected    for {}", span(self.seconds as f64))?;
        let (sent, received) = (self.sent, self.received);
        writeln!(f, "messages     {sent} sent, {received} received")?;
        match self.latency {
            Some(trip) => writeln!(f, "round trip   {:.2} ms", trip * 1e3)?,
            None => writeln!(f, "round trip   no reply in time")?,
        }
        for Place { address, clients } in &self.served {
            let clients = match clients {
                0 => "no client".to_owned(),
                1 => "1 client".to_owned(),
                count => format!("{count} clients"),
            };
            writeln!(f, "served at    {} ({clients})", escape_line(address))?;
        }
        for monitor in &self.monitors {
            writeln!(f, "monitor at   {}", escape_line(monitor))?;
        }
        Ok(())
    }
}
