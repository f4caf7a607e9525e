//! What runs a parsed line: the connection, the settings, and the way a reply is shown.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::agenda::{Agenda, Report};
use crate::failure::Failure;
use crate::inspector::{Inspector, needs_types};
use crate::lang::{Command, Descriptor, Line, Message};
use crate::os::sys;
use crate::qmp::{self, Client, Notice, Notices, Pending, Reply, Request, Retry, Session};
use crate::render::{self, Style};
use crate::schema::Schema;
use crate::transport::{Endpoint, StreamEnd};
use crate::vm::Vm;

/// How much of what listeners and timers say may wait to be shown.
const REPORTS: usize = 16;

/// How long a question that nobody asked aloud may take.
const LIVE_ANSWER: Duration = Duration::from_millis(300);

/// How long the server may take to tell what it accepts, where that only explains something.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `:set` changes.
#[derive(Debug, Clone)]
pub struct Settings {
    pub style: Style,
    /// Print whole replies.
    pub envelope: bool,
    /// How long to wait for a reply; none is for as long as it takes.
    pub timeout: Option<Duration>,
    /// Ask before `quit` ends the VM.
    pub confirm: bool,
    /// The names of events that are not shown as they come.
    pub muted: Arc<BTreeSet<String>>,
}

/// A session, and how its replies are shown. A clone is the same one.
#[derive(Clone)]
pub struct Runner {
    pub session: Arc<Session>,
    /// What listeners and timers run.
    pub agenda: Arc<Agenda>,
    /// Takes what they say. It is bounded, so that they run no faster than that is shown.
    pub reports: mpsc::Sender<Report>,
    /// Shows how far something is, in place of what it showed before; nothing ends that.
    pub progress: Option<Progress>,
    /// The message that was the last when a command was sent last.
    mark: Arc<AtomicU64>,
    settings: Arc<Mutex<Settings>>,
    /// What the server says of itself.
    inspector: Arc<Mutex<Arc<Inspector>>>,
    /// The schema that counts, whatever the server says.
    schema: Option<Arc<Schema>>,
    /// The VM that we launched, if we did.
    pub vm: Option<Arc<Vm>>,
}

/// Takes a line that stands until the next one does.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// A command on its way.
pub struct PendingCommand {
    pub pending: Pending,
    pub name: String,
    /// What was sent.
    pub line: Line,
    /// The id that the user gave, as JSON; it is shown with the reply.
    pub id: Option<String>,
    /// Nobody waits for the reply.
    pub background: bool,
    /// How long the reply may take, and when that is over.
    limit: Option<(Duration, Instant)>,
}

impl Runner {
    /// Starts a session that is not connected yet. Returned too: what listeners and timers say, and what happens
    /// without being asked for.
    pub fn new(
        settings: Settings,
        options: qmp::Options,
        retry: Retry,
        schema: Option<Arc<Schema>>,
        vm: Option<Arc<Vm>>,
    ) -> (Self, mpsc::Receiver<Report>, Notices) {
        let (reports, told) = mpsc::channel(REPORTS);
        let inspector = match &schema {
            Some(schema) => Inspector::default().with_schema(schema.clone()),
            None => Inspector::default(),
        };
        let (session, notices) = Session::start(options, retry);
        if let Some(vm) = &vm {
            let sender = session.notice_sender();
            vm.tell(Arc::new(move |text| {
                let _ = sender.send(Notice::Said(text));
            }));
        }
        let runner = Self {
            session: Arc::new(session),
            agenda: Arc::default(),
            reports,
            progress: None,
            mark: Arc::default(),
            settings: Arc::new(Mutex::new(settings)),
            inspector: Arc::new(Mutex::new(Arc::new(inspector))),
            schema,
            vm,
        };
        (runner, told, notices)
    }

    /// Starts the VM that is to be launched, if one is, and connects to it, or to `endpoint`.
    ///
    /// # Errors
    ///
    /// The VM does not start, or there is no connection to be had.
    pub async fn open(&self, endpoint: Option<Endpoint>) -> Result<(), Failure> {
        let Some(vm) = &self.vm else {
            if let Some(endpoint) = endpoint {
                self.session.seek(endpoint).await?;
            }
            return Ok(());
        };
        vm.start().map_err(Failure::Launch)?;
        if let Some(endpoint) = vm.endpoint() {
            let sought = tokio::select! {
                sought = self.session.seek(endpoint) => sought,
                () = vm.ended() => Err(qmp::Error::NotConnected(StreamEnd::Closed.into())),
            };
            if let Err(error) = sought {
                self.session.disconnect().await;
                return Err(match vm.failure().await {
                    Some(why) => Failure::Launch(why),
                    None => error.into(),
                });
            }
        }
        vm.watch();
        Ok(())
    }

    /// The same for somebody whose commands are no matter to the user's next `:wait`.
    pub fn apart(&self) -> Self {
        Self {
            mark: Arc::new(AtomicU64::new(self.session.hub().messages())),
            ..self.clone()
        }
    }

    /// The number of the first message since the last command was sent.
    pub fn mark(&self) -> u64 {
        self.mark.load(Ordering::Relaxed)
    }

    /// Whether events of this name are not to be shown as they come.
    pub fn mutes(&self, event: &str) -> bool {
        self.settings_mut().muted.contains(event)
    }

    /// What knows the server there is, or was last.
    pub fn inspector(&self) -> Arc<Inspector> {
        let inspector = self.inspector.lock();
        let mut inspector = inspector.expect("no holder of this lock panics");
        if let Some(client) = self.session.client()
            && !inspector.asks(&client)
        {
            let new = Inspector::of(&client);
            *inspector = Arc::new(match &self.schema {
                Some(schema) => new.with_schema(schema.clone()),
                None => new,
            });
        }
        inspector.clone()
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        self.settings_mut().clone()
    }

    /// The settings, to be changed. They stay locked until this is dropped.
    pub fn settings_mut(&self) -> MutexGuard<'_, Settings> {
        let settings = self.settings.lock();
        settings.expect("no holder of this lock panics")
    }

    /// What the server accepts, if it says so in time.
    pub async fn schema(&self) -> Option<Arc<Schema>> {
        let inspector = self.inspector();
        let schema = timeout(self.settings().patience(), inspector.schema());
        schema.await.ok().flatten()
    }

    /// The names of the commands, if the server says them in time.
    pub async fn commands(&self) -> Vec<String> {
        let inspector = self.inspector();
        let commands = timeout(self.settings().patience(), inspector.commands());
        commands.await.unwrap_or_default()
    }

    /// Gives the bare words of a command the types that the server wants. It is asked only if that can make
    /// a difference.
    ///
    /// # Errors
    ///
    /// The server takes too long to say which, or could not be sent the command anyway.
    pub async fn type_words(&self, command: &mut Command) -> Result<(), Failure> {
        if !needs_types(command) {
            return Ok(());
        }
        // Before the server is asked anything.
        if let Some(client) = self.session.client() {
            client.can_carry(&command.name, command.descriptors.len())?;
        }
        let inspector = self.inspector();
        let typing = inspector.type_words(command);
        match self.settings().timeout {
            None => typing.await,
            Some(limit) => timeout(limit, typing).await.map_err(|_| Failure::Timeout {
                name: "query-qmp-schema".to_owned(),
                limit,
            })?,
        }
        Ok(())
    }

    /// Sends a command.
    ///
    /// # Errors
    ///
    /// Nothing was sent: a file does not open, or there is no connection.
    pub fn send_command(&self, command: Command) -> Result<PendingCommand, Failure> {
        let request = Request {
            text: command.to_wire(),
            name: command.name.clone(),
            ..Request::default()
        };
        let background = command.background;
        self.send(request, Line::Command(command), None, background)
    }

    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// As for [`Runner::send_command`]; also an id that is in use.
    pub fn send_message(&self, message: Message) -> Result<PendingCommand, Failure> {
        let id = message.id.as_deref().map(serde_json::from_str).transpose();
        let request = Request {
            text: message.text.clone(),
            id: id.map_err(|error| Failure::Usage(format!("the id is no JSON: {error}")))?,
            name: message.name.clone().unwrap_or_else(|| "message".to_owned()),
            ..Request::default()
        };
        let (id, background) = (message.id.clone(), message.background);
        self.send(request, Line::Message(message), id, background)
    }

    /// Asks for something on behalf of the user: a command that has no arguments and changes nothing.
    ///
    /// # Errors
    ///
    /// There is no connection.
    pub fn ask(&self, name: &str) -> Result<PendingCommand, Failure> {
        let request = Request::new(name).quietly();
        self.apart().send(request, Line::Empty, None, false)
    }

    fn send(
        &self,
        mut request: Request,
        line: Line,
        id: Option<String>,
        background: bool,
    ) -> Result<PendingCommand, Failure> {
        let Some(client) = self.session.client() else {
            return Err(Failure::not_connected(&self.session.state()));
        };
        let messages = self.session.hub().messages();
        let name = request.name.clone();
        let descriptors = match &line {
            Line::Command(command) => &command.descriptors[..],
            Line::Message(message) => &message.descriptors,
            Line::Empty | Line::Builtin(_) => &[],
        };
        // Before a file is opened, which can block, or have effects of its own.
        client.can_carry(&name, descriptors.len())?;
        request.descriptors = open_all(descriptors)?;
        let pending = client.send(request)?;
        self.mark.store(messages, Ordering::Relaxed);
        Ok(PendingCommand {
            pending,
            name,
            line,
            id,
            background,
            limit: self
                .settings_mut()
                .timeout
                .map(|limit| (limit, Instant::now() + limit)),
        })
    }
}

/// What `client` is connected to, in one line: version, the VM's name if it has one, address.
pub async fn banner(client: &Client) -> String {
    #[derive(serde::Deserialize)]
    struct Name {
        name: Option<String>,
    }
    let name = async {
        let pending = client.send(Request::new("query-name").quietly()).ok()?;
        let reply = pending.await.ok()?;
        let value: Name = serde_json::from_str(reply.value().ok()?).ok()?;
        value.name
    };
    // A VM that does not answer now is no reason to keep the user waiting.
    let name = timeout(LIVE_ANSWER, name).await.ok().flatten();
    let name = name.map_or(String::new(), |name| format!(" \"{name}\""));
    let version = &client.greeting().version.qemu;
    let banner = format!("Connected to QEMU {version}{name} at {}", client.endpoint());
    render::escape(&banner).into_owned()
}

impl Settings {
    /// How long to wait for an explanation.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE).min(PATIENCE)
    }

    /// What is printed of a reply, but for the line break behind it, and the failure it may be. With whole replies
    /// asked for, a failed one is printed too. `id` is the one the user gave, as JSON; it is shown along.
    pub fn show<'a>(
        &self,
        reply: &'a Reply,
        id: Option<&str>,
    ) -> (Option<Cow<'a, str>>, Option<Failure>) {
        let value = reply.value();
        let text = match &value {
            _ if self.envelope || id.is_some() => {
                let whole = render::envelope(reply.raw(), reply.failed(), id);
                Some(self.style.text(&whole).into_owned().into())
            }
            Ok(value) => Some(self.style.text(value)),
            Err(_) => None,
        };
        (text, value.err().map(Failure::from))
    }
}

impl PendingCommand {
    /// Waits for the reply. Cancelling it waits no longer, nothing more.
    ///
    /// # Errors
    ///
    /// The time is up, or the connection has ended.
    pub async fn reply(&mut self) -> Result<Reply, Failure> {
        match self.limit {
            None => Ok((&mut self.pending).await?),
            Some((limit, due)) => match timeout_at(due, &mut self.pending).await {
                Ok(reply) => Ok(reply?),
                Err(_) => Err(Failure::Timeout {
                    name: self.name.clone(),
                    limit,
                }),
            },
        }
    }
}

fn open_all(descriptors: &[Descriptor]) -> Result<Vec<OwnedFd>, Failure> {
    descriptors.iter().map(open).collect()
}

fn open(descriptor: &Descriptor) -> Result<OwnedFd, Failure> {
    let (what, result): (String, io::Result<OwnedFd>) = match descriptor {
        Descriptor::Read(path) => (
            format!("<{}", path.display()),
            open_file(path, OpenOptions::new().read(true)),
        ),
        Descriptor::ReadWrite(path) => (
            format!("<>{}", path.display()),
            open_file(path, OpenOptions::new().read(true).write(true)),
        ),
        Descriptor::Inherited(number) => (format!("<&{number}"), sys::inherited(*number)),
    };
    result.map_err(|error| Failure::Usage(format!("cannot pass `{what}`: {error}")))
}

/// Opens a file without waiting for anybody: a FIFO that nobody writes to would keep everything waiting.
fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<OwnedFd> {
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    // Who gets it may well want to wait.
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file.into())
}
