//! `--serve` and `:serve`: one monitor for many clients.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::common::log::Log;
use crate::common::process::descriptors;
use crate::common::running::Running;
use crate::common::sockets::listens;
use crate::common::terminal::Terminal;
use crate::common::told::Told;
use crate::common::{
    DEADLINE, Outcome, Qemu, command, kill, mode, qemu, qmpsh, run, scratch, text, wait_for,
};

/// A VM, and a qmpsh that serves it.
struct Served {
    qemu: Qemu,
    qmpsh: Running,
    socket: PathBuf,
}

impl Served {
    fn start() -> Self {
        Self::with(Qemu::start(), &[])
    }

    fn with(qemu: Qemu, options: &[&str]) -> Self {
        let socket = qemu.directory.path().join("served.sock");
        let options = [&["--serve", text(&socket)], options].concat();
        let mut qmpsh = qemu.running(&options);
        qmpsh.close();
        wait_for("the server", || listens(&socket).then_some(()));
        Self {
            qemu,
            qmpsh,
            socket,
        }
    }

    fn qmpsh(&self, args: &[&str]) -> Outcome {
        qmpsh(&[&["--connect", text(&self.socket)], args].concat(), "")
    }

    fn connect(&self) -> Client {
        Client::at(&self.socket)
    }
}

/// A client that writes bytes.
struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    fn at(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        Self {
            stream: BufReader::new(stream),
        }
    }

    fn negotiated(socket: &Path) -> Self {
        let mut client = Self::at(socket);
        assert!(client.message()["QMP"].is_object());
        client.send(r#"{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}"#);
        assert_eq!(client.message(), json!({"return": {}}));
        client
    }

    fn send(&mut self, text: &str) {
        self.stream
            .get_mut()
            .write_all(text.as_bytes())
            .expect("the server reads");
    }

    /// The next message; null at the end.
    fn message(&mut self) -> Value {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(1..) => serde_json::from_str(&line).expect(&line),
            _ => Value::Null,
        }
    }

    /// The next message that is no event.
    fn reply(&mut self) -> Value {
        loop {
            let message = self.message();
            if message.get("event").is_none() {
                return message;
            }
        }
    }

    fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.reply()
    }
}

/// A program of qemu.qmp, as `tests/setup` installs it.
pub fn python(program: &str) -> Command {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache"),
        PathBuf::from,
    );
    let program = cache.join("qmpsh-tests/qemu.qmp-0.0.6/bin").join(program);
    assert!(program.exists(), "{}: run tests/setup", program.display());
    Command::new(program)
}

#[test]
fn qmp_shell_works_unchanged() {
    let served = Served::with(Qemu::named("a name"), &[]);
    let mut shell = python("qmp-shell");
    shell.arg(&served.socket);
    let outcome = run(shell, b"query-name\nstop\nquery-status\n");
    let printed = outcome.stdout();
    assert!(
        printed.contains(r#"{"return": {"name": "a name"}}"#),
        "{outcome}"
    );
    assert!(printed.contains(r#""status": "paused""#), "{outcome}");
}

#[test]
fn a_program_on_qemu_qmp_works_unchanged() {
    let served = Served::start();
    let file = served.qemu.directory.path().join("file");
    fs::write(&file, "").expect("a file of ours");
    let mut program = python("python3");
    program
        .arg("tests/data/asyncio_client.py")
        .args([&served.socket, &file]);
    let outcome = run(program, b"");
    outcome.assert_status(0).assert_stdout(
        "status running\nlistener STOP\nevents STOP RESUME\nat once 20\nerror CommandNotFound\ndescriptor passed\n",
    );
}

#[test]
fn socat_works_unchanged() {
    let served = Served::start();
    let mut socat = Command::new("socat");
    socat.args(["-t", "30", "-", &format!("UNIX:{}", text(&served.socket))]);
    let outcome = run(
        socat,
        b"{'execute': 'qmp_capabilities'}\n{'execute': 'query-status', 'id': 7}\n",
    );
    let replies = outcome.json();
    assert!(replies[0]["QMP"]["version"]["qemu"]["major"].is_number());
    assert_eq!(replies[1], json!({"return": {}}));
    assert_eq!(replies[2]["return"]["running"], true);
    assert_eq!(replies[2]["id"], 7);
}

#[test]
fn qmpsh_itself_is_served_by_one_with_a_launched_vm_behind_it() {
    let home = scratch();
    let socket = home.path().join("served.sock");
    let mut server = Running::qmpsh(
        home.path(),
        &[
            "--launch",
            "--serve",
            text(&socket),
            "--",
            &qemu(),
            "-display",
            "none",
            "-machine",
            "none",
            "-name",
            "launched",
        ],
    );
    server.close();
    wait_for("the server", || listens(&socket).then_some(()));
    let outcome = qmpsh(
        &[
            "-c",
            text(&socket),
            "-e",
            "query-name",
            "-e",
            "query-status",
            "-e",
            "stop",
            "-e",
            ":wait STOP",
        ],
        "",
    );
    let values = outcome.json();
    assert_eq!(values[0]["name"], "launched");
    assert_eq!(values[1]["running"], true);
    assert_eq!(values[3]["event"], "STOP");
    // The guest's end is the end of the VM, and with nothing to serve, that of the server.
    qmpsh(&["-c", text(&socket), "quit"], "").assert_status(0);
    let (status, complaints) = server.wait();
    assert_eq!(status.code(), Some(0), "{complaints}");
    assert!(!socket.exists());
}

#[test]
fn descriptors_are_passed_on() {
    let served = Served::start();
    let file = served.qemu.directory.path().join("disk");
    fs::write(&file, [0; 4096]).expect("a file of ours");
    let lines = [
        format!("getfd fdname=one <{}", text(&file)),
        "closefd fdname=one".to_owned(),
        format!("add-fd fdset-id=7 opaque=x <{}", text(&file)),
        "query-fdsets".to_owned(),
        "getfd fdname=none".to_owned(),
    ];
    let args: Vec<&str> = lines.iter().flat_map(|line| ["-e", line]).collect();
    let outcome = served.qmpsh(&args);
    let values = outcome.json();
    assert_eq!(values[3][0]["fdset-id"], 7, "{outcome}");
    assert_eq!(values[3][0]["fds"][0]["opaque"], "x", "{outcome}");
    outcome.assert_status(1).assert_says("No file descriptor");
}

#[test]
fn out_of_band_overtakes_a_command_that_blocks_the_vm() {
    let served = Served::start();
    let fifo = served.qemu.directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO of ours");
    let (mut one, mut two) = (
        Client::negotiated(&served.socket),
        Client::negotiated(&served.socket),
    );
    // QEMU waits for somebody to write to it.
    let blocked = json!({"driver": "blkdebug", "node-name": "b", "config": text(&fifo), "image": {"driver": "null-co"}});
    one.send(&json!({"execute": "blockdev-add", "id": 1, "arguments": blocked}).to_string());
    two.send(r#"{"execute": "query-name", "id": 2}"#);
    for (client, id) in [(&mut two, "a"), (&mut one, "b")] {
        let overtook = client.ask(&json!({"exec-oob": "migrate-pause", "id": id}).to_string());
        assert_eq!(overtook["id"], id);
    }
    // QEMU may open it twice.
    let write = fs::OpenOptions::new().write(true).open(&fifo);
    drop(write);
    assert_eq!(one.reply()["id"], 1);
    assert_eq!(two.reply()["id"], 2);
}

#[test]
fn replies_are_in_order_and_events_come_where_the_vm_sent_them() {
    let served = Served::start();
    let mut client = Client::negotiated(&served.socket);
    let mut other = Client::negotiated(&served.socket);
    for round in 0..50 {
        client.send(&format!(
            r#"{{"execute": "stop", "id": {round}}}{{"execute": "cont", "id": "c"}}{{"execute": "none"}}"#
        ));
        for expected in ["STOP", "", "RESUME", "c"] {
            let message = client.message();
            match expected {
                "STOP" | "RESUME" => assert_eq!(message["event"], expected),
                "" => assert_eq!(message, json!({"return": {}, "id": round})),
                id => assert_eq!(message, json!({"return": {}, "id": id})),
            }
        }
        let refused = client.message();
        assert_eq!(refused["error"]["class"], "CommandNotFound");
        assert!(refused.get("id").is_none());
    }
    let events = (0..100).map(|_| other.message()["event"].take());
    for (number, event) in events.enumerate() {
        assert_eq!(event, ["STOP", "RESUME"][number % 2]);
    }
}

#[test]
fn clients_wait_while_the_vm_is_away_and_are_disconnected_when_it_goes() {
    let mut served = Served::start();
    let mut client = Client::negotiated(&served.socket);
    served.qemu.control("stop");
    served.qemu.kill();
    assert_eq!(client.message()["event"], "STOP");
    assert_eq!(client.message(), Value::Null);
    let mut waiting = served.connect();
    waiting.send(r#"{"execute": "qmp_capabilities"}{"execute": "query-name"}"#);
    served
        .qemu
        .restart_with(&["-machine", "none", "-name", "back"]);
    assert!(waiting.message()["QMP"].is_object());
    assert_eq!(waiting.message(), json!({"return": {}}));
    assert_eq!(waiting.message(), json!({"return": {"name": "back"}}));
    assert_eq!(mode(&served.socket), 0o600);
}

#[test]
fn a_vm_that_is_not_there_yet_is_waited_for() {
    let home = scratch();
    let (vm, socket) = (home.path().join("vm.sock"), home.path().join("served.sock"));
    let mut server = Running::qmpsh(home.path(), &["--serve", text(&socket), "-c", text(&vm)]);
    server.close();
    wait_for("the server", || listens(&socket).then_some(()));
    let mut client = Client::at(&socket);
    let fake = crate::common::fake::Fake::echo_at(&vm);
    assert!(client.message()["QMP"].is_object());
    kill(server.pid(), "TERM");
    let (status, complaints) = server.wait();
    assert_eq!(status.code(), Some(0), "{complaints}");
    drop(fake);
}

#[test]
fn a_service_is_ready_serves_passed_sockets_and_ends_by_a_signal() {
    let qemu = Qemu::start();
    let directory = qemu.directory.path();
    let (passed, manager) = (directory.join("passed.sock"), directory.join("notify"));
    let listener = UnixListener::bind(&passed).expect("a path of ours");
    let notified = UnixDatagram::bind(&manager).expect("a path of ours");
    notified.set_read_timeout(Some(DEADLINE)).expect("a socket");
    let served = directory.join("served.sock");
    // Debian's sh knows no descriptor above 9.
    let mut service = Command::new("bash");
    // The descriptor becomes number 3, and the pid stays that of the shell.
    let line = format!(
        "exec 3<&{}; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"",
        listener.as_raw_fd()
    );
    let qmpsh = command(directory);
    service
        .args(["-c", &line])
        .arg(qmpsh.get_program())
        .args(["-c", qemu.address(), "--serve", text(&served)])
        .env("NOTIFY_SOCKET", &manager);
    nix::fcntl::fcntl(
        &listener,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .expect("it is open");
    let mut service = Running::start(service);
    service.close();
    let mut told = [0; 100];
    let length = notified
        .recv(&mut told)
        .unwrap_or_else(|error| panic!("{error}: {:?}", service.try_complaint()));
    assert_eq!(&told[..length], b"READY=1");
    for socket in [&passed, &served] {
        let mut client = Client::negotiated(socket);
        let status = client.ask(r#"{"execute": "query-status"}"#);
        assert_eq!(status["return"]["running"], true);
    }
    kill(service.pid(), "TERM");
    let (status, complaints) = service.wait();
    assert_eq!(status.code(), Some(0), "{complaints}");
    let length = notified.recv(&mut told).expect("a word");
    assert_eq!(&told[..length], b"STOPPING=1");
    assert!(!served.exists());
    assert!(passed.exists());
}

#[test]
fn the_log_tells_who_sent_what() {
    let qemu = Qemu::start();
    let log = Log::at(qemu.directory.path().join("messages"));
    let path = log.path().to_owned();
    let served = Served::with(qemu, &["--log", &path]);
    served.qmpsh(&["query-uuid"]).assert_status(0);
    let sent = wait_for("the command in the log", || {
        let entries = log.entries().into_iter();
        let mut sent = entries.filter(|entry| entry["dir"] == "send");
        sent.find(|entry| entry["msg"]["execute"] == "query-uuid")
    });
    let from = sent["from"].as_str().expect("a client");
    assert!(
        from.contains("client 1 (pid ") && from.contains("qmpsh"),
        "{from}"
    );
    assert_eq!(sent["conn"], 1);
    wait_for("the client's coming and going", || {
        let text = log.text();
        (text.contains("has connected") && text.contains("has gone")).then_some(())
    });
}

#[test]
fn a_read_only_client_changes_nothing() {
    let served = Served::with(Qemu::start(), &["--policy", "read-only"]);
    served.qmpsh(&["query-status"]).assert_status(0);
    for line in [
        "stop",
        "quit",
        "human-monitor-command command-line=stop",
        "transaction actions=[{'type':'abort','data':{}}]",
    ] {
        let refused = served.qmpsh(&["-e", line]);
        refused
            .assert_status(1)
            .assert_says("The policy of this server (read-only) does not allow");
    }
    assert!(
        served
            .qemu
            .control("query-status")
            .stdout()
            .contains("running")
    );
}

#[test]
fn a_policy_allows_and_denies_by_command_and_arguments() {
    let qemu = Qemu::start();
    let policy = qemu.directory.path().join("policy.toml");
    let rules = "read-only = true\n[[allow]]\ncommand = 'object-add'\narguments = { qom-type = 'iothread' }\n\
                 [[deny]]\ncommand = 'query-name'\n";
    fs::write(&policy, rules).expect("a file of ours");
    let served = Served::with(qemu, &["--policy", text(&policy)]);
    served
        .qmpsh(&["object-add", "qom-type=iothread", "id=i"])
        .assert_status(0);
    served.qmpsh(&["query-iothreads"]).assert_status(0);
    for line in ["object-add qom-type=rng-builtin id=r", "query-name", "stop"] {
        served
            .qmpsh(&["-e", line])
            .assert_status(1)
            .assert_says("does not allow");
    }
}

#[test]
fn a_wrong_policy_is_told_with_its_line() {
    let home = scratch();
    let policy = home.path().join("policy.toml");
    fs::write(&policy, "read-only = true\nalow = 1\n").expect("a file of ours");
    let socket = home.path().join("s");
    let args = [
        "--serve",
        text(&socket),
        "--policy",
        text(&policy),
        "-c",
        "none.sock",
    ];
    qmpsh(&args, "")
        .assert_fails(2, "line 2")
        .assert_says("alow");
}

#[test]
fn a_script_serves_while_it_runs() {
    let qemu = Qemu::start();
    let socket = qemu.directory.path().join("served.sock");
    let mut script = qemu.running(&[]);
    script.send(&format!(":serve {} --policy read-only", text(&socket)));
    wait_for("the server", || listens(&socket).then_some(()));
    let mut client = Client::negotiated(&socket);
    assert!(client.ask(r#"{"execute": "stop"}"#)["error"].is_object());
    script.send(":serve");
    let listed: Value = serde_json::from_str(&script.line()).expect("JSON");
    assert_eq!(listed[0]["address"], text(&socket));
    assert_eq!(listed[0]["policy"], "read-only");
    assert_eq!(listed[0]["clients"][0]["commands"], 2);
    script.send(&format!(":unserve {}", text(&socket)));
    assert_eq!(client.message(), Value::Null);
    wait_for("the end of the socket", || (!socket.exists()).then_some(()));
    script.send(&format!(":unserve {}", text(&socket)));
    script.close();
    let (status, complaints) = script.wait();
    assert_eq!(status.code(), Some(2));
    assert!(complaints.contains("is not served at"), "{complaints}");
}

#[test]
fn the_prompt_serves_and_lists_its_clients() {
    let qemu = Qemu::start();
    let socket = qemu.directory.path().join("served.sock");
    let mut prompt = Terminal::prompt(
        qemu.directory.path(),
        &["--serve", text(&socket), qemu.address()],
    );
    let mut client = Client::negotiated(&socket);
    prompt.keys(":serve\r");
    prompt.wait_for_text("ADDRESS");
    prompt.wait_for_text("served.sock");
    client.send(r#"{"execute": "stop"}"#);
    prompt.wait_for_text("STOP");
    prompt.keys(&format!(":unserve {}\r", text(&socket)));
    assert_eq!(client.reply(), json!({"return": {}}));
    assert_eq!(client.reply(), Value::Null);
    prompt.keys("\x04");
    wait_for("the end of the socket", || (!socket.exists()).then_some(()));
}

#[test]
fn a_client_that_does_not_read_does_not_keep_others_from_their_events() {
    let served = Served::start();
    let mut silent = Client::negotiated(&served.socket);
    let mut other = Client::negotiated(&served.socket);
    // It asks for much and reads none of it.
    silent
        .stream
        .get_mut()
        .set_nonblocking(true)
        .expect("a socket");
    let flood = r#"{"execute": "query-qmp-schema"}"#.repeat(1000);
    let _ = silent.stream.get_mut().write(flood.as_bytes());
    for _ in 0..100 {
        let reply = other.ask(r#"{"execute": "query-name", "id": 1}"#);
        assert_eq!(reply["id"], 1);
    }
    other.send(r#"{"execute": "stop"}"#);
    assert_eq!(other.message()["event"], "STOP");
}

#[test]
fn others_do_not_wait_while_a_large_message_is_read() {
    let served = Served::start();
    let mut large = Client::negotiated(&served.socket);
    let mut other = Client::negotiated(&served.socket);
    // It is no command, which shows at its end.
    let lists = "[],".repeat(16 << 20);
    large.send(&format!("{{\"arguments\": [{lists}[]], \"x\": 1}}\n"));
    let nonblocking = |client: &Client, on| {
        let stream = client.stream.get_ref();
        stream.set_nonblocking(on).expect("a socket");
    };
    nonblocking(&large, true);
    let mut answered = 0;
    while large.stream.fill_buf().is_err() {
        let reply = other.ask(r#"{"execute": "query-status"}"#);
        assert_eq!(reply["return"]["status"], "running");
        answered += 1;
    }
    nonblocking(&large, false);
    assert!(large.reply()["error"].is_object());
    assert!(answered >= 10, "{answered} commands of the other");
}

#[test]
fn a_client_of_another_user_is_turned_away() {
    assert!(
        nix::unistd::geteuid().is_root() || cfg!(not(target_os = "linux")),
        "only root can be somebody else: run the tests as root, or leave this one out"
    );
    let served = Served::start();
    // Whoever gets as far as the socket.
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&served.socket, all).expect("it is ours");
    let directory: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(served.qemu.directory.path(), directory).expect("it is ours");
    let mut other = Command::new("setpriv");
    other
        .args(["--reuid=65534", "--clear-groups", "socat", "-t", "5", "-"])
        .arg(format!("UNIX:{}", text(&served.socket)));
    let outcome = run(other, b"");
    assert_eq!(outcome.stdout(), "", "{outcome}");
    served.qmpsh.wait_for_complaint("it belongs to user 65534");
}

#[test]
fn qemu_gets_a_monitor_of_its_own_until_the_client_leaves() {
    let qemu = Qemu::start();
    let socket = qemu.directory.path().join("own.sock");
    let add = format!(":monitor {}", text(&socket));
    if !Told::by(&qemu).json.contains("monitor-qmp") {
        let outcome = qemu.qmpsh(&["-e", &add]);
        outcome
            .assert_status(1)
            .assert_says("this QEMU cannot add monitors");
        return;
    }
    let outcome = qemu.qmpsh(&["-e", &add, "-e", ":status"]);
    let listed = format!("{} (free)", text(&socket));
    assert!(outcome.stdout().contains(&listed), "{outcome}");
    let mut shell = python("qmp-shell");
    shell.arg(&socket);
    let outcome = run(shell, b"query-status\n");
    assert!(outcome.stdout().contains("running"), "{outcome}");
    wait_for("the end of the monitor", || {
        (!socket.exists()).then_some(())
    });
    let chardevs = qemu.control("query-chardev").stdout();
    assert!(!chardevs.contains("own.sock"), "{chardevs}");
}

#[test]
fn a_shell_completes_through_a_server_as_on_the_vm_itself() {
    let served = Served::with(Qemu::q35(), &[]);
    let mut through = Terminal::prompt(served.qemu.directory.path(), &[text(&served.socket)]);
    // From the schema, from the VM, and from its twin.
    for (typed, expected) in [
        ("query-sta", "query-stat"),
        ("device_del id=po", "device_del id=port0"),
        ("device_add driver=virtio-rng-pc", "driver=virtio-rng-pci"),
    ] {
        through.keys(typed);
        through.wait_for_text(typed);
        wait_for(expected, || {
            through.keys("\t");
            std::thread::sleep(Duration::from_millis(500));
            through.screen().contains(expected).then_some(())
        });
        through.cancel();
    }
    let pid = served.qemu.pid().to_string();
    through.keys(":status\r");
    through.wait_for_text(&pid);
}

/// How many clients there are, what each sends, and how often the VM stops and goes on meanwhile.
const CLIENTS: usize = 100;
const COMMANDS: usize = 1000;
const STOPS: usize = 20;

/// When all have negotiated, sends its commands, some at a time, and checks that each reply is its own and in its place. Some clients leave in the
/// middle. Returns the names of the events that came, if it stayed.
fn one_of_many(socket: &Path, number: usize, all_there: &Barrier) -> Option<Vec<String>> {
    let mut client = Client::negotiated(socket);
    all_there.wait();
    let mut events = Vec::new();
    let leaves_at = number
        .is_multiple_of(3)
        .then(|| fastrand::usize(..COMMANDS));
    let mut next = 0;
    while next < COMMANDS {
        let batch = next..COMMANDS.min(next + fastrand::usize(1..20));
        let text: String = batch
            .clone()
            .map(|n| format!("{{\"execute\": \"no-{number}-{n}\", \"id\": {n}}}"))
            .collect();
        client.send(&text);
        if leaves_at.is_some_and(|at| batch.contains(&at)) {
            return None;
        }
        for n in batch.clone() {
            let reply = loop {
                let mut message = client.message();
                match message["event"].take() {
                    Value::String(name) => events.push(name),
                    _ => break message,
                }
            };
            assert_eq!(reply["id"], n);
            let desc = reply["error"]["desc"].as_str().expect("an error");
            assert!(desc.contains(&format!("no-{number}-{n} ")), "{desc}");
        }
        next = batch.end;
    }
    while events.len() < 2 * STOPS {
        let mut message = client.message();
        match message["event"].take() {
            Value::String(name) => events.push(name),
            other => panic!("{other}: {message}"),
        }
    }
    Some(events)
}

#[test]
fn a_hundred_clients_get_their_own_replies_in_order_and_all_events() {
    let served = Served::start();
    // There is a connection to the VM, too, once a client has been served.
    drop(Client::negotiated(&served.socket));
    let before = descriptors(served.qmpsh.pid());
    let socket = served.socket.clone();
    let all_there = Arc::new(Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (socket, all_there) = (socket.clone(), all_there.clone());
            std::thread::spawn(move || one_of_many(&socket, number, &all_there))
        })
        .collect();
    let mut control = Client::negotiated(&served.qemu.control);
    all_there.wait();
    for _ in 0..STOPS {
        for command in ["stop", "cont"] {
            control.ask(&json!({"execute": command}).to_string());
        }
    }
    let ends = clients.into_iter().map(std::thread::JoinHandle::join);
    let stayed = ends.filter_map(|end| end.expect("no assertion failed"));
    for events in stayed {
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event, ["STOP", "RESUME"][number % 2]);
        }
    }
    wait_for("the end of all connections", || {
        (descriptors(served.qmpsh.pid()) <= before).then_some(())
    });
}
