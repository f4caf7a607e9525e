//! The server as a library, against clients that write bytes.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use qmpsh::qmp::{Greeting, Triple, Version};
use qmpsh::server::{Command, Server};
use qmpsh::transport::{Address, ServerSocket};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::common::connected::within;
use crate::common::scratch;

/// A client that has connected.
struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let stream = self.stream.get_mut();
        within(stream.write_all(bytes.as_ref()))
            .await
            .expect("the server reads");
    }

    /// The next message; null at the end.
    async fn message(&mut self) -> Value {
        let mut line = String::new();
        let read = within(self.stream.read_line(&mut line)).await;
        match read.expect("a line") {
            0 => Value::Null,
            _ => serde_json::from_str(&line).expect(&line),
        }
    }

    async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Value {
        self.send(bytes).await;
        self.message().await
    }

    async fn negotiate(&mut self, capabilities: Value) {
        self.message().await;
        let command = json!({"execute": "qmp_capabilities", "arguments": {"enable": capabilities}});
        assert_eq!(self.ask(command.to_string()).await, json!({"return": {}}));
    }
}

fn greeting() -> Greeting {
    Greeting {
        human: false,
        version: Version {
            qemu: Triple {
                major: 9,
                minor: 8,
                micro: 7,
            },
            package: "a \"package\"".to_owned(),
        },
        capabilities: vec!["oob".to_owned()],
        behind: None,
    }
}

struct Served {
    server: Server,
    socket: PathBuf,
    _directory: TempDir,
}

impl Served {
    fn by(server: Server) -> Self {
        let directory = scratch();
        let socket = directory.path().join("s");
        let address = Address::Unix(socket.clone());
        server.listen(ServerSocket::bind_for_many(&address).expect("a path of ours"));
        Self {
            server,
            socket,
            _directory: directory,
        }
    }

    /// Answers with the name, the arguments, and the number of descriptors.
    fn echo() -> Self {
        let server = Server::new(async |mut command: Command| {
            let arguments: Value =
                serde_json::from_str(command.arguments()).expect("arguments are JSON");
            let passed = command.take_descriptors().len();
            let value = json!([command.name(), arguments, passed]);
            command.succeed(&value.to_string());
        });
        server.greet(Some(&greeting()));
        Self::by(server)
    }

    async fn connect(&self) -> Client {
        let stream = within(UnixStream::connect(&self.socket)).await;
        Client {
            stream: BufReader::new(stream.expect("it listens")),
        }
    }

    async fn negotiated(&self) -> Client {
        let mut client = self.connect().await;
        client.negotiate(json!([])).await;
        client
    }
}

#[tokio::test]
async fn a_client_is_greeted_and_has_to_negotiate_first() {
    let served = Served::echo();
    let mut client = served.connect().await;
    let version = json!({"qemu": {"major": 9, "minor": 8, "micro": 7}, "package": "a \"package\""});
    let greeting = json!({"QMP": {"version": version, "capabilities": ["oob"]}});
    assert_eq!(client.message().await, greeting);
    let refused = client.ask(r#"{"execute": "a", "id": 1}"#).await;
    assert_eq!(refused["error"]["class"], "CommandNotFound");
    assert_eq!(refused["id"], 1);
    let refused = client
        .ask(r#"{"execute": "qmp_capabilities", "arguments": {"enable": ["x"]}}"#)
        .await;
    assert_eq!(refused["error"]["desc"], "Capability 'x' not available");
    let done = client.ask(r#"{"execute": "qmp_capabilities"}"#).await;
    assert_eq!(done, json!({"return": {}}));
    let again = client.ask(r#"{"execute": "qmp_capabilities"}"#).await;
    assert_eq!(again["error"]["class"], "CommandNotFound");
}

#[tokio::test]
async fn each_reply_has_the_id_of_its_command_or_none() {
    let mut client = Served::echo().negotiated_and_kept().await;
    for (id, expected) in [
        (
            r#", "id": null"#,
            json!({"return": ["a", {}, 0], "id": null}),
        ),
        (
            r#", "id": {"x":
             [1]}"#,
            json!({"return": ["a", {}, 0], "id": {"x": [1]}}),
        ),
        ("", json!({"return": ["a", {}, 0]})),
    ] {
        let command = format!(r#"{{"execute": "a"{id}}}"#);
        assert_eq!(client.0.ask(command).await, expected);
    }
}

impl Served {
    /// The same client, with the server.
    async fn negotiated_and_kept(self) -> (Client, Self) {
        (self.negotiated().await, self)
    }
}

#[tokio::test]
async fn what_is_not_a_command_is_an_error_and_no_end() {
    let served = Served::echo();
    let mut client = served.negotiated().await;
    for (sent, part) in [
        ("hello {\n", "JSON parse error"),
        ("[1]\n", "must be a JSON object"),
        ("{\"execute\": }", "JSON parse error"),
        ("{\"exec-oob\": \"a\"}", "'exec-oob' is unexpected"),
    ] {
        let reply = client.ask(sent).await;
        let desc = reply["error"]["desc"].as_str().expect("an error");
        assert!(desc.contains(part), "{sent}: {desc}");
    }
    let reply = client.ask("{'execute': 'a', 'arguments': {'b': 1}}").await;
    assert_eq!(reply, json!({"return": ["a", {"b": 1}, 0]}));
}

#[tokio::test]
async fn a_message_nested_too_deep_is_an_error_and_the_end() {
    let served = Served::echo();
    let mut client = served.negotiated().await;
    let reply = client
        .ask(format!("{{\"execute\": {}", "[".repeat(2000)))
        .await;
    assert!(reply["error"]["desc"].to_string().contains("nesting"));
    assert_eq!(client.message().await, Value::Null);
}

#[tokio::test]
async fn out_of_band_overtakes_what_is_running_and_in_band_keeps_its_order() {
    let (release, released) = mpsc::channel::<()>(1);
    let released = std::sync::Arc::new(tokio::sync::Mutex::new(released));
    let server = Server::new(move |command: Command| {
        let released = released.clone();
        async move {
            if command.name() == "slow" {
                released.lock().await.recv().await;
            }
            let name = json!(command.name()).to_string();
            command.succeed(&name);
        }
    });
    server.greet(Some(&greeting()));
    let served = Served::by(server);
    let mut client = served.connect().await;
    client.negotiate(json!(["oob"])).await;
    client
        .send(r#"{"execute": "slow"} {"execute": "next"} {"exec-oob": "fast", "id": 1}"#)
        .await;
    let fast = client.message().await;
    assert_eq!(fast, json!({"return": "fast", "id": 1}));
    release.send(()).await.expect("it is waited for");
    assert_eq!(client.message().await, json!({"return": "slow"}));
    assert_eq!(client.message().await, json!({"return": "next"}));
}

#[tokio::test]
async fn events_go_to_every_client_that_has_negotiated() {
    let served = Served::echo();
    let (mut one, mut two) = (served.negotiated().await, served.negotiated().await);
    let mut silent = served.connect().await;
    silent.message().await;
    served.server.publish("{\"event\":\n\"A\"}");
    for client in [&mut one, &mut two] {
        assert_eq!(client.message().await, json!({"event": "A"}));
    }
    let done = silent.ask(r#"{"execute": "qmp_capabilities"}"#).await;
    assert_eq!(done, json!({"return": {}}));
}

#[tokio::test]
async fn descriptors_go_with_the_next_command_that_takes_one() {
    let served = Served::echo();
    let mut client = served.negotiated().await;
    let file: OwnedFd = tempfile::tempfile().expect("a file").into();
    let stream = client.stream.get_ref();
    // As qemu.qmp does: with a byte of white space, and the command after it.
    let sent = sendmsg::<UnixAddr>(
        stream.as_raw_fd(),
        &[IoSlice::new(b" ")],
        &[ControlMessage::ScmRights(&[file.as_raw_fd()])],
        MsgFlags::empty(),
        None,
    );
    assert_eq!(sent, Ok(1));
    let other = client.ask(r#"{"execute": "a"}"#).await;
    assert_eq!(other["return"][2], 0);
    let getfd = client.ask(r#"{"execute": "getfd"}"#).await;
    assert_eq!(getfd["return"][2], 1);
    let again = client.ask(r#"{"execute": "getfd"}"#).await;
    assert_eq!(again["return"][2], 0);
}

#[tokio::test]
async fn without_a_greeting_clients_wait_and_with_a_new_one_the_old_ones_end() {
    let server = Server::new(async |command: Command| command.unknown());
    let served = Served::by(server);
    let mut client = served.connect().await;
    client.send(r#"{"execute": "qmp_capabilities"}"#).await;
    served.server.greet(Some(&greeting()));
    assert!(client.message().await["QMP"].is_object());
    assert_eq!(client.message().await, json!({"return": {}}));
    served.server.publish(r#"{"event": "SHUTDOWN"}"#);
    served.server.greet(None);
    assert_eq!(client.message().await["event"], "SHUTDOWN");
    assert_eq!(client.message().await, Value::Null);
}

#[tokio::test]
async fn who_leaves_before_the_greeting_is_not_kept() {
    let server = Server::new(async |command: Command| command.unknown());
    let served = Served::by(server);
    let client = served.connect().await;
    let mut half = served.connect().await;
    half.send(r#"{"execute": "qmp_capabilities"}"#).await;
    within(half.stream.get_mut().shutdown())
        .await
        .expect("it is open");
    wait_until(|| served.server.clients().len() == 2).await;
    drop(client);
    wait_until(|| served.server.clients().len() == 1).await;
    served.server.greet(Some(&greeting()));
    assert!(half.message().await["QMP"].is_object());
    assert_eq!(half.message().await, json!({"return": {}}));
}

async fn wait_until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_has_sent_everything_still_gets_its_replies() {
    let served = Served::echo();
    let mut client = served.negotiated().await;
    client.send(r#"{"execute": "a"}{"execute": "b"}"#).await;
    within(client.stream.get_mut().shutdown())
        .await
        .expect("it is open");
    assert_eq!(client.message().await["return"][0], "a");
    assert_eq!(client.message().await["return"][0], "b");
    assert_eq!(client.message().await, Value::Null);
}

#[tokio::test]
async fn a_command_that_is_not_answered_ends_the_connection() {
    let server = Server::new(async |command: Command| drop(command));
    server.greet(Some(&greeting()));
    let served = Served::by(server);
    let mut client = served.negotiated().await;
    assert_eq!(client.ask(r#"{"execute": "a"}"#).await, Value::Null);
}

#[tokio::test]
async fn what_is_still_to_be_sent_is_sent_before_the_end() {
    let served = Served::echo();
    let mut client = served.negotiated().await;
    served.server.publish(r#"{"event": "A"}"#);
    served.server.end().await;
    assert_eq!(client.message().await, json!({"event": "A"}));
    assert_eq!(client.message().await, Value::Null);
    assert!(served.server.clients().is_empty());
    assert!(!served.socket.exists());
}
