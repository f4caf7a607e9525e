//! Questions about QEMU's types, which the running VM itself must not be asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::qmp::{Client, Notice, NoticeSender, Request, Version};
use crate::schema::cache::Cache;
use crate::vm::twin::{NoTwin, Twin};

/// Whether the VM itself may be asked for its types, and whether the user was told what is missing otherwise.
pub(super) struct Probe {
    pub allowed: AtomicBool,
    told: AtomicBool,
    notices: NoticeSender,
}

impl Probe {
    /// Asking the VM is not allowed at first. `notices` receives the explanation, once.
    pub fn new(notices: NoticeSender) -> Self {
        Self {
            allowed: AtomicBool::new(false),
            told: AtomicBool::new(false),
            notices,
        }
    }

    fn tell_once(&self, why: &NoTwin) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let _ = self.notices.send(Notice::Said(format!(
            "device types and their properties are known only where the VM has such a device: {why}. `:set probe on` \
             asks the VM itself; it then loads its modules, and aborts if those were upgraded"
        )));
    }
}

/// Answers questions about types: from memory, from the cache on disk, or from the twin.
pub(super) struct Types {
    client: Weak<Client>,
    version: Version,
    pid: Option<i32>,
    cache: OnceLock<Option<Cache>>,
    /// The answer to each question; `None` for an error.
    answers: Mutex<HashMap<String, Option<String>>>,
    twin: OnceCell<Result<Arc<Twin>, NoTwin>>,
    /// Why the twin did not start. It is not tried again.
    failed: Mutex<Option<NoTwin>>,
    probe: Arc<Probe>,
}

impl Types {
    /// The types of the QEMU on this connection.
    pub fn of(client: &Arc<Client>, probe: Arc<Probe>) -> Self {
        Self {
            client: Arc::downgrade(client),
            version: client.greeting().version.clone(),
            pid: client.peer_pid(),
            cache: OnceLock::new(),
            answers: Mutex::default(),
            twin: OnceCell::new(),
            failed: Mutex::default(),
            probe,
        }
    }

    /// What a command about types returns; `None` if nobody can be asked, or if it fails.
    ///
    /// Cancelling this only ends the waiting: the answer is kept when it comes.
    pub async fn ask(self: &Arc<Self>, command: &str, arguments: &Value) -> Option<String> {
        let question = format!("{command} {arguments}");
        if let Some(known) = self.known(&question) {
            return known;
        }
        let request = Request::new(command);
        let text = request.text.trim_end_matches('}').to_owned();
        let request = Request {
            text: format!("{text},\"arguments\":{arguments}}}"),
            ..request.quietly()
        };
        // Such a question loads all modules.
        let broad = !command.ends_with("-list-properties");
        let types = self.clone();
        let asking = tokio::spawn(async move { types.find_out(question, request, broad).await });
        asking.await.ok().flatten()
    }

    fn known(&self, question: &str) -> Option<Option<String>> {
        if let Some(known) = self.answers.lock().get(question) {
            return Some(known.clone());
        }
        let json = self.cache()?.answer(question).load_json()?;
        // An error is cached as `null`, which no command returns.
        let answer = (json != "null").then_some(json);
        self.keep(question, &answer);
        Some(answer)
    }

    fn cache(&self) -> Option<&Cache> {
        let Version { qemu, package } = &self.version;
        let cache = || Cache::of(&qemu.to_string(), package, self.pid?);
        self.cache.get_or_init(cache).as_ref()
    }

    fn keep(&self, question: &str, answer: &Option<String>) {
        let mut answers = self.answers.lock();
        answers.insert(question.to_owned(), answer.clone());
    }

    async fn find_out(
        self: Arc<Self>,
        question: String,
        request: Request,
        broad: bool,
    ) -> Option<String> {
        let why = match self.ask_twin(&question, &request.text, broad).await {
            Ok(answer) => return answer,
            Err(why) => why,
        };
        if !self.probe.allowed.load(Ordering::Relaxed) {
            self.probe.tell_once(&why);
            return None;
        }
        let reply = self.client.upgrade()?.send(request).ok()?.await.ok()?;
        let answer = reply.value().ok().map(str::to_owned);
        self.keep(&question, &answer);
        answer
    }

    async fn ask_twin(
        &self,
        question: &str,
        request: &str,
        broad: bool,
    ) -> Result<Option<String>, NoTwin> {
        if let Some(why) = &*self.failed.lock() {
            return Err(why.clone());
        }
        let twin = async || Twin::of(self.pid, &self.version).map(Arc::new);
        let twin = self.twin.get_or_init(twin).await.clone()?;
        let asked = twin.ask(request, broad).await;
        let answer = asked.inspect_err(|why| *self.failed.lock() = Some(why.clone()))?;
        self.keep(question, &answer.json);
        if let Some(cache) = self.cache().filter(|_| answer.lasting) {
            // Without a cache, only time is lost.
            let json = answer.json.as_deref().unwrap_or("null");
            let _ = cache.answer(question).store(json);
        }
        Ok(answer.json)
    }
}
