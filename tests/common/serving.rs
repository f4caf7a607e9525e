//! A server that behaves as QEMU does: the one of the library, which answers with what a closure makes of a command.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use qmpsh::server::{Command, Server};
use qmpsh::transport::{Address, ServerSocket};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::fake::GREETING;

/// Starts a server at `socket`, in a thread of its own. `answer` gives the lines that answer a command: its reply, and
/// events before or after it. The thread ends when the returned [`Stop`] is dropped, and panics if `answer` does.
pub fn start(
    socket: &Path,
    answer: impl FnMut(&Value) -> String + Send + 'static,
) -> (Stop, JoinHandle<()>) {
    let address = Address::Unix(socket.to_owned());
    let (stop, mut stopped) = mpsc::unbounded_channel();
    let (panicked, listening) = (stop.clone(), std::sync::mpsc::channel());
    let (listens, listening) = listening;
    let thread = std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        let end = runtime.block_on(async move {
            let socket = ServerSocket::bind_for_many(&address).expect("a socket of ours");
            let serving = Serving {
                server: Arc::default(),
                answer: Arc::new(Mutex::new(answer)),
                panicked,
            };
            let own = serving.server.clone();
            let server = Server::new(move |command| {
                serving.run(command);
                async {}
            });
            let greeting: Value = serde_json::from_str(GREETING).expect("JSON");
            let greeting = serde_json::from_value(greeting["QMP"].clone()).expect("a greeting");
            server.greet(Some(&greeting));
            server.listen(socket);
            *locked(&own) = Some(server);
            let _ = listens.send(());
            let end = stopped.recv().await;
            // It has a closure that has it.
            drop(locked(&own).take());
            end
        });
        if let Some(End::Panicked(panic)) = end {
            resume_unwind(panic);
        }
    });
    listening.recv().expect("it listens");
    (Stop(stop), thread)
}

/// Ends a server when it is dropped.
pub struct Stop(mpsc::UnboundedSender<End>);

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = self.0.send(End::Wanted);
    }
}

enum End {
    Wanted,
    Panicked(Box<dyn Any + Send>),
}

struct Serving<Answer> {
    server: Arc<Mutex<Option<Server>>>,
    answer: Arc<Mutex<Answer>>,
    panicked: mpsc::UnboundedSender<End>,
}

impl<Answer: FnMut(&Value) -> String> Serving<Answer> {
    fn run(&self, command: Command) {
        let message = serde_json::from_str(&command.to_wire()).expect("JSON");
        let answer = || {
            let lines = locked(&self.answer)(&message);
            self.send(command, &lines);
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(answer)) {
            drop(self.panicked.send(End::Panicked(panic)));
        }
    }

    fn send(&self, command: Command, lines: &str) {
        let mut command = Some(command);
        for line in lines.lines() {
            match serde_json::from_str(line).expect(line) {
                Line { event: Some(_), .. } => {
                    let server = locked(&self.server);
                    server.as_ref().expect("it serves").publish(line);
                }
                Line { value, error, .. } => {
                    let command = command.take().expect("one reply to a command");
                    match error {
                        Some(error) => command.fail(&error.class, &error.desc),
                        None => command.succeed(value.map_or("null", RawValue::get)),
                    }
                }
            }
        }
        assert!(command.is_none(), "no reply in {lines}");
    }
}

/// What a server sends.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "return")]
    value: Option<&'a RawValue>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    class: String,
    desc: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
