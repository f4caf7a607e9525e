//! What runs a parsed line: the connection, the settings, and the way a reply is shown.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::exit::Failure;
use crate::lang::{Command, Descriptor, Message};
use crate::qmp::{self, Address, Client, Pending, Reply, Request};
use crate::render::{self, Style};

/// How long a question that nobody asked aloud may take.
const LIVE_ANSWER: Duration = Duration::from_millis(300);

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
}

/// A connection, or the lack of one, and how to use it.
pub struct Runner {
    pub settings: Settings,
    pub options: qmp::Options,
    pub client: Option<Client>,
    /// Where to connect, as far as anybody has said.
    pub address: Option<Address>,
}

/// A command on its way.
pub struct Sent {
    pub pending: Pending,
    pub name: String,
    /// The id that the user gave, as JSON; it is shown with the reply.
    pub id: Option<String>,
    /// Nobody waits for the reply.
    pub background: bool,
    /// How long the reply may take, and when that is over.
    limit: Option<(Duration, Instant)>,
}

impl Runner {
    /// Connects to [`Runner::address`], in place of the connection there is.
    ///
    /// # Errors
    ///
    /// No address is known, or no server answers there.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        match self.address.clone() {
            Some(address) => self.connect_to(address).await,
            None => Err(Failure::Usage(
                "no address: say :connect ADDRESS".to_owned(),
            )),
        }
    }

    /// Connects to `address`. If that fails, what there was before stays, unless it is the same server.
    ///
    /// # Errors
    ///
    /// No server answers there.
    pub async fn connect_to(&mut self, address: Address) -> Result<(), Failure> {
        if self.address.as_ref() == Some(&address) {
            // QEMU serves one client at a time.
            self.client = None;
        }
        self.client = Some(Client::connect(&address, self.options.clone()).await?);
        self.address = Some(address);
        Ok(())
    }

    /// What we are connected to, in one line: version, the VM's name if it has one, address.
    pub async fn banner(&self) -> String {
        let Some(client) = &self.client else {
            return "not connected".to_owned();
        };
        #[derive(serde::Deserialize)]
        struct Name {
            name: Option<String>,
        }
        let name = async {
            let reply = client
                .send(Request::new("query-name").quietly())
                .ok()?
                .await
                .ok()?;
            let value: Name = serde_json::from_str(reply.value().ok()?).ok()?;
            value.name
        };
        // A VM that does not answer now is no reason to keep the user waiting.
        let name = timeout(LIVE_ANSWER, name).await.ok().flatten();
        let name = name.map_or(String::new(), |name| format!(" \"{name}\""));
        let version = &client.greeting().version.qemu;
        let banner = format!("Connected to QEMU {version}{name} at {}", client.address());
        render::escape(&banner).into_owned()
    }

    /// Sends a command.
    ///
    /// # Errors
    ///
    /// Nothing was sent: a file does not open, or there is no connection.
    pub fn send_command(&self, command: &Command) -> Result<Sent, Failure> {
        self.send(
            Request {
                text: command.to_wire(),
                id: None,
                name: command.name.clone(),
                descriptors: open_all(&command.descriptors)?,
                quiet: false,
            },
            None,
            command.background,
        )
    }

    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// As for [`Runner::send_command`]; also an id that is in use.
    pub fn send_message(&self, message: &Message) -> Result<Sent, Failure> {
        let id = message.id.as_deref().map(serde_json::from_str).transpose();
        self.send(
            Request {
                text: message.text.clone(),
                id: id.map_err(|error| Failure::Usage(format!("the id is no JSON: {error}")))?,
                name: message.name.clone().unwrap_or_else(|| "message".to_owned()),
                descriptors: open_all(&message.descriptors)?,
                quiet: false,
            },
            message.id.clone(),
            message.background,
        )
    }

    fn send(
        &self,
        request: Request,
        id: Option<String>,
        background: bool,
    ) -> Result<Sent, Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::NotConnected);
        };
        let name = request.name.clone();
        Ok(Sent {
            pending: client.send(request)?,
            name,
            id,
            background,
            limit: self
                .settings
                .timeout
                .map(|limit| (limit, Instant::now() + limit)),
        })
    }
}

impl Settings {
    /// A reply as it is printed, and the failure it may be. With whole replies asked for, a failed one
    /// is printed too. `id` is the one the user gave, as JSON; it is shown along.
    pub fn show(&self, reply: &Reply, id: Option<&str>) -> (String, Option<Failure>) {
        let failure = reply.value().err().map(Failure::Command);
        let text = if self.envelope || id.is_some() {
            self.style
                .value(&render::envelope(reply.raw(), reply.failed(), id))
        } else if failure.is_some() {
            String::new()
        } else {
            self.style.value(reply.raw())
        };
        (text, failure)
    }
}

impl Sent {
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
            OpenOptions::new().read(true).open(path).map(OwnedFd::from),
        ),
        Descriptor::ReadWrite(path) => (
            format!("<>{}", path.display()),
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .map(OwnedFd::from),
        ),
        Descriptor::Inherited(number) => (format!("<&{number}"), qmp::inherited(*number)),
    };
    result.map_err(|error| Failure::Usage(format!("cannot pass `{what}`: {error}")))
}
