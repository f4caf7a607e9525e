//! The guest agent: a real one on a Unix socket, and fakes for what befalls it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::fake::{Fake, Peer};
use crate::common::process::Killed;
use crate::common::qemu::beside_qemu;
use crate::common::running::Running;
use crate::common::sockets::{fill_queue, listens};
use crate::common::terminal::{TAB, Terminal};
use crate::common::{Outcome, Qemu, qmpsh, scratch, text, wait_for};

/// A running qemu-ga. Its guest is this machine.
struct Agent {
    process: Killed,
    directory: TempDir,
    socket: PathBuf,
}

impl Agent {
    fn start() -> Self {
        let directory = scratch();
        let socket = directory.path().join("qga.sock");
        let process = spawn(directory.path(), &socket);
        Self {
            process,
            directory,
            socket,
        }
    }

    fn qmpsh(&self, args: &[&str]) -> Outcome {
        self.script(args, "")
    }

    fn script(&self, args: &[&str], input: &str) -> Outcome {
        qmpsh(
            &[&["-N", "--connect", text(&self.socket)], args].concat(),
            input,
        )
    }

    fn file(&self, name: &str) -> String {
        text(&self.directory.path().join(name)).to_owned()
    }
}

fn spawn(directory: &Path, socket: &Path) -> Killed {
    // Debian has it where only root looks.
    let program = match beside_qemu("qemu-ga") {
        program if program.exists() => program,
        _ => PathBuf::from("/usr/sbin/qemu-ga"),
    };
    let mut command = Command::new(program);
    command
        .args([
            "-m",
            "unix-listen",
            "-p",
            text(socket),
            "-t",
            text(directory),
        ])
        .args(["-f", text(&directory.join("pid"))])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    qmpsh::os::sys::tie(&mut command, Vec::new(), Signal::SIGKILL);
    let agent = Killed::spawn(command);
    wait_for("the agent's socket", || listens(socket).then_some(()));
    agent
}

#[test]
fn a_command_of_the_agent_runs() {
    let agent = Agent::start();
    agent
        .qmpsh(&["guest-ping"])
        .assert_status(0)
        .assert_stdout("{}\n");
    let outcome = agent.script(
        &["-k"],
        "guest-ping\nguest-fsfreeze-status\nguest-pin\nguest-ping\n",
    );
    outcome
        .assert_status(1)
        .assert_stdout("{}\n\"thawed\"\n{}\n");
    assert!(
        outcome.stderr().contains("did you mean `guest-ping`"),
        "{outcome}"
    );
}

#[test]
fn an_address_and_a_command_are_enough() {
    let agent = Agent::start();
    let run = |command: &[&str]| qmpsh(&[&["-N", text(&agent.socket)], command].concat(), "");
    run(&["guest-ping"]).assert_status(0).assert_stdout("{}\n");
    let uname = Command::new("uname").arg("-a").output();
    let uname = uname.expect("uname runs");
    let outcome = run(&[":exec", "uname", "-a"]);
    outcome.assert_status(0);
    assert_eq!(outcome.stdout().as_bytes(), uname.stdout, "{outcome}");
    run(&[":exec", "sh", "-c", "kill -9 $$"]).assert_status(137);
}

#[test]
fn words_get_their_types_from_the_agents_schema() {
    let agent = Agent::start();
    let path = agent.file("7");
    std::fs::write(&path, "x").expect("a file");
    let open = format!("guest-file-open path={path}");
    let outcome = agent.qmpsh(&["-e", &open]);
    outcome.assert_status(0);
    let handle = outcome.stdout().trim().to_owned();
    let read = format!("guest-file-read handle={handle} count=1K");
    let outcome = agent.qmpsh(&["-e", &read]);
    assert_eq!(outcome.json()[0]["buf-b64"], "eA==", "{outcome}");
    let help = agent.qmpsh(&["help", "guest-file-read"]);
    assert!(help.stdout().contains("buf-b64"), "{help}");
}

#[test]
fn a_program_runs_in_the_guest_and_its_status_is_ours() {
    let agent = Agent::start();
    let uname = Command::new("uname")
        .arg("-a")
        .output()
        .expect("uname runs");
    let uname = String::from_utf8_lossy(&uname.stdout).into_owned();
    agent
        .qmpsh(&[":exec", "uname", "-a"])
        .assert_status(0)
        .assert_stdout(&uname);
    for (script, status) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)] {
        let outcome = agent.qmpsh(&[":exec", "sh", "-c", script]);
        outcome.assert_status(status);
        assert_eq!(outcome.stderr(), "", "{outcome}");
    }
    let outcome = agent.qmpsh(&[":exec", "sh", "-c", "echo out; echo err >&2"]);
    outcome.assert_status(0).assert_stdout("out\n");
    assert_eq!(outcome.stderr(), "err\n");
    // What fails on the way is told from what fails there.
    agent
        .qmpsh(&[":exec", "/no/such/program"])
        .assert_status(255);
    let gone = agent.file("gone");
    qmpsh(&["-N", &gone, ":exec", "true"], "").assert_status(255);
}

#[test]
fn a_program_in_a_script_fails_as_a_command_does() {
    let agent = Agent::start();
    let script = ":exec sh -c 'echo \"a|b\" # $HOME & exit 3'\n:exec echo next\n";
    agent
        .script(&[], script)
        .assert_status(0)
        .assert_stdout("a|b\nnext\n");
    // What a variable has is one argument, or a part of one.
    let line = ":exec printf '%s|' ${f} x${f} $f '$5' > & |";
    let outcome = agent.script(&["--var", "f=a 'b\" c"], line);
    outcome
        .assert_status(0)
        .assert_stdout("a 'b\" c|xa 'b\" c|$f|$5|>|&|||");
    let outcome = agent.qmpsh(&["--var", "f=a b", ":exec", "printf", "%s|", "${f}", "$f"]);
    outcome.assert_status(0).assert_stdout("a b|$f|");
    let outcome = agent.script(&["--var", "n=5"], ":exec sh -c 'exit ${n}'\n");
    outcome.assert_status(1);
    assert!(
        outcome.stderr().contains("`sh` ended with status 5"),
        "{outcome}"
    );
}

#[test]
fn standard_input_and_a_megabyte_of_output_arrive_unharmed() {
    let agent = Agent::start();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let path = agent.file("in");
    std::fs::write(&path, &bytes).expect("a file");
    let outcome = agent.qmpsh(&[":exec", "--stdin", &path, "sha256sum"]);
    let sum = Command::new("sha256sum")
        .arg(&path)
        .output()
        .expect("it runs");
    let sum = String::from_utf8_lossy(&sum.stdout[..64]).into_owned();
    assert!(outcome.stdout().starts_with(&sum), "{outcome}");
    let outcome = agent.qmpsh(&[":exec", "base64", "-w0", &path]);
    outcome.assert_status(0);
    assert_eq!(outcome.stdout().len(), bytes.len().div_ceil(3) * 4);
}

#[test]
fn files_are_copied_both_ways_unharmed() {
    let agent = Agent::start();
    let [from, guest, to] = ["from", "guest file", "to"].map(|name| agent.file(name));
    for length in [0, 1, 1 << 20, (5 << 20) + 7] {
        let bytes: Vec<u8> = (0..length)
            .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        std::fs::write(&from, &bytes).expect("a file");
        agent
            .qmpsh(&[":put", &from, &guest])
            .assert_status(0)
            .assert_stdout("");
        assert!(
            std::fs::read(&guest).expect("it is there") == bytes,
            "{length}"
        );
        agent.qmpsh(&[":get", &guest, &to]).assert_status(0);
        assert!(
            std::fs::read(&to).expect("it is there") == bytes,
            "{length}"
        );
    }
    agent
        .qmpsh(&[":get", "/no/such/file", &to])
        .assert_status(1);
    agent
        .qmpsh(&[":put", "/no/such/file", &guest])
        .assert_status(1);
    agent
        .qmpsh(&[":get", &guest, "/no/such/directory/file"])
        .assert_status(1);
    agent.qmpsh(&[":get", &guest]).assert_status(2);
}

/// Answers to synchronizing; the next command otherwise.
fn next(peer: &mut Peer) -> Option<Value> {
    loop {
        let line = peer.bytes_of_line()?;
        let start = line.iter().position(|byte| *byte == b'{')?;
        let command: Value = serde_json::from_slice(&line[start..]).ok()?;
        if command["execute"] != "guest-sync-delimited" {
            return Some(command);
        }
        let answer = json!({"return": command["arguments"]["id"], "id": command["id"]});
        peer.send(b"\xff");
        peer.send(answer.to_string() + "\n");
    }
}

#[test]
fn a_copy_that_is_cut_off_leaves_nothing() {
    let fake = Fake::start(|peer| {
        let mut pieces = 0;
        while let Some(command) = next(peer) {
            let value = match command["execute"].as_str() {
                Some("guest-file-open") => json!(1),
                Some("guest-file-read") if pieces < 3 => {
                    pieces += 1;
                    json!({"count": 3, "buf-b64": "YWJj", "eof": false})
                }
                _ => return,
            };
            peer.send(json!({"return": value, "id": command["id"]}).to_string() + "\n");
        }
    });
    let home = scratch();
    let to = home.path().join("to");
    let outcome = fake.qmpsh(&["-N", ":get", "/from", text(&to)]);
    outcome.assert_status(3);
    assert_eq!(
        std::fs::read_dir(home.path()).expect("it is there").count(),
        0
    );
}

#[test]
fn what_an_earlier_client_left_is_skipped() {
    let fake = Fake::start(|peer| {
        // The end of a reply, an old answer to synchronizing, and a reply.
        peer.send(b"abc\"}\n\xff{\"return\": 77}\n{\"return\": {\"stale\": 1}}\n\xff\xff{\"retu");
        while let Some(command) = next(peer) {
            peer.send(json!({"return": {"fresh": 1}, "id": command["id"]}).to_string() + "\n");
        }
    });
    let outcome = fake.qmpsh(&["-N", "guest-info"]);
    outcome.assert_status(0).assert_stdout("{\"fresh\":1}\n");
}

#[test]
fn an_agent_that_is_not_there_ends_in_a_time_limit() {
    let fake = Fake::start(|peer| while peer.bytes_of_line().is_some() {});
    let outcome = fake.qmpsh(&["-N", "--connect-timeout", "1", "guest-ping"]);
    outcome.assert_status(3);
    assert!(
        outcome
            .stderr()
            .contains("no guest agent answered within 1 second"),
        "{outcome}"
    );
    // It comes late: it saw nothing of the first messages.
    let fake = Fake::start(|peer| {
        peer.bytes_of_line();
        while let Some(command) = next(peer) {
            peer.send(json!({"return": {}, "id": command["id"]}).to_string() + "\n");
        }
    });
    fake.qmpsh(&["-N", "guest-ping"]).assert_status(0);
}

#[test]
fn a_number_that_is_answered_late_is_no_reply_to_a_command() {
    let fake = Fake::start(|peer| {
        // It starts late, and finds several numbers. It answers to each, and to the byte before it.
        let numbers = [peer.bytes_of_line(), peer.bytes_of_line()];
        for line in numbers.into_iter().flatten() {
            let start = line.iter().position(|byte| *byte == b'{').expect("JSON");
            let sync: Value = serde_json::from_slice(&line[start..]).expect("JSON");
            peer.send("{\"error\": {\"class\": \"GenericError\", \"desc\": \"stray\"}}\n");
            peer.send(b"\xff");
            let answer = json!({"return": sync["arguments"]["id"], "id": sync["id"]});
            peer.send(answer.to_string() + "\n");
        }
        while let Some(command) = next(peer) {
            peer.send(json!({"return": {}, "id": command["id"]}).to_string() + "\n");
        }
    });
    let outcome = fake.qmpsh(&["-N", "guest-ping"]);
    outcome.assert_status(0).assert_stdout("{}\n");
    assert!(!outcome.stderr().contains("late reply"), "{outcome}");
}

#[test]
fn a_guest_that_stops_answering_ends_in_a_time_limit() {
    let fake = Fake::start(|peer| while next(peer).is_some() {});
    let outcome = fake.qmpsh(&["-N", "-t", "0.2", "guest-ping"]);
    outcome.assert_status(4);
    assert!(
        outcome
            .stderr()
            .contains("no reply to `guest-ping` within 0.2 s"),
        "{outcome}"
    );
    fake.qmpsh(&["-N", "-t", "0.2", ":exec", "true"])
        .assert_status(255);
}

#[test]
fn an_agent_that_is_restarted_loses_a_command_and_answers_the_next() {
    let fake = Fake::start(|peer| {
        // It never saw the first.
        next(peer);
        while let Some(command) = next(peer) {
            peer.send(json!({"return": {"fresh": 1}, "id": command["id"]}).to_string() + "\n");
        }
    });
    let outcome = fake.script(&["-N", "-k", "-t", "0.3"], "guest-ping\nguest-info\n");
    outcome.assert_status(4).assert_stdout("{\"fresh\":1}\n");
    assert!(
        outcome.stderr().contains("no reply to `guest-ping`"),
        "{outcome}"
    );
}

#[test]
fn an_agent_that_others_keep_busy_is_waited_for() {
    let agent = Agent::start();
    // One speaks to it.
    let busy = UnixStream::connect(&agent.socket).expect("it listens");
    let outcome = agent.qmpsh(&["--connect-timeout", "0.5", "guest-ping"]);
    outcome.assert_status(3).assert_says("another client");
    // Others wait, and there is no room for more.
    let waiting = fill_queue(&agent.socket);
    assert!(!waiting.is_empty());
    let outcome = agent.qmpsh(&["--connect-timeout", "0.5", "guest-ping"]);
    outcome.assert_status(3).assert_says("0.5 seconds");
    let home = scratch();
    let options = ["-N", "--connect-timeout", "170", text(&agent.socket)];
    let mut late = Running::qmpsh(home.path(), &[&options[..], &["guest-ping"]].concat());
    late.wait_for_complaint("its queue may be full");
    drop((busy, waiting));
    assert_eq!(late.line(), "{}");
    assert_eq!(late.wait().0.code(), Some(0));
}

#[test]
fn half_a_message_of_an_earlier_client_does_no_harm() {
    let agent = Agent::start();
    // Nothing that the agent would answer to: it ends if it cannot write an answer to a socket.
    for left in ["{\"execute\": \"guest-pi", "{\"a\": [\""] {
        let mut client = UnixStream::connect(&agent.socket).expect("it listens");
        client.write_all(left.as_bytes()).expect("there is room");
        drop(client);
        let outcome = agent.qmpsh(&["guest-fsfreeze-status"]);
        outcome.assert_status(0).assert_stdout("\"thawed\"\n");
        assert_eq!(outcome.stderr(), "", "{outcome}");
    }
}

#[test]
fn an_agent_without_ids_is_understood_by_the_order() {
    let fake = Fake::start(|peer| {
        while let Some(line) = peer.bytes_of_line() {
            let Some(start) = line.iter().position(|byte| *byte == b'{') else {
                return;
            };
            let command: Value = serde_json::from_slice(&line[start..]).expect("JSON");
            match command["arguments"].get("id") {
                Some(number) => {
                    peer.send(b"\xff");
                    peer.send(json!({"return": number}).to_string() + "\n")
                }
                None => peer.send(json!({"return": command["execute"]}).to_string() + "\n"),
            };
        }
    });
    let outcome = fake.script(&["-N", "-k"], "guest-ping\nguest-info\nguest-ping\n");
    outcome
        .assert_status(0)
        .assert_stdout("\"guest-ping\"\n\"guest-info\"\n\"guest-ping\"\n");
}

#[test]
fn a_command_that_is_answered_only_if_it_fails_succeeds_without_an_answer() {
    let fake = Fake::start(|peer| while next(peer).is_some() {});
    fake.qmpsh(&["-N", "guest-shutdown"])
        .assert_status(0)
        .assert_stdout("{}\n");
}

#[test]
fn file_systems_left_frozen_are_told_at_the_end() {
    let fake = Fake::start(|peer| {
        while let Some(command) = next(peer) {
            peer.send(json!({"return": 1, "id": command["id"]}).to_string() + "\n");
        }
    });
    let outcome = fake.script(&["-N"], "guest-fsfreeze-freeze\n");
    outcome.assert_status(0);
    assert!(outcome.stderr().contains("still frozen"), "{outcome}");
    let outcome = fake.script(&["-N"], "guest-fsfreeze-freeze\nguest-fsfreeze-thaw\n");
    assert_eq!(outcome.stderr(), "", "{outcome}");
    let home = scratch();
    let mut terminal = Terminal::prompt(home.path(), &["-N", text(&fake.socket)]);
    terminal.keys("guest-fsfreeze-freeze\r");
    terminal.wait_for_text("\n1\n");
    terminal.leave();
    terminal.wait_for_text("still frozen");
}

#[test]
fn others_are_named_where_an_agent_is_expected() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["-N", "guest-ping"]);
    outcome.assert_status(3);
    assert!(
        outcome.stderr().contains("is no guest agent") && outcome.stderr().contains("QMP monitor"),
        "{outcome}"
    );
    // Nothing was sent to it.
    qemu.qmpsh(&["query-status"]).assert_status(0);
    let fake = Fake::greeting_with("\r\nDebian GNU/Linux 12 here ttyS0\r\n\r\nhere login: ");
    let outcome = fake.qmpsh(&["-N", "guest-ping"]);
    outcome.assert_status(3);
    assert!(outcome.stderr().contains("serial console"), "{outcome}");
}

#[test]
fn an_agent_is_among_the_possibilities_where_qmp_is_expected() {
    let agent = Agent::start();
    let outcome = qmpsh(
        &[
            "--connect-timeout",
            "0.5",
            text(&agent.socket),
            "query-status",
        ],
        "",
    );
    outcome.assert_status(3);
    assert!(outcome.stderr().contains("a guest agent (-N)"), "{outcome}");
}

#[test]
fn the_prompt_completes_the_agents_commands_and_reconnects() {
    let mut agent = Agent::start();
    let home = scratch();
    let mut terminal = Terminal::start(home.path(), &["-N", text(&agent.socket)]);
    terminal.wait_for_text("Connected to guest agent ");
    terminal.wait_for_prompt();
    assert_eq!(terminal.whole_prompt().as_deref(), Some("(guest ●)"));
    terminal.keys("guest-file-op");
    wait_for("the command", || {
        terminal.keys(TAB);
        std::thread::sleep(std::time::Duration::from_millis(50));
        terminal.screen().contains("guest-file-open").then_some(())
    });
    terminal.keys("\x03");
    terminal.wait_for_prompt();
    terminal.keys(":status\r");
    terminal.wait_for_text("server       guest agent ");
    terminal.keys("info block\r");
    let screen = terminal.wait_for_text("found `block`");
    assert!(!screen.contains(":hmp"), "{screen}");
    terminal.keys(":exec echo 'a  b'\r");
    terminal.wait_for_text("\na  b\n");
    agent.process.end();
    terminal.wait_for_text("Connection lost");
    let _ = std::fs::remove_file(&agent.socket);
    agent.process = spawn(agent.directory.path(), &agent.socket);
    terminal.wait("the agent", |screen| {
        screen.matches("Connected to guest agent ").count() == 2
    });
    terminal.keys("guest-ping\r");
    terminal.wait_for_text("\n{}\n");
}
