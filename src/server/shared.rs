use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::command::Command;
use super::outbox::Outbox;
use super::who::{Note, Who};
use crate::lang::quote;
use crate::qmp::Greeting;

pub(super) type Handler = dyn Fn(Command) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// What the connections of a server have in common.
pub(super) struct Shared {
    pub handler: Box<Handler>,
    pub tell: Box<dyn Fn(Note) + Send + Sync>,
    pub greeting: watch::Sender<Option<Arc<Hello>>>,
    /// No more clients are accepted.
    pub full: watch::Sender<bool>,
    pub clients: Mutex<BTreeMap<u64, Client>>,
}

pub(super) struct Client {
    pub who: Arc<Who>,
    pub outbox: Arc<Outbox>,
}

/// A greeting as it is sent.
#[derive(Debug)]
pub(super) struct Hello {
    pub text: Bytes,
    /// Whether `oob` is on offer.
    pub oob: bool,
}

impl Hello {
    pub fn new(greeting: &Greeting) -> Self {
        let qemu = &greeting.version.qemu;
        let (major, minor, micro) = (qemu.major, qemu.minor, qemu.micro);
        let package = quote(&greeting.version.package);
        let oob = greeting.offers("oob");
        let capabilities = if oob { "\"oob\"" } else { "" };
        // A member that is not QEMU's begins with two underscores (`qapi-code-gen`, "Downstream extensions").
        let behind = greeting.behind.as_ref().map_or(String::new(), |behind| {
            let pid = behind.pid.map_or("null".to_owned(), |pid| pid.to_string());
            format!(", \"__qmpsh\": {{\"pid\": {pid}}}")
        });
        let text = format!(
            "{{\"QMP\": {{\"version\": {{\"qemu\": {{\"micro\": {micro}, \"minor\": {minor}, \"major\": {major}}}, \
             \"package\": {package}}}, \"capabilities\": [{capabilities}]{behind}}}}}\r\n"
        );
        Self {
            text: text.into(),
            oob,
        }
    }
}

impl Shared {
    pub fn tell(&self, note: Note) {
        (self.tell)(note);
    }

    pub async fn run(&self, command: Command) {
        if command.name() == "qmp_capabilities" {
            let desc = "Capabilities negotiation is already complete, command ignored";
            return command.fail("CommandNotFound", desc);
        }
        (self.handler)(command).await;
    }

    /// Whether this is still the greeting.
    pub fn greets_with(&self, hello: &Arc<Hello>) -> bool {
        let now = self.greeting.borrow();
        now.as_ref().is_some_and(|now| Arc::ptr_eq(now, hello))
    }

    pub fn greeting(&self) -> watch::Receiver<Option<Arc<Hello>>> {
        self.greeting.subscribe()
    }
}
