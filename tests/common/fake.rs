//! A server that does what a real QEMU will not do on request.

use std::any::Any;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::running::Running;
use super::serving;
use super::terminal::Terminal;
use super::{Outcome, qmpsh, scratch, text};

/// What QEMU says first.
pub const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}"#;

/// A server on a socket of its own. Its thread is ended and joined when this is dropped; an assertion that failed in it
/// then fails the test.
pub struct Fake {
    pub socket: PathBuf,
    /// Ends the thread when it is dropped.
    stop: Option<Box<dyn Any + Send + Sync>>,
    thread: Option<JoinHandle<()>>,
    _directory: Option<TempDir>,
}

#[derive(Default)]
struct State {
    ended: bool,
    /// The client that is served now.
    client: Option<UnixStream>,
}

impl Fake {
    /// Serves one client after the other with `serve`.
    pub fn start(serve: impl FnMut(&mut Peer) + Send + 'static) -> Self {
        let directory = scratch();
        let socket = directory.path().join("fake.sock");
        let mut fake = Self::at(&socket, serve);
        fake._directory = Some(directory);
        fake
    }

    /// The same at a path of the caller's, where another server may have been before.
    pub fn at(socket: &Path, mut serve: impl FnMut(&mut Peer) + Send + 'static) -> Self {
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).expect("a socket of ours");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a client");
                {
                    let mut state = shared.lock().expect("no holder of this lock panics");
                    if state.ended {
                        return;
                    }
                    state.client = stream.try_clone().ok();
                }
                // Also when `serve` panics: the clone would keep the connection open.
                let _hang_up = HangUp(&shared);
                serve(&mut Peer::new(stream));
            }
        });
        Self {
            socket: socket.to_owned(),
            stop: Some(Box::new(StopPeers {
                state,
                socket: socket.to_owned(),
            })),
            thread: Some(thread),
            _directory: None,
        }
    }

    /// Negotiates, then sends after each command what `say` makes of it, whatever that is.
    pub fn saying(mut say: impl FnMut(&Value) -> String + Send + 'static) -> Self {
        Self::start(move |peer| {
            peer.greet();
            while let Some(command) = peer.command() {
                peer.send(say(&command));
            }
        })
    }

    /// Serves as QEMU does, and answers each command with what `answer` makes of it: the lines of its reply, and of events.
    pub fn answering(answer: impl FnMut(&Value) -> String + Send + 'static) -> Self {
        let directory = scratch();
        let socket = directory.path().join("fake.sock");
        let mut fake = Self::answering_at(&socket, answer);
        fake._directory = Some(directory);
        fake
    }

    fn answering_at(socket: &Path, answer: impl FnMut(&Value) -> String + Send + 'static) -> Self {
        let _ = std::fs::remove_file(socket);
        let (stop, thread) = serving::start(socket, answer);
        Self {
            socket: socket.to_owned(),
            stop: Some(Box::new(stop)),
            thread: Some(thread),
            _directory: None,
        }
    }

    /// Serves as QEMU does, and answers each command with its name.
    pub fn echo() -> Self {
        Self::answering(echo)
    }

    /// The same at a path of the caller's, where another server may have been before.
    pub fn echo_at(socket: &Path) -> Self {
        Self::answering_at(socket, echo)
    }

    /// Negotiates, takes one command, and sends `bytes` instead of a reply.
    pub fn replying_with(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::start(move |peer| {
            peer.greet();
            peer.command();
            peer.send(&bytes);
        })
    }

    /// Sends `bytes` for a greeting, and says no more until the client has gone.
    pub fn greeting_with(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::start(move |peer| {
            peer.send(&bytes);
            peer.wait_for_end();
        })
    }

    /// Runs `qmpsh ARGS` against this server.
    pub fn qmpsh(&self, args: &[&str]) -> Outcome {
        self.script(args, "")
    }

    /// Runs `qmpsh ARGS` against this server, with `input` on standard input.
    pub fn script(&self, args: &[&str], input: impl AsRef<[u8]>) -> Outcome {
        qmpsh(&[&["--connect", self.address()], args].concat(), input)
    }

    /// Starts `qmpsh ARGS` against this server, to talk to it while it runs.
    pub fn running(&self, args: &[&str]) -> Running {
        let args = [&["--connect", self.address()], args].concat();
        Running::qmpsh(self.home(), &args)
    }

    pub fn address(&self) -> &str {
        text(&self.socket)
    }

    /// qmpsh at its first prompt.
    pub fn prompt(&self) -> Terminal {
        Terminal::prompt(self.home(), &[self.address()])
    }

    fn home(&self) -> &Path {
        self.socket.parent().expect("it lies in a directory")
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        let thread = self.thread.take().expect("it is joined once");
        if thread.join().is_err() && !std::thread::panicking() {
            panic!("the fake server panicked");
        }
    }
}

/// Ends the thread that serves peers when it is dropped.
struct StopPeers {
    state: Arc<Mutex<State>>,
    socket: PathBuf,
}

impl Drop for StopPeers {
    fn drop(&mut self) {
        {
            let _hang_up = HangUp(&self.state);
            self.state
                .lock()
                .expect("no holder of this lock panics")
                .ended = true;
        }
        // Wakes a thread that waits for the next client.
        let _ = UnixStream::connect(&self.socket);
    }
}

/// Ends the connection there is when it is dropped.
struct HangUp<'a>(&'a Mutex<State>);

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        let client = self
            .0
            .lock()
            .expect("no holder of this lock panics")
            .client
            .take();
        if let Some(client) = client {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

/// The server's end of a connection. Nothing fails because the client is gone: whether it should be is for the test to
/// say.
pub struct Peer {
    stream: BufReader<UnixStream>,
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Greets and answers `qmp_capabilities`.
    pub fn greet(&mut self) {
        self.send(format!("{GREETING}\r\n"));
        if let Some(command) = self.command() {
            assert_eq!(command["execute"], "qmp_capabilities");
            self.send("{\"return\": {}}\r\n");
        }
    }

    /// Negotiates, then answers each command with its name.
    pub fn echo(&mut self) {
        self.greet();
        while let Some(command) = self.command() {
            self.send(echo(&command));
        }
    }

    /// The next line without its end, or nothing once the client has gone.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    /// The next line as it came, or nothing once the client has gone.
    pub fn bytes_of_line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(1..) => Some(line),
            _ => None,
        }
    }

    /// The next line as JSON.
    pub fn command(&mut self) -> Option<Value> {
        let line = self.line()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The next lines as JSON, as many as are asked for.
    pub fn commands(&mut self, count: usize) -> Vec<Value> {
        (0..count).map_while(|_| self.command()).collect()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Waits until the client has gone.
    pub fn wait_for_end(&mut self) {
        while self.line().is_some() {}
    }
}

fn echo(command: &Value) -> String {
    success(command, command["execute"].clone())
}

/// A success for `command`.
pub fn success(command: &Value, value: Value) -> String {
    reply(command, json!({"return": value}))
}

/// A reply, with the command's id if it has one.
fn reply(command: &Value, mut reply: Value) -> String {
    if let Some(id) = command.get("id") {
        reply["id"] = id.clone();
    }
    reply.to_string() + "\r\n"
}

/// A failure for `command`.
pub fn failure(command: &Value, desc: &str) -> String {
    failure_of("GenericError", command, desc)
}

/// A failure for `command` of this class.
pub fn failure_of(class: &str, command: &Value, desc: &str) -> String {
    let error = json!({"class": class, "desc": desc});
    reply(command, json!({"error": error}))
}

/// An event.
pub fn event(name: &str, data: &Value) -> String {
    let timestamp = json!({"seconds": 1, "microseconds": 2});
    json!({"timestamp": timestamp, "event": name, "data": data}).to_string() + "\r\n"
}
