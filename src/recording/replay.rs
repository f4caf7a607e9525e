//! `--replay`: sends a recording's commands to a VM, and compares the replies.

use std::future::pending;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::difference::differences;
use super::ignored::Ignored;
use super::log::{Recorded, Recording};
use crate::context::{Settings, Target, TargetPlan};
use crate::failure::{Failure, Status};
use crate::os::stderr::say;
use crate::os::stop::StopSignals;
use crate::qmp::{Filter, Listener, Notices, Request};
use crate::render::{self, escape_line};
use crate::vm::shutdown;

/// How long to wait for an event where the recording has one.
const EVENT: Duration = Duration::from_secs(5);

/// How long to wait for the connection and the greeting by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Two versions of QEMU always differ in it, and older logs do not tell that qmpsh sent it by itself.
const DESCRIPTION: &str = "query-qmp-schema";

/// What to replay.
pub struct Plan {
    /// The log.
    pub log: PathBuf,
    /// The values of arguments that were masked, by their keys.
    pub secrets: Vec<(String, String)>,
    /// What of the replies is not compared, as jq paths.
    pub ignored: Vec<String>,
}

/// Replays a recording to the VM that `target` leads to. Prints what differs.
///
/// # Errors
///
/// The recording cannot be read, there is no connection, or it is lost.
pub async fn replay(
    plan: Plan,
    settings: Settings,
    mut target: TargetPlan,
) -> anyhow::Result<Status> {
    let ignored = Ignored::new(&plan.ignored).await?;
    let recording = Recording::read(&plan.log)?;
    if target.vm.is_none() {
        target
            .options
            .connect_timeout
            .get_or_insert(CONNECT_TIMEOUT);
    }
    let mut stop = StopSignals::all()?;
    let endpoint = target.endpoint.take();
    let (target, mut notices, _log) = target.begin(Box::new(say))?;
    let all = async {
        target.open(endpoint).await?;
        send_all(&recording, &plan, &ignored, &settings, &target).await
    };
    let result = tokio::select! {
        biased;
        _ = stop.recv() => Ok(Status::Interrupted),
        () = tell(&mut notices) => unreachable!("the session outlives this"),
        result = all => result,
    };
    if let Some(vm) = &target.vm {
        let client = target.session.client();
        let report = |text| say(format!("qmpsh: {text}"));
        shutdown::end(vm, client.as_deref(), &mut stop, &report).await;
    }
    Ok(result?)
}

/// Prints what happens to the session.
async fn tell(notices: &mut Notices) {
    while let Some(notice) = notices.recv().await {
        say(format!("qmpsh: {}", render::notice(&notice)));
    }
    pending::<()>().await;
}

async fn send_all(
    recording: &Recording,
    plan: &Plan,
    ignored: &Ignored,
    settings: &Settings,
    target: &Target,
) -> Result<Status, Failure> {
    let mut replay = Replay {
        plan,
        ignored,
        settings,
        target,
        events: target.session.hub().listen(Filter::default(), usize::MAX),
        equal: 0,
        different: 0,
        left_out: 0,
    };
    let commands = recording.commands.iter();
    let asked = commands.filter(|command| !command.unasked && command.name != DESCRIPTION);
    for command in asked {
        if replay.command(command).await? {
            for event in &command.events {
                replay.event(event).await;
            }
        }
    }
    let Replay {
        equal,
        different,
        left_out,
        ..
    } = replay;
    say(format!(
        "qmpsh: {equal} replies as recorded, {different} different, {left_out} commands left out"
    ));
    Ok(match different {
        0 => Status::Success,
        _ => Status::Failed,
    })
}

struct Replay<'a> {
    plan: &'a Plan,
    ignored: &'a Ignored,
    settings: &'a Settings,
    target: &'a Target,
    /// The events that came and were not recorded so far.
    events: Listener,
    equal: usize,
    different: usize,
    left_out: usize,
}

impl Replay<'_> {
    /// Sends a command, and compares its reply. Returns whether it was sent.
    async fn command(&mut self, command: &Recorded) -> Result<bool, Failure> {
        let mut arguments = command.arguments.clone();
        for key in command.masked() {
            let mut secrets = self.plan.secrets.iter();
            match secrets.find(|(name, _)| name == key) {
                Some((_, secret)) => arguments[key] = secret.as_str().into(),
                None => {
                    let why = format!("`{key}` was masked; --var {key}=VALUE supplies it");
                    self.leave_out(command, &why);
                    return Ok(false);
                }
            }
        }
        if command.descriptors {
            self.leave_out(command, "file descriptors went along with it");
            return Ok(false);
        }
        let session = &self.target.session;
        let Some(client) = session.client() else {
            return Err(Failure::not_connected(&session.state()));
        };
        let execute = if command.oob { "exec-oob" } else { "execute" };
        let mut message = Map::new();
        message.insert(execute.to_owned(), command.name.as_str().into());
        if !arguments.is_empty() {
            message.insert("arguments".to_owned(), arguments.into());
        }
        let reply = client.send(Request {
            text: Value::Object(message).to_string(),
            name: command.name.clone(),
            ..Request::default()
        })?;
        let reply = match self.settings.timeout {
            None => reply.await?,
            Some(limit) => match timeout_at(Instant::now() + limit, reply).await {
                Ok(reply) => reply?,
                Err(_) => {
                    let name = command.name.clone();
                    return Err(Failure::Timeout { name, limit });
                }
            },
        };
        let came = serde_json::from_str(reply.raw()).unwrap_or_default();
        let (recorded, came) = match (&command.reply, reply.failed()) {
            (None, _) => return Ok(true),
            (Some(Ok(recorded)), false) => (recorded.clone(), came),
            (Some(Err(recorded)), true) => (json!({"error": recorded}), json!({"error": came})),
            (Some(Ok(recorded)), true) => (recorded.clone(), json!({"error": came})),
            (Some(Err(recorded)), false) => (json!({"error": recorded}), came),
        };
        let (recorded, came) = self.ignored.removed((recorded, came)).await?;
        let differs = differences(&recorded, &came);
        if differs.is_empty() {
            self.equal += 1;
        } else {
            self.different += 1;
            self.tell(command.line, &command.name, differs);
        }
        Ok(true)
    }

    /// Waits for an event of the same name: what comes after it may depend on it.
    async fn event(&mut self, recorded: &Value) {
        let name = recorded["event"].as_str().unwrap_or_default();
        let due = Instant::now() + self.settings.timeout.unwrap_or(EVENT).min(EVENT);
        loop {
            match timeout_at(due, self.events.next()).await {
                Ok(Some(event)) if event.name() == name => return,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    say(format!(
                        "qmpsh: the event {} did not come",
                        escape_line(name)
                    ));
                    self.different += 1;
                    return;
                }
            }
        }
    }

    fn leave_out(&mut self, command: &Recorded, why: &str) {
        self.left_out += 1;
        let (line, name) = (command.line, escape_line(&command.name).into_owned());
        say(format!("qmpsh: line {line}: {name} is left out: {why}"));
    }

    /// Prints the differences: for a person as lines, otherwise as JSON.
    fn tell(&self, line: usize, name: &str, differs: Map<String, Value>) {
        let mut text = String::new();
        if self.settings.style.is_for_a_person() {
            text = format!("line {line}: {}\n", escape_line(name));
            for (path, pair) in &differs {
                let part = |value: &Value| escape_line(&value.to_string()).into_owned();
                let path = escape_line(path).into_owned();
                text += &match pair.as_array().map(Vec::as_slice) {
                    Some([recorded, came]) => {
                        format!("  {path}: {} → {}\n", part(recorded), part(came))
                    }
                    _ => format!("  {path} {}\n", pair.as_str().unwrap_or_default()),
                };
            }
        } else {
            let told = json!({"line": line, "command": name, "differs": differs});
            text.push_str(&self.settings.style.value(&told.to_string()));
        }
        // An error means that the reader, such as `head`, has seen enough.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}
