//! A stalled terminal (Ctrl-S, a dead ssh) does not keep qmpsh, or a VM that it launched, from ending.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::terminal::{CTRL_C, Terminal};
use crate::common::{Qemu, kill, qemu, wait_for};

/// How long qmpsh may take to end. It needs less than a second, but the machine may be busy.
const LIMIT: Duration = Duration::from_secs(10);

/// qmpsh at its first prompt, with a log of its messages, and its QEMU.
struct Run {
    terminal: Terminal,
    directory: tempfile::TempDir,
    qemu: Server,
}

enum Server {
    Connected(Qemu),
    /// By this process id.
    Launched(u32),
}

impl Run {
    fn connected() -> Self {
        let qemu = Qemu::start();
        let socket = qemu.socket.to_str().expect("a path of ours").to_owned();
        Self::start(&[&socket], |_| Server::Connected(qemu))
    }

    fn launched() -> Self {
        Self::launched_with(&[])
    }

    fn launched_with(options: &[&str]) -> Self {
        let qemu = qemu();
        let words = ["--", &qemu, "-display", "none", "-nodefaults"];
        let words = [&["--launch"], options, &words].concat();
        Self::start(&words, |terminal| {
            let screen = terminal.enter(":vm");
            let (_, from) = screen.rsplit_once("running, pid ").expect("a pid");
            let (pid, _) = from.split_once(',').expect("and for how long");
            Server::Launched(pid.parse().expect("a number"))
        })
    }

    fn start(args: &[&str], qemu: impl FnOnce(&mut Terminal) -> Server) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = directory.path().join("messages");
        let log = log.to_str().expect("a path of ours");
        let mut terminal = Terminal::start(directory.path(), &[&["--log", log], args].concat());
        terminal.wait_for_prompt();
        let qemu = qemu(&mut terminal);
        Self {
            terminal,
            directory,
            qemu,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("messages")).unwrap_or_default()
    }

    /// Waits for so many messages that hold `text`.
    fn wait_for_messages(&self, text: &str, count: usize) {
        wait_for(text, || {
            (self.log().matches(text).count() >= count).then_some(())
        });
    }

    fn server(&self) -> u32 {
        match &self.qemu {
            Server::Connected(qemu) => qemu.pid(),
            Server::Launched(pid) => *pid,
        }
    }

    /// Sends the signal, and asserts that qmpsh ends soon, and with it a QEMU that it launched, and no other.
    #[track_caller]
    fn ends_by(mut self, signal: &str) {
        let start = Instant::now();
        kill(self.terminal.pid(), signal);
        assert_ne!(self.terminal.wait_for_end(), 0);
        let took = start.elapsed();
        assert!(took < LIMIT, "{signal}: {took:?}");
        match &mut self.qemu {
            Server::Connected(qemu) => assert!(!qemu.has_ended()),
            Server::Launched(pid) => {
                let process = Path::new("/proc").join(pid.to_string());
                assert!(!process.exists(), "QEMU lives on after {signal}");
                assert!(self.log().contains(r#""execute":"quit""#));
            }
        }
    }
}

/// Each signal, with a QEMU of ours and with another.
fn each(mut scene: impl FnMut(&mut Run)) {
    for start in [Run::connected, Run::launched] {
        for signal in ["TERM", "HUP"] {
            let mut run = start();
            scene(&mut run);
            run.ends_by(signal);
        }
    }
}

#[test]
fn signals_end_qmpsh_while_a_line_is_edited() {
    each(|run| {
        run.terminal.keys("query-sta");
        run.terminal.wait_for_line("(QEMU) query-sta");
        run.terminal.fill();
    });
}

#[test]
fn signals_end_qmpsh_while_it_draws_the_line() {
    each(|run| {
        run.terminal.fill();
        run.terminal.keys("query-sta");
    });
}

#[test]
fn signals_end_qmpsh_while_a_reply_is_shown() {
    each(|run| {
        run.terminal.stall();
        run.terminal.keys("query-qmp-schema\r");
        run.terminal.wait_until_full();
    });
}

#[test]
fn signals_end_qmpsh_while_a_reply_is_awaited_and_events_are_to_be_shown() {
    each(|run| {
        run.terminal.enter("query-version");
        kill(run.server(), "STOP");
        run.terminal.keys("stop\r");
        run.wait_for_messages(r#""execute":"stop""#, 1);
        run.terminal.fill();
        kill(run.server(), "CONT");
        run.wait_for_messages("\"STOP\"", 1);
    });
}

#[test]
fn signals_end_qmpsh_while_a_timer_has_much_to_say() {
    each(|run| {
        run.terminal.enter(":every 0 query-status");
        run.terminal.stall();
        run.terminal.wait_until_full();
    });
}

#[test]
fn signals_end_qmpsh_while_a_guest_has_the_terminal() {
    for signal in ["TERM", "HUP"] {
        let mut run = Run::launched_with(&["--console"]);
        run.terminal.keys(":console\r");
        run.terminal.wait_for_text("attached to the console");
        run.terminal.fill();
        run.ends_by(signal);
    }
}

#[test]
fn ctrl_c_ends_the_showing_of_a_long_reply() {
    let mut run = Run::connected();
    run.terminal.stall();
    run.terminal.keys("query-qmp-schema\r");
    run.terminal.wait_until_full();
    run.terminal.keys(CTRL_C);
    // What it had been given, the terminal forgets; what we still have, we do not give it.
    run.terminal.go_on();
    run.terminal.wait_for_text(" bytes are not shown");
    run.terminal.wait_for_prompt();
    let shown = run.terminal.output().len();
    assert!(shown < 100 << 10, "{shown} bytes are shown");
    let screen = run.terminal.enter("query-status");
    assert!(screen.contains("\"running\""), "{screen}");
}
