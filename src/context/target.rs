use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::inspector::Inspector;
use super::log::Log;
use super::server_kind::ServerKind;
use super::traffic::{self, Echo};
use super::types::{Probe, Types};
use super::unasked::unasked_patience;
use crate::dialect::{self, Memory};
use crate::failure::Failure;
use crate::lang::{Dialect, Language};
use crate::qmp::{self, Direction, Notice, NoticeSender, Notices, Passing, Retry, Session, Tap};
use crate::render;
use crate::schema::Schema;
use crate::server::{Note, Policy, Share};
use crate::transport::{Endpoint, ServerSocket, StreamEnd, Tls};
use crate::vm::{Console, Vm};

/// How to reach a target, and what to do with its messages.
pub struct TargetPlan {
    /// Where to connect; `None` for a VM to launch or a dry run.
    pub endpoint: Option<Endpoint>,
    /// How to negotiate a connection.
    pub options: qmp::Options,
    /// Whether to retry a connection.
    pub retry: Retry,
    /// What the server speaks.
    pub dialect: Dialect,
    /// The schema to use instead of the server's own.
    pub schema: Option<Arc<Schema>>,
    /// The VM to launch, if any.
    pub vm: Option<Arc<Vm>>,
    /// Print every message.
    pub verbose: bool,
    /// The file to which every message is appended.
    pub log: Option<PathBuf>,
    /// Where to serve the VM to others.
    pub serve: Vec<ServerSocket>,
    /// What they may do; `None` is everything.
    pub policy: Option<Policy>,
}

impl TargetPlan {
    /// Makes the target, serves it to others if that is planned, and opens the log. `echo` shows messages, if that is
    /// planned. The notices say what happens to the session unasked; the log is written while it is kept. Nothing is
    /// connected yet.
    ///
    /// # Errors
    ///
    /// The log cannot be written.
    pub fn begin(mut self, echo: Echo) -> anyhow::Result<(Target, Notices, Option<Log>)> {
        let log = self.log.as_deref().map(Log::open).transpose()?;
        self.options.tap = traffic::tap(self.verbose.then_some(echo), log.as_ref());
        let (target, notices) =
            Target::new(self.options, self.retry, self.schema, self.vm, self.dialect);
        for socket in self.serve {
            target.share.serve(socket, self.policy.clone());
        }
        Ok((target, notices, log))
    }
}

/// A server: the session with it, and what is known about it. Clones share the same state.
#[derive(Clone)]
pub struct Target {
    /// The connection, and what was received on it.
    pub session: Arc<Session>,
    /// The VM, if we launched it.
    pub vm: Option<Arc<Vm>>,
    /// Serves the VM to others.
    pub share: Arc<Share>,
    /// The credentials for TCP connections, if there are any.
    pub tls: Option<Tls>,
    /// What the server speaks.
    pub dialect: Dialect,
    /// What its lines leave behind for those after them.
    pub memory: Arc<Memory>,
    /// The schema to use instead of the server's own.
    schema: Option<Arc<Schema>>,
    inspector: Arc<Mutex<Arc<Inspector>>>,
    probe: Arc<Probe>,
    /// Where the last VM was that is known, and its name.
    last_name: Arc<Mutex<(String, Option<String>)>>,
    /// The console last attached to, other than the launched VM's.
    console: Arc<Mutex<Option<Arc<Console>>>>,
    /// The number of the first message that arrived after the last command that changed something was sent.
    wait_from: Arc<AtomicU64>,
}

impl Target {
    /// The failure of a line that needs a connection, if there is none.
    pub fn not_connected(&self) -> Failure {
        let state = self.session.state();
        match self.vm {
            Some(_) => Failure::not_connected_to_launched(&state),
            None => Failure::not_connected(&state),
        }
    }

    /// Creates a target without a connection. What happens to it unasked arrives at the receiver.
    pub fn new(
        options: qmp::Options,
        retry: Retry,
        schema: Option<Arc<Schema>>,
        vm: Option<Arc<Vm>>,
        dialect: Dialect,
    ) -> (Self, Notices) {
        let inspector = Inspector::default().speaking(dialect);
        let inspector = match &schema {
            Some(schema) => inspector.with_schema(schema.clone()),
            None => inspector,
        };
        let (tap, tls) = (options.tap.clone(), options.tls.clone());
        let (session, notices) = Session::start(options, retry);
        if let Some(vm) = &vm {
            let sender = session.notice_sender();
            vm.report_to(Arc::new(move |text| {
                let _ = sender.send(Notice::Said(text));
            }));
        }
        let sender = session.notice_sender();
        let share = Share::new(&session, move |note| tell(&note, tap.as_ref(), &sender));
        let probe = Arc::new(Probe::new(session.notice_sender()));
        let target = Self {
            probe,
            session: Arc::new(session),
            vm,
            share: Arc::new(share),
            tls,
            dialect,
            memory: Arc::default(),
            schema,
            inspector: Arc::new(Mutex::new(Arc::new(inspector))),
            last_name: Arc::default(),
            console: Arc::default(),
            wait_from: Arc::default(),
        };
        (target, notices)
    }

    /// Launches the VM, if there is one, and connects to it; otherwise connects to `endpoint`.
    ///
    /// # Errors
    ///
    /// The VM does not start, or the connection fails.
    pub async fn open(&self, endpoint: Option<Endpoint>) -> Result<(), Failure> {
        let Some(vm) = &self.vm else {
            if let Some(endpoint) = endpoint {
                self.session.seek(endpoint).await?;
            }
            return Ok(());
        };
        vm.start()?;
        if let Some(endpoint) = vm.endpoint() {
            let sought = tokio::select! {
                sought = self.session.seek(endpoint) => sought,
                _ = vm.ended() => Err(qmp::Error::NotConnected(StreamEnd::Closed.into())),
            };
            if let Err(error) = sought {
                self.session.disconnect().await;
                return Err(match vm.failure().await {
                    Some(ended) => ended.into(),
                    None => error.into(),
                });
            }
        }
        vm.watch();
        Ok(())
    }

    /// The language of its lines.
    pub fn language(&self) -> Language {
        dialect::language(self.dialect, &self.memory)
    }

    /// The same target, for commands that do not change where the user's next `:wait` starts looking.
    pub(super) fn apart(&self) -> Self {
        Self {
            wait_from: Arc::new(AtomicU64::new(self.session.hub().messages())),
            ..self.clone()
        }
    }

    /// The number of the message from which the next `:wait` starts looking.
    pub fn wait_from(&self) -> u64 {
        self.wait_from.load(Ordering::Relaxed)
    }

    /// Makes the next `:wait` start looking at the message with this number.
    pub fn set_wait_from(&self, message: u64) {
        self.wait_from.store(message, Ordering::Relaxed);
    }

    /// The console that lines are for: the one last attached to, or else the launched VM's.
    pub fn console(&self) -> Option<Arc<Console>> {
        let attached = self.console.lock().clone();
        attached.or_else(|| self.vm.as_ref()?.console().cloned())
    }

    /// Sets the console last attached to. Its predecessor is disconnected once nothing uses it any more.
    pub fn set_console(&self, console: Option<Arc<Console>>) {
        *self.console.lock() = console;
    }

    /// The inspector of the server at the other end, or of the last one if there is no connection.
    pub fn inspector(&self) -> Arc<Inspector> {
        let mut inspector = self.inspector.lock();
        if let Some(client) = self.session.client()
            && !inspector.asks(&client)
        {
            let types = Types::of(&client, self.probe.clone());
            let new = Inspector::of(&client)
                .with_types(types)
                .speaking(self.dialect);
            *inspector = Arc::new(match &self.schema {
                Some(schema) => new.with_schema(schema.clone()),
                None => new,
            });
        }
        inspector.clone()
    }

    /// Whether the VM itself may be asked what it loads its modules for.
    pub fn probe(&self) -> bool {
        self.probe.allowed.load(Ordering::Relaxed)
    }

    /// Sets whether the VM itself may be asked what it loads its modules for.
    pub fn set_probe(&self, allowed: bool) {
        self.probe.allowed.store(allowed, Ordering::Relaxed);
    }

    /// The VM's name, if it has one and is known. Until a new connection knows it, that of the last VM at the same
    /// address.
    pub fn name(&self) -> Option<String> {
        let inspector = self.inspector();
        let mut last = self.last_name.lock();
        let endpoint = self
            .session
            .client()
            .map(|client| client.endpoint().to_string());
        let known = inspector.known_kind().map(ServerKind::vm_name);
        match (endpoint, known) {
            (Some(endpoint), Some(name)) => *last = (endpoint, name.map(str::to_owned)),
            (Some(endpoint), None) if endpoint != last.0 => *last = (endpoint, None),
            _ => {}
        }
        last.1.clone()
    }

    /// Whether the server is known to be `qemu-storage-daemon`, which has no VM.
    pub fn is_storage_daemon(&self) -> bool {
        self.inspector().known_kind() == Some(&ServerKind::StorageDaemon)
    }

    /// What the server runs, for messages about its end.
    pub fn what(&self) -> &'static str {
        match self.is_storage_daemon() {
            true => "the storage daemon",
            false => "the VM",
        }
    }

    /// What the server is, with its version as far as it tells that: `QEMU 9.1.0`. `None` without a connection.
    pub async fn server(&self) -> Option<String> {
        let client = self.session.client()?;
        let inspector = self.inspector();
        let version = &client.greeting().version.qemu;
        // Do not keep the user waiting for a server that does not answer.
        Some(match self.dialect {
            Dialect::Qtest => "qtest".to_owned(),
            Dialect::Qga => match timeout(unasked_patience(), inspector.agent_version()).await {
                Ok(Some(version)) => format!("guest agent {version}"),
                _ => "guest agent".to_owned(),
            },
            _ if client.greeting().human => format!("QEMU {version}'s human monitor"),
            _ => match timeout(unasked_patience(), inspector.kind()).await {
                Ok(Some(ServerKind::StorageDaemon)) => format!("qemu-storage-daemon {version}"),
                _ => format!("QEMU {version}"),
            },
        })
    }

    /// One line that says what we are connected to: the server, the VM's name if it has one, the address. `None`
    /// without a connection.
    pub async fn banner(&self) -> Option<String> {
        let client = self.session.client()?;
        let server = self.server().await?;
        let name = self
            .name()
            .map_or(String::new(), |name| format!(" \"{name}\""));
        let banner = format!("Connected to {server}{name} at {}", client.endpoint());
        Some(render::escape_line(&banner).into_owned())
    }
}

/// Tells the log what clients of ours come and go, and the user which of them were not served.
fn tell(note: &Note, tap: Option<&Tap>, notices: &NoticeSender) {
    let text = note.to_string();
    if let Some(tap) = tap {
        tap(&Passing {
            direction: Direction::Note,
            text: &text,
            connection: 0,
            descriptors: 0,
            from: None,
            quiet: false,
        });
    }
    if matches!(note, Note::Cut(..) | Note::TurnedAway(_)) {
        let _ = notices.send(Notice::Said(text));
    }
}
