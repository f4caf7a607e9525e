//! `--mock`: a recording, served as if it were the VM.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::log::{Recorded, Recording, is_masked};
use crate::failure::Status;
use crate::os::stop::StopSignals;
use crate::qmp::Greeting;
use crate::server::{Command, Server};
use crate::transport::ServerSocket;

/// Serves the recording at `path` until a signal comes.
///
/// # Errors
///
/// It cannot be read.
pub async fn mock(path: &Path, sockets: Vec<ServerSocket>) -> anyhow::Result<Status> {
    let mut stop = StopSignals::all()?;
    let recording = Recording::read(path)?;
    let greeting = recording.greeting.clone().unwrap_or_else(|| Greeting {
        capabilities: vec!["oob".to_owned()],
        ..Greeting::default()
    });
    let answers = Arc::new(Answers::of(recording));
    let server = Arc::new_cyclic(|server: &std::sync::Weak<Server>| {
        let server = server.clone();
        Server::new(move |command: Command| {
            let (answers, server) = (answers.clone(), server.clone());
            async move {
                if let Some(server) = server.upgrade() {
                    answers.answer(command, &server);
                }
            }
        })
    });
    server.greet(Some(&greeting));
    for socket in sockets {
        server.listen(socket);
    }
    stop.recv().await;
    server.end().await;
    Ok(Status::Success)
}

/// The recorded replies, by their commands' names.
struct Answers(BTreeMap<String, Vec<Exchange>>);

/// A command, and whether its reply was used already. The last one that matches is used repeatedly.
struct Exchange {
    command: Recorded,
    used: Mutex<bool>,
}

impl Answers {
    fn of(recording: Recording) -> Self {
        let mut answers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for command in recording.commands {
            let name = command.name.clone();
            let used = Mutex::default();
            let exchange = Exchange { command, used };
            answers.entry(name).or_default().push(exchange);
        }
        Self(answers)
    }

    fn answer(&self, command: Command, server: &Server) {
        let Some(exchanges) = self.0.get(command.name()) else {
            return match command.name() {
                // Clients ask for it before they send anything.
                "query-commands" => {
                    let names: Vec<Value> =
                        self.0.keys().map(|name| json!({"name": name})).collect();
                    command.succeed(&Value::from(names).to_string());
                }
                _ => command.unknown(),
            };
        };
        let arguments: Value = serde_json::from_str(command.arguments()).unwrap_or_default();
        let fits = |exchange: &&Exchange| {
            let recorded = Value::Object(exchange.command.arguments.clone());
            exchange.command.reply.is_some() && is_same(&recorded, &arguments)
        };
        let unused = |exchange: &&Exchange| !*exchange.used.lock();
        let mut fitting = exchanges.iter().filter(fits);
        let last = exchanges.iter().rfind(fits);
        let Some(exchange) = fitting.find(unused).or(last) else {
            let desc = format!(
                "The recording has no reply to {} with these arguments",
                command.name()
            );
            return command.fail("GenericError", &desc);
        };
        *exchange.used.lock() = true;
        for event in &exchange.command.events {
            server.publish(&event.to_string());
        }
        match &exchange.command.reply {
            Some(Ok(value)) => command.succeed(&value.to_string()),
            Some(Err(error)) => {
                let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
                command.fail(&text("class"), &text("desc"));
            }
            None => command.unknown(),
        }
    }
}

/// Whether a value is the recorded one; what was masked there may be anything.
fn is_same(recorded: &Value, value: &Value) -> bool {
    match (recorded, value) {
        (Value::Object(recorded), Value::Object(value)) => {
            recorded.len() == value.len()
                && recorded.iter().all(|(key, recorded)| {
                    value.get(key).is_some_and(|value| is_same(recorded, value))
                })
        }
        (Value::Array(recorded), Value::Array(value)) => {
            recorded.len() == value.len() && recorded.iter().zip(value).all(|(a, b)| is_same(a, b))
        }
        _ => recorded == value || is_masked(recorded),
    }
}
