//! qtest, on a real QEMU.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::fake::Fake;
use crate::common::process::Killed;
use crate::common::qemu::with_qtest;
use crate::common::terminal::{TAB, Terminal};
use crate::common::{Outcome, Qemu, qmpsh, scratch, text, wait_for};

/// A machine that stands still, whose qtest is at a socket.
struct Qtest {
    process: Killed,
    socket: PathBuf,
    directory: TempDir,
}

impl Qtest {
    fn start() -> Self {
        Self::with_args(&[])
    }

    fn with_args(args: &[&str]) -> Self {
        let directory = scratch();
        let socket = directory.path().join("qtest.sock");
        let process = with_qtest(&socket, args);
        Self {
            process,
            socket,
            directory,
        }
    }

    /// Runs `qmpsh ARGS`.
    fn qmpsh(&self, args: &[&str]) -> Outcome {
        self.script(args, "")
    }

    fn script(&self, args: &[&str], input: &str) -> Outcome {
        let address = ["--dialect", "qtest", "--connect", text(&self.socket)];
        qmpsh(&[&address, args].concat(), input)
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    fn prompt(&self) -> Terminal {
        let args = ["--dialect", "qtest", text(&self.socket)];
        let terminal = Terminal::start(self.directory.path(), &args);
        terminal.wait_for_text("Connected to qtest at ");
        terminal.wait_for_prompt();
        assert_eq!(terminal.whole_prompt().as_deref(), Some("(qtest ●)"));
        terminal
    }
}

#[test]
fn memory_is_written_and_read_back() {
    let qtest = Qtest::start();
    let script = "writel 0x1000 0x12345678\nreadl 0x1000\nreadb 0x1003 # the highest byte\n\
                  writeq 0x1000 0xffffffffffffffff\nreadq 0x1000\n\
                  write 0x2000 3 0x414243\nread 0x2000 3\nb64read 0x2000 3\n\
                  b64write 0x2000 3 RUZH\nread 0x2000 3\n\
                  memset 0x2000 12 0x5a\nread 0x2000 12\n";
    let values = "305419896\n18\n18446744073709551615\n\"0x414243\"\n\"QUJD\"\n\"0x454647\"\n\
                  \"0x5a5a5a5a5a5a5a5a5a5a5a5a\"\n";
    for options in [&["-q"][..], &["-q", "-k"]] {
        let outcome = qtest.script(options, script);
        outcome.assert_status(0).assert_stdout(values);
    }
}

#[test]
fn a_register_of_pci_is_read_through_its_ports() {
    let qtest = Qtest::start();
    // The host bridge: vendor 8086, device 29c0.
    let lines = ["-e", "outl 0xcf8 0x80000000", "-e", "inl 0xcfc"];
    let outcome = qtest.qmpsh(&[&["-q"], &lines[..]].concat());
    outcome.assert_status(0);
    assert_eq!(outcome.json()[0], 0x29c0_8086, "{outcome}");
    let outcome = qtest.qmpsh(&["-q", "--var", "port=0xcfc", "-e", "inw $port | . == 0x8086"]);
    outcome.assert_status(2);
    let outcome = qtest.qmpsh(&["-q", "--var", "port=0xcfc", "-e", "inw $port | . == 32902"]);
    outcome.assert_status(0).assert_stdout("true\n");
}

#[test]
fn an_interrupt_is_an_event() {
    let qtest = Qtest::with_args(&["-serial", "null"]);
    // The first serial port raises its interrupt as soon as it may, because it has nothing to send.
    let script = ":on IRQ action=raise do endianness\nirq_intercept_in ioapic\noutb 0x3fc 8\noutb 0x3f9 2\ninb 0x3f9\n\
                  :wait IRQ action=raise number=4 --timeout 170\noutb 0x3f9 0\n:wait IRQ action=lower number=4\n";
    let outcome = qtest.script(&["-q"], script);
    outcome.assert_status(0);
    assert!(outcome.stdout().contains("\"number\":4"), "{outcome}");
    assert!(outcome.stdout().contains("\"little\""), "{outcome}");
    // No event has such a name, or such data.
    for condition in ["IRC", "IRQ numbr=4", "IRQ action=up"] {
        let line = format!(":wait {condition}");
        let outcome = qtest.qmpsh(&["-e", &line]);
        outcome.assert_status(2);
        assert!(outcome.stderr().contains("did you mean") || outcome.stderr().contains("it is"));
    }
}

#[test]
fn what_fails_ends_with_1_and_what_would_abort_qemu_is_not_sent() {
    let mut qtest = Qtest::start();
    let outcome = qtest.qmpsh(&["irq_intercept_in", "/nope"]);
    outcome.assert_status(1).assert_says("Unknown device");
    let outcome = qtest.qmpsh(&["raedl", "0"]);
    outcome.assert_status(1).assert_says("did you mean `readl`");
    let outcome = qtest.qmpsh(&["clock_step"]);
    outcome.assert_status(1).assert_says("-accel qtest");
    for (line, why) in [
        ("readl", "ADDR is missing"),
        ("readl x", "must be a number"),
        ("inb 0x10000", "0xffff at most"),
        ("read 0 0", "must not be 0"),
        ("write 0 2 0x00", "1 bytes are given"),
        ("readl 0 0", "one argument too many"),
        ("readl ''", "empty"),
    ] {
        let outcome = qtest.qmpsh(&["-e", "writel 0 0", "-e", line]);
        outcome.assert_status(2).assert_stdout("").assert_says(why);
    }
    let outcome = qtest.qmpsh(&[":jobs"]);
    outcome.assert_status(2).assert_says("this is qtest");
    assert!(qtest.is_alive());
}

#[test]
fn the_clock_is_stepped_where_this_qemu_has_the_accelerator() {
    let accelerator = ["-accel", "qtest"];
    if !crate::common::qemu::takes(&accelerator) {
        return;
    }
    let qtest = Qtest::with_args(&accelerator);
    let outcome = qtest.script(&[], "clock_step 1000\nclock_step 500\nclock_set 9000\n");
    outcome.assert_status(0).assert_stdout("1000\n1500\n9000\n");
}

#[test]
fn others_are_named_where_qtest_is_expected() {
    let as_qtest = ["--dialect", "qtest", "readl", "0"];
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&as_qtest);
    outcome
        .assert_status(3)
        .assert_says("this is a QMP monitor");
    // Nothing was sent to it.
    qemu.qmpsh(&["query-status"]).assert_status(0);
    let fake = Fake::greeting_with("SeaBIOS (version 1.16)\r\nBooting from ROM\r\n");
    let outcome = fake.qmpsh(&as_qtest);
    outcome.assert_status(3).assert_says("serial console");
    let fake =
        Fake::greeting_with("QEMU 9.9.9 monitor - type 'help' for more information\r\n(qemu) ");
    let outcome = fake.qmpsh(&as_qtest);
    outcome.assert_status(3).assert_says("speak to it with -H");
}

#[test]
fn qtest_is_named_where_something_else_is_expected() {
    let qtest = Qtest::start();
    let address = text(&qtest.socket);
    for option in ["--dialect=qmp", "-H"] {
        let outcome = qmpsh(&[option, "--connect-timeout", "0.5", address, "stop"], "");
        outcome.assert_status(3).assert_says("--dialect qtest");
    }
    // It says something by itself only when an interrupt comes.
    let fake = Fake::greeting_with("IRQ raise 4\n");
    for option in ["--dialect=qmp", "-H", "-N"] {
        let outcome = qmpsh(&[option, text(&fake.socket), "stop"], "");
        outcome.assert_status(3).assert_says("--dialect qtest");
    }
}

#[test]
fn a_qtest_that_another_client_uses_ends_in_a_time_limit() {
    let qtest = Qtest::start();
    let held = std::os::unix::net::UnixStream::connect(&qtest.socket).expect("it listens");
    let outcome = qtest.qmpsh(&["--connect-timeout", "0.5", "endianness"]);
    outcome
        .assert_status(3)
        .assert_says("another client uses this");
    drop(held);
    qtest
        .qmpsh(&["endianness"])
        .assert_status(0)
        .assert_stdout("\"little\"\n");
}

#[test]
fn the_prompt_shows_numbers_in_both_bases_and_memory_as_a_dump() {
    let qtest = Qtest::start();
    let mut terminal = qtest.prompt();
    terminal.keys("writel 0x1000 255\r");
    terminal.wait_for_text("\nOK\n");
    terminal.keys("readl 0x1000\r");
    terminal.wait_for_text("\n0xff (255)\n");
    terminal.keys("memset 0x1000 20 0x41\r");
    terminal.keys("read 0x1000 20\r");
    terminal.wait_for_text("  AAAAAAAAAAAAAAAA\n00000010  41 41 41 41  ");
    terminal.keys("help readl\r");
    terminal.wait_for_text("readl ADDR\n  read 4 bytes of memory");
    terminal.keys("raedl 0\r");
    terminal.wait_for_text("did you mean `readl`?");
}

#[test]
fn verbs_are_completed_and_their_arguments_hinted() {
    let qtest = Qtest::start();
    let mut terminal = qtest.prompt();
    terminal.keys("endi");
    terminal.keys(TAB);
    terminal.wait_for_text("(QEMU) endianness");
    terminal.keys("\x15set_irq_in /machine ");
    terminal.wait("a hint", |_| {
        terminal
            .screen_with_hints()
            .trim_end()
            .ends_with("GPIO NUMBER LEVEL")
    });
    terminal.keys("\x15:wait IR");
    terminal.keys(TAB);
    terminal.keys("ac");
    terminal.keys(TAB);
    terminal.keys("lo");
    terminal.keys(TAB);
    terminal.wait_for_text(":wait IRQ action=lower");
}

#[test]
fn the_prompt_reconnects_and_keeps_a_history_of_its_own() {
    let mut qtest = Qtest::start();
    let mut terminal = qtest.prompt();
    terminal.keys("endianness\r");
    terminal.wait_for_text("\n\"little\"\n");
    qtest.process.end();
    terminal.wait_for_text("Connection lost");
    let _ = std::fs::remove_file(&qtest.socket);
    qtest.process = with_qtest(&qtest.socket, &[]);
    terminal.wait("qtest", |screen| {
        screen.matches("Connected to qtest at ").count() == 2
    });
    terminal.keys("readb 0\r");
    wait_for("a number", || {
        terminal.screen().contains("(0)").then_some(())
    });
    terminal.keys("exit\r");
    assert_eq!(terminal.wait_for_end(), 0);
    let history = qtest
        .directory
        .path()
        .join(".local/state/qmpsh/history.qtest");
    let lines = std::fs::read_to_string(history).expect("a history");
    assert!(lines.contains("readb 0"), "{lines}");
}

#[test]
fn the_status_of_the_connection_is_shown() {
    let qtest = Qtest::start();
    let mut terminal = qtest.prompt();
    terminal.keys(":status\r");
    terminal.wait_for_text("server       qtest\n");
    terminal.wait_for_text("round trip   ");
    assert!(!terminal.screen().contains("no reply in time"));
}

#[test]
fn memory_is_copied_to_and_from_files() {
    let qtest = Qtest::start();
    let file = |name: &str| text(&qtest.directory.path().join(name)).to_owned();
    let (from, to) = (file("from"), file("to"));
    let bytes: Vec<u8> = (0..300_007_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    std::fs::write(&from, &bytes).expect("a file");
    let outcome = qtest.qmpsh(&[":put", &from, "0x100000"]);
    outcome
        .assert_status(0)
        .assert_stdout("")
        .assert_says("300007 bytes copied to 0x100000");
    qtest
        .qmpsh(&[":get", "0x100000", "300007", &to])
        .assert_status(0);
    assert!(std::fs::read(&to).expect("it is there") == bytes);
    for wrong in [
        &[":get", "0x100000", &to][..],
        &[":get", "here", "1", &to],
        &[":get", "0xffffffffffffffff", "2", &to],
        &[":put", &from],
    ] {
        qtest.qmpsh(wrong).assert_status(2);
    }
    qtest
        .qmpsh(&[":put", "/no/such/file", "0"])
        .assert_status(1);
}
