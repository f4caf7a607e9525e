//! A session that survives its server: what it says, what it tries, and what it never does twice.

use std::fs;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;

use crate::common::fake::{Fake, GREETING, Peer, success};
use crate::common::process::{descriptors, memory};
use crate::common::running::Running;
use crate::common::sockets::{leave_socket, listens, nearly_full};
use crate::common::terminal::{CTRL_C, Terminal};
use crate::common::{Qemu, kill, scratch, text, wait_for};

#[test]
fn the_prompt_finds_the_next_qemu_on_the_same_path_by_itself() {
    let mut qemu = Qemu::named("first");
    let mut terminal = qemu.prompt();
    terminal.wait_for_symbol('●');
    terminal.type_line("query-na");
    qemu.kill();
    // Whether it closed the connection, or reset it with something unread, is a matter of luck.
    terminal.wait_for_text("Connection lost: the server ");
    terminal.wait_for_symbol('○');
    qemu.restart_with(&["-machine", "none", "-name", "second"]);
    terminal.wait("the news", |screen| {
        screen.contains("\"second\" at ") && screen.ends_with("\n(QEMU) query-na")
    });
    terminal.wait_for_symbol('●');
    terminal.keys("me\r");
    terminal.wait_for_text("  \"name\": \"second\"");
}

#[test]
fn a_shutdown_is_reported_with_its_reason() {
    let qemu = Qemu::start();
    let terminal = qemu.prompt();
    qemu.control("quit");
    let screen = terminal.wait_for_text("Connection lost: QEMU shut down (host-qmp-quit)");
    // The event comes first, since it happened first.
    let event = screen.find(" SHUTDOWN ").expect("the event is shown");
    assert!(event < screen.find("Connection lost").expect("just seen"));
}

#[test]
fn the_prompt_waits_for_a_path_that_appears_later() {
    let directory = scratch();
    let socket = directory.path().join("later.sock");
    let terminal = Terminal::start(directory.path(), &[text(&socket)]);
    terminal.wait_for_text("the socket does not exist");
    let _server = Fake::echo_at(&socket);
    let screen = terminal.wait_for_prompt();
    assert_eq!(
        screen.matches("socket does not exist").count(),
        1,
        "{screen}"
    );
}

#[test]
fn the_prompt_waits_for_a_server_on_a_stale_socket() {
    let directory = scratch();
    let socket = directory.path().join("stale.sock");
    leave_socket(&socket);
    let terminal = Terminal::start(directory.path(), &[text(&socket)]);
    terminal.wait_for_text("nothing serves this socket");
    let _server = Fake::echo_at(&socket);
    terminal.wait_for_prompt();
}

#[test]
fn waiting_for_the_first_connection_ends_with_ctrl_c() {
    let directory = scratch();
    let socket = directory.path().join("never.sock");
    let mut terminal = Terminal::start(directory.path(), &[text(&socket)]);
    terminal.wait_for_text("retrying");
    terminal.keys(CTRL_C);
    assert_eq!(terminal.wait_for_end(), 130);
}

#[test]
fn a_first_connection_that_fails_for_good_ends_the_run() {
    let directory = scratch();
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file of ours");
    let nothing = directory.path().join("nothing");
    for arguments in [
        vec![text(&file)],
        vec!["--no-reconnect", text(&nothing)],
        vec!["--connect-timeout", "0.2", text(&nothing)],
        vec!["--reconnect=0.2", text(&nothing)],
    ] {
        let mut terminal = Terminal::start(directory.path(), &arguments);
        assert_eq!(terminal.wait_for_end(), 3, "{arguments:?}");
        terminal.wait_for_text("cannot connect to");
    }
}

#[test]
fn with_no_reconnect_the_prompt_says_so_and_waits_for_connect() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt_with(&["--no-reconnect"]);
    qemu.kill();
    terminal.wait_for_text("`:connect` to reconnect");
    qemu.restart_with(&["-machine", "none", "-name", "second"]);
    wait_for("the second QEMU", || listens(&qemu.socket).then_some(()));
    terminal.assert_answer("query-name", "not connected: the server ");
    terminal.keys(":connect\r");
    terminal.wait_for_text("\"second\" at ");
}

#[test]
fn disconnect_stops_the_attempts_to_reconnect() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    qemu.kill();
    terminal.wait_for_text("Reconnecting");
    terminal.wait_for_prompt();
    terminal.assert_answer(":disconnect", "no longer trying to connect");
    let screen = terminal.enter(":status");
    assert!(
        screen.contains("not connected; `:connect ADDRESS`"),
        "{screen}"
    );
}

#[test]
fn a_full_backlog_is_explained_and_waited_for() {
    let directory = scratch();
    let socket = directory.path().join("full.sock");
    let listener = nearly_full(&socket);
    let first = UnixStream::connect(&socket).expect("room for one");
    let terminal = Terminal::start(directory.path(), &[text(&socket)]);
    terminal.wait_for_text("its queue may be full");
    drop(first);
    drop(listener);
    let _server = Fake::echo_at(&socket);
    terminal.wait_for_prompt();
}

#[test]
fn a_stopped_qemu_is_distinguished_from_one_that_another_client_holds() {
    let qemu = Qemu::start();
    kill(qemu.pid(), "STOP");
    let terminal = Terminal::start(qemu.directory.path(), &[qemu.address()]);
    terminal.wait_for_text(&format!("its process (pid {}) is stopped", qemu.pid()));
    kill(qemu.pid(), "CONT");
    terminal.wait_for_prompt();
}

#[test]
fn a_late_greeting_is_explained_and_accepted_on_the_same_connection() {
    let (clients, count) = channel();
    let fake = Fake::start(move |peer| {
        let _ = clients.send(());
        // What is tested is the time itself.
        std::thread::sleep(Duration::from_secs(5));
        peer.echo();
    });
    let screen = fake.prompt().screen();
    assert_eq!(screen.matches("is silent").count(), 1, "{screen}");
    assert_eq!(count.try_iter().count(), 1);
}

#[test]
fn a_truncated_message_is_reported_and_the_next_connection_is_clean() {
    let mut cut = true;
    let fake = Fake::start(move |peer| {
        if std::mem::take(&mut cut) {
            peer.greet();
            while let Some(command) = peer.command() {
                if command["execute"] == "query-name" {
                    peer.send("{\"return\": {\"na");
                    return;
                }
                peer.send(success(&command, json!({})));
            }
        }
        peer.echo();
    });
    let script = "query-name\nquery-version\n";
    let outcome = fake.script(&["--reconnect=10"], script);
    outcome
        .assert_status(3)
        .assert_stdout("\"query-version\"\n");
    outcome.assert_says("the outcome of `query-name` is unknown: ");
    outcome.assert_says("in the middle of a message: `{\\\"return\\\": {\\\"na`");
}

#[test]
fn another_qemu_on_the_same_path_is_announced_as_what_it_is() {
    let directory = scratch();
    let socket = directory.path().join("qmp.sock");
    let version = |major: &str| {
        let greeting = GREETING.replace("\"major\": 7", &format!("\"major\": {major}"));
        move |peer: &mut Peer| {
            peer.send(&greeting);
            peer.command();
            peer.send("{\"return\": {}}");
            while let Some(command) = peer.command() {
                peer.send(success(&command, json!({})));
            }
        }
    };
    let old = Fake::at(&socket, version("4"));
    let terminal = Terminal::prompt(directory.path(), &[text(&socket)]);
    terminal.wait_for_text("Connected to QEMU 4.2.0 at ");
    drop(old);
    terminal.wait_for_text("Connection lost");
    let _new = Fake::at(&socket, version("10"));
    terminal.wait_for_text("Connected to QEMU 10.2.0 at ");
}

#[test]
fn bytes_that_are_not_qmp_end_the_session_for_good() {
    let fake = Fake::start(|peer| {
        peer.greet();
        while let Some(command) = peer.command() {
            if command["execute"] == "stop" {
                peer.send("SSH-2.0\r\n");
            } else {
                peer.send(success(&command, json!({})));
            }
        }
    });
    let mut terminal = fake.prompt();
    terminal.assert_answer("stop", "the outcome of `stop` is unknown");
    terminal.wait_for_text("`:connect` to reconnect");
}

#[test]
fn a_script_stops_when_its_server_goes_unless_it_may_reconnect() {
    let (commands, seen) = channel();
    let fake = Fake::start(move |peer| {
        peer.greet();
        while let Some(command) = peer.command() {
            let name = command["execute"].as_str().expect("a name").to_owned();
            let _ = commands.send(name.clone());
            if name == "die" {
                return;
            }
            peer.send(success(&command, json!(name)));
        }
    });
    let script = "one\ndie\ntwo\nthree\n";
    let outcome = fake.script(&[], script);
    outcome.assert_fails(3, "the outcome of `die` is unknown");
    outcome.assert_stdout("\"one\"\n");
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["one", "die"]);

    let outcome = fake.script(&["--reconnect=20"], script);
    outcome.assert_status(3);
    outcome.assert_stdout("\"one\"\n\"two\"\n\"three\"\n");
    outcome.assert_says("line 2: `die`: the outcome of `die` is unknown");
    // Never twice, and what came after it once.
    assert_eq!(
        seen.try_iter().collect::<Vec<_>>(),
        ["one", "die", "two", "three"]
    );
}

#[test]
fn a_script_gives_up_when_its_time_to_reconnect_is_over() {
    let directory = scratch();
    let socket = directory.path().join("gone.sock");
    let fake = Fake::echo_at(&socket);
    let mut script = fake.running(&["--reconnect=0.5"]);
    script.send("one");
    assert_eq!(script.line(), "\"one\"");
    drop(fake);
    script.send("two\nthree");
    let (status, stderr) = script.wait();
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert_eq!(stderr.matches("not connected").count(), 1, "{stderr}");
}

#[test]
fn a_script_waits_for_a_path_that_appears_later() {
    let directory = scratch();
    let socket = directory.path().join("later.sock");
    let args = ["--reconnect", "-c", text(&socket), "query-name"];
    let mut script = Running::qmpsh(directory.path(), &args);
    script.close();
    script.wait_for_complaint("retrying");
    let _server = Fake::echo_at(&socket);
    assert_eq!(script.line(), "\"query-name\"");
    assert!(script.wait().0.success());
}

/// Descriptors that a process has open, and its resident memory in KiB.
fn resources(pid: u32) -> (usize, u64) {
    (descriptors(pid), memory(pid, "VmRSS"))
}

/// How commands ended.
#[derive(Debug, Default)]
struct Ended {
    replies: usize,
    errors: usize,
    unknown: usize,
    /// Not commands.
    events: usize,
}

impl Ended {
    /// Counts what `script` has said since.
    fn count(&mut self, script: &Running) {
        while let Some(line) = script.try_line() {
            match line.contains("\"event\"") {
                true => self.events += 1,
                false => self.replies += 1,
            }
        }
        while let Some(line) = script.try_complaint() {
            self.count_complaints([line.as_str()]);
        }
    }

    fn count_complaints<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        for line in lines {
            self.errors += usize::from(line.contains("CommandNotFound"));
            self.unknown += usize::from(line.contains("is unknown: "));
        }
    }

    fn all(&self) -> usize {
        self.replies + self.errors + self.unknown
    }
}

#[test]
fn a_hundred_deaths_of_qemu_lose_no_command_and_leave_nothing_behind() {
    let mut qemu = Qemu::start();
    let args = ["--reconnect=60", "-k", "--events", "stdout"];
    let mut script = qemu.running(&args);
    let mut ended = Ended::default();
    let mut sent = 0;
    let mut early = (0, 0);
    for death in 0..100 {
        // Until some were answered by this QEMU; then it dies with others in flight.
        let before = ended.replies;
        while ended.replies < before + 4 {
            for line in ["stop", "query-status", "cont", "nonsense"] {
                script.send(line);
                sent += 1;
            }
            wait_for("what became of them", || {
                ended.count(&script);
                (ended.all() == sent).then_some(())
            });
        }
        for _ in 0..20 {
            script.send("query-version");
            sent += 1;
        }
        qemu.restart_with(&["-machine", "none"]);
        if death == 20 {
            early = resources(script.pid());
        }
    }
    let late = resources(script.pid());
    script.close();
    wait_for("what became of them", || {
        ended.count(&script);
        (ended.all() == sent).then_some(())
    });
    let (status, stderr) = script.wait();
    assert_eq!(status.code(), Some(3), "{stderr}");
    // Once each: nothing came after.
    ended.count(&script);
    ended.count_complaints(stderr.lines());
    assert_eq!(ended.all(), sent, "{ended:?}");
    let Ended {
        unknown, events, ..
    } = ended;
    assert!(unknown > 0 && events > 100, "{unknown} {events}");
    assert!(late.0 <= early.0 + 2, "{early:?} {late:?}");
    assert!(late.1 <= early.1 + 2048, "{early:?} {late:?}");
}
