//! The human monitor, through QMP and on a socket of its own.

use std::path::PathBuf;

use crate::common::fake::Fake;
use crate::common::sockets::listens;
use crate::common::terminal::{CTRL_C, TAB, Terminal};
use crate::common::{Outcome, Qemu, qmpsh, scratch, text, wait_for};

/// A machine with two CPUs, whose human monitor has a socket of its own besides.
struct Human {
    qemu: Qemu,
    monitor: PathBuf,
}

impl Human {
    fn start() -> Self {
        let directory = scratch().keep();
        let monitor = directory.join("hmp.sock");
        let option = format!("unix:{},server=on,wait=off", monitor.display());
        let qemu = Qemu::with_args(&[
            "-machine",
            "q35",
            "-smp",
            "2",
            "-S",
            "-monitor",
            &option,
            "-netdev",
            "user,id=net0",
        ]);
        wait_for("the human monitor", || listens(&monitor).then_some(()));
        Self { qemu, monitor }
    }

    /// Runs qmpsh against either.
    fn both(&self, args: &[&str], input: &str) -> [Outcome; 2] {
        [self.qemu.address(), text(&self.monitor)]
            .map(|address| qmpsh(&[&["-H", "--connect", address], args].concat(), input))
    }
}

impl Drop for Human {
    fn drop(&mut self) {
        let directory = self.monitor.parent().expect("it is in one");
        let _ = std::fs::remove_dir_all(directory);
    }
}

#[test]
fn a_line_prints_its_output_as_text() {
    let human = Human::start();
    for outcome in human.both(&["info registers"], "") {
        outcome.assert_status(0);
        assert!(outcome.stdout().contains("EIP="), "{outcome}");
        assert!(!outcome.stdout().contains(['\r', '\x1b']), "{outcome}");
    }
    for outcome in human.both(&[], "info mtree\n# a comment\n\nprint 6*7\n") {
        outcome.assert_status(0);
        assert!(outcome.stdout().starts_with("address-space: "), "{outcome}");
        assert!(outcome.stdout().ends_with("\n0x2a\n"), "{outcome}");
    }
}

#[test]
fn an_address_and_a_line_are_enough() {
    let human = Human::start();
    for address in [human.qemu.address(), text(&human.monitor)] {
        let outcome = qmpsh(&["-H", address, "info registers"], "");
        outcome.assert_status(0);
        assert!(outcome.stdout().contains("EIP="), "{outcome}");
        let outcome = qmpsh(&["-H", address], "info mtree\n");
        outcome.assert_status(0);
        assert!(outcome.stdout().starts_with("address-space: "), "{outcome}");
    }
}

#[test]
fn a_serial_console_is_named_where_a_monitor_is_expected() {
    for said in [
        "SeaBIOS (version 1.16.2)\r\nBooting from ROM...\r\n",
        "\r\nDebian GNU/Linux 12 here ttyS0\r\n\r\nhere login: ",
    ] {
        let fake = Fake::greeting_with(said);
        for option in ["--dialect=qmp", "-H"] {
            let outcome = qmpsh(&[option, text(&fake.socket), "stop"], "");
            outcome.assert_status(3).assert_says("serial console");
        }
    }
}

#[test]
fn json_is_printed_where_it_is_asked_for() {
    let human = Human::start();
    for outcome in human.both(&["-o", "json", "print", "1"], "") {
        outcome.assert_status(0).assert_stdout("\"0x1\\r\\n\"\n");
    }
}

#[test]
fn errors_are_told_from_output_and_end_with_1() {
    let human = Human::start();
    for line in [
        "nope",
        "info nope",
        "device_del nope",
        "cpu 7",
        "info registers -z",
        "x /4x $nope",
        "savevm x",
        "sendkey nope",
        "hostfwd_remove tcp::1",
        "drive_add 0 nope=1",
        "migrate",
    ] {
        for outcome in human.both(&["-e", line, "-e", "print 1"], "") {
            outcome.assert_status(1).assert_stdout("");
            assert!(!outcome.stderr().contains("Error: Error"), "{outcome}");
        }
    }
    for line in [
        "info status",
        "hostfwd_add tcp::0-:22",
        "help savevm",
        "cpu 1",
        "log help",
    ] {
        for outcome in human.both(&[line], "") {
            outcome.assert_status(0);
        }
    }
}

#[test]
fn the_selected_cpu_is_that_of_the_lines_after() {
    let human = Human::start();
    // In flight together or one at a time.
    for options in [&["-k"][..], &[]] {
        for outcome in human.both(options, "cpu 1\ninfo cpus\ncpu 0\ncpu 1\ninfo cpus\n") {
            outcome.assert_status(0);
            let selected = outcome.stdout().matches("* CPU #1:").count();
            assert_eq!(selected, 2, "{outcome}");
        }
    }
    let mut terminal = prompt(&human, human.qemu.address());
    terminal.keys("cpu 1\r");
    // One that does not exist changes nothing.
    terminal.keys("cpu 9\r");
    terminal.wait_for_text("invalid CPU index");
    terminal.keys("info cpus\r");
    terminal.wait_for_text("* CPU #1:");
}

#[test]
fn one_line_runs_in_a_qmp_shell() {
    let qemu = Qemu::named("here");
    let outcome = qemu.script(
        &[
            "-e",
            ":hmp info name",
            "-e",
            ":hmp p 1|2",
            "-e",
            ":hmp nope",
        ],
        "",
    );
    outcome.assert_status(1).assert_stdout("here\n0x3\n");
    assert!(
        outcome.stderr().contains("unknown command: 'nope'"),
        "{outcome}"
    );
    qemu.qmpsh(&[":hmp"]).assert_status(2);
    // Of all that has a meaning elsewhere, only a variable in braces has one here.
    let outcome = qemu.qmpsh(&["--var", "n=6", "-e", ":hmp p ${n}*7", "-e", ":hmp p $n"]);
    outcome.assert_status(1).assert_stdout("0x2a\n");
    qemu.qmpsh(&[":hmp", "info", "name"])
        .assert_status(0)
        .assert_stdout("here\n");
}

#[test]
fn a_server_without_a_human_monitor_is_named() {
    let directory = scratch();
    let socket = directory.path().join("m.sock");
    let _daemon = crate::common::qemu::storage_daemon(&socket);
    let outcome = qmpsh(&["-H", "--connect", text(&socket), "info block"], "");
    outcome.assert_status(1);
    assert!(
        outcome.stderr().contains("has no human monitor"),
        "{outcome}"
    );
}

#[test]
fn what_is_qmps_is_refused_on_a_human_monitor() {
    let human = Human::start();
    let outcome = qmpsh(&["-H", text(&human.monitor), ":jobs"], "");
    outcome.assert_status(2);
    assert!(
        outcome.stderr().contains("this is a human monitor"),
        "{outcome}"
    );
    let outcome = qmpsh(&["-H", text(&human.monitor), "print\u{1b}1"], "");
    outcome.assert_status(2);
}

#[test]
fn quit_ends_qemu_and_is_no_error() {
    for through_qmp in [true, false] {
        let mut human = Human::start();
        let address = if through_qmp {
            &human.qemu.socket
        } else {
            &human.monitor
        };
        let outcome = qmpsh(&["-H", "--connect", text(address), "quit"], "");
        outcome.assert_status(0).assert_stdout("");
        wait_for("QEMU's end", || human.qemu.has_ended().then_some(()));
    }
}

#[test]
fn a_human_monitor_is_named_where_qmp_is_expected() {
    let human = Human::start();
    let outcome = qmpsh(&["--connect", text(&human.monitor), "query-status"], "");
    outcome.assert_status(3);
    assert!(
        outcome.stderr().contains("speak to it with -H"),
        "{outcome}"
    );
    // The monitor got nothing that it would answer to.
    let outcome = qmpsh(&["-H", text(&human.monitor), "info history"], "");
    assert!(!outcome.stdout().contains("qmp_capabilities"), "{outcome}");
}

#[test]
fn something_else_is_named_where_a_human_monitor_is_expected() {
    let fake = Fake::greeting_with("SSH-2.0-OpenSSH_9.2\r\n");
    let outcome = qmpsh(&["-H", text(&fake.socket), "info status"], "");
    outcome.assert_status(3);
    assert!(outcome.stderr().contains("SSH-2.0"), "{outcome}");
}

/// The prompt of the human monitor's shell.
const PROMPT: &str = "(QEMU hmp)";

fn prompt(human: &Human, address: &str) -> Terminal {
    let terminal = Terminal::start(human.qemu.directory.path(), &["-H", address]);
    terminal.wait(PROMPT, |screen| screen.lines().last() == Some(PROMPT));
    terminal
}

fn tab(terminal: &mut Terminal, line: &str, what: &str) {
    terminal.keys(line);
    terminal.wait(line, |screen| screen.ends_with(line.trim_end()));
    // Its verbs may not have come yet.
    wait_for(what, || {
        terminal.keys(TAB);
        std::thread::sleep(std::time::Duration::from_millis(50));
        terminal.screen().contains(what).then_some(())
    });
    terminal.keys(CTRL_C);
    terminal.wait(PROMPT, |screen| screen.lines().last() == Some(PROMPT));
}

#[test]
fn tab_completes_commands_topics_and_what_the_vm_has() {
    let human = Human::start();
    let mut terminal = prompt(&human, human.qemu.address());
    tab(&mut terminal, "info regis", "info registers");
    tab(&mut terminal, "netdev_d", "netdev_del");
    tab(&mut terminal, "netdev_del n", "netdev_del net0");
    tab(&mut terminal, "hostfwd_add n", "hostfwd_add net0");
    tab(&mut terminal, "help info mtr", "help info mtree");
    tab(&mut terminal, "set_link net0 of", "set_link net0 off");
    tab(&mut terminal, ":wait POWERD", ":wait POWERD");
    terminal.keys("migrate ");
    terminal.wait("a hint", |_| {
        terminal.screen_with_hints().trim_end().ends_with("uri")
    });
    terminal.keys(CTRL_C);
}

#[test]
fn a_qmp_shell_completes_and_hints_one_line_too() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys(":hmp info regis");
    terminal.wait_for_line("(QEMU) :hmp info regis");
    wait_for("the topic", || {
        terminal.keys(TAB);
        std::thread::sleep(std::time::Duration::from_millis(50));
        terminal
            .screen()
            .contains(":hmp info registers")
            .then_some(())
    });
}

#[test]
fn the_prompt_shows_output_errors_and_help() {
    let human = Human::start();
    for address in [human.qemu.address(), text(&human.monitor)] {
        let home = scratch();
        let mut terminal = Terminal::start(home.path(), &["-H", address]);
        terminal.wait("a prompt", |screen| screen.contains(PROMPT));
        terminal.keys("print 6*7\r");
        terminal.wait_for_text("\n0x2a\n");
        terminal.keys("nope\r");
        terminal.wait_for_text("\nunknown command: 'nope'\n");
        terminal.keys("help savevm\r");
        terminal.wait_for_text("save a VM snapshot");
        terminal.keys(":status\r");
        terminal.wait_for_text("round trip   ");
        terminal.keys("help :wait\r");
        terminal.wait_for_text(":wait NAME");
        // It has a history of its own.
        terminal.keys("exit\r");
        assert_eq!(terminal.wait_for_end(), 0);
        let history = home.path().join(".local/state/qmpsh/history.hmp");
        let lines = std::fs::read_to_string(history).expect("a history");
        assert!(lines.contains("print 6*7"), "{lines}");
    }
}

#[test]
fn a_line_that_ends_in_an_ampersand_runs_in_the_background() {
    let human = Human::start();
    let mut terminal = prompt(&human, human.qemu.address());
    terminal.keys("print 3 &\r");
    terminal.wait_for_text("`print`: 0x3\n");
    drop(terminal);
    for outcome in human.both(&[], "print 3 &\nprint 4\n") {
        outcome.assert_status(0);
        assert_eq!(outcome.lines().len(), 2, "{outcome}");
    }
}

#[test]
fn a_human_monitor_that_is_cut_in_the_middle_is_an_error() {
    let fake = Fake::greeting_with("QEMU 9.9.9 monitor - type 'help' for more information\r\n(qem");
    let outcome = qmpsh(
        &[
            "-H",
            "--connect-timeout",
            "1",
            text(&fake.socket),
            "info status",
        ],
        "",
    );
    outcome.assert_status(3);
}
