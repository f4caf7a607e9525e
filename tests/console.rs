//! The guest's console: `--console` and `:console`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::process::{copy_program, memory};
use crate::common::stty::Between;
use crate::common::{DEADLINE, Qemu, guest, kill, mode, qemu, qmpsh, scratch, text, wait_for};

const CTRL_BRACKET: &str = "\x1d";

/// What stands on the screen once the terminal is attached.
const ATTACHED: &str = "attached to the console";

/// A qmpsh in a terminal, with a VM that it launched.
struct Session {
    terminal: Between,
    directory: TempDir,
}

impl Session {
    /// Runs `qmpsh --launch --console OPTIONS -- QEMU` between two `stty -g`, and waits for the prompt.
    fn start(options: &[&str], qemu: impl FnOnce(&TempDir) -> Vec<String>) -> Self {
        let directory = scratch();
        let mut args: Vec<String> = ["--launch", "--console"].map(str::to_owned).to_vec();
        args.extend(options.iter().map(|option| (*option).to_owned()));
        args.extend(["--log-dir", text(directory.path()), "--"].map(str::to_owned));
        args.extend(qemu(&directory));
        let terminal = Between::start(directory.path(), args);
        terminal.wait_for_prompt();
        Self {
            terminal,
            directory,
        }
    }

    /// With the guest that echoes, and a second monitor.
    fn echo() -> Self {
        Self::start(&[], |directory| {
            let control = directory.path().join("control");
            let monitor = format!("unix:{},server=on,wait=off", control.display());
            let mut words = vec![qemu()];
            words.extend(guest::echo(directory.path()));
            words.extend(["-qmp".to_owned(), monitor]);
            words
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        let log = fs::read(self.path("qemu-console.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn wait_for_log(&self, text: &str) {
        wait_for(text, || self.log().contains(text).then_some(()));
    }

    /// Waits for the guest, attaches to its console, and sees that it is there.
    fn attach(&mut self) {
        self.wait_for_log("Booting from Hard Disk");
        self.terminal.keys(":console\r");
        self.terminal.wait_for_text("Booting from Hard Disk");
        self.is_echoed("~");
    }

    /// Waits until the terminal has been attached this many times.
    #[track_caller]
    fn is_attached(&self, times: usize) {
        let terminal = &self.terminal;
        terminal.wait(ATTACHED, |_| {
            terminal.output().matches(ATTACHED).count() == times
        });
    }

    /// Waits until `text` has been on the screen, even if the firmware has cleared that since.
    #[track_caller]
    fn has_said(&self, text: &str) {
        let terminal = &self.terminal;
        terminal.wait(text, |_| terminal.output().contains(text));
    }

    /// Types `key` until it is echoed: the first ones may still go to the firmware.
    fn is_echoed(&mut self, key: &str) {
        let before = self.terminal.output().matches(key).count();
        let start = std::time::Instant::now();
        while self.terminal.output().matches(key).count() <= before {
            assert!(start.elapsed() < DEADLINE, "nothing is echoed");
            self.terminal.keys(key);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn detach(&mut self) {
        self.terminal.keys(CTRL_BRACKET);
        self.terminal.wait_for_prompt();
    }

    /// The process of the VM.
    fn vm(&mut self) -> u32 {
        self.terminal.enter(":vm");
        let text = self.terminal.unwrapped();
        let (_, from) = text.rsplit_once("running, pid ").expect("a pid");
        let (pid, _) = from.split_once(',').expect("and for how long");
        pid.parse().expect("a number")
    }

    /// Runs a command through the second monitor.
    fn control(&self, line: &str) {
        let control = self.path("control");
        let control = text(&control);
        qmpsh(&["-c", control, "-e", line], "").assert_status(0);
    }

    /// Waits for the end of qmpsh, and asserts that the terminal is as it was.
    #[track_caller]
    fn ends_restored(mut self) {
        self.terminal.assert_restored();
    }
}

#[test]
fn the_firmware_talks_to_the_console_and_all_of_it_is_in_the_log() {
    let mut session = Session::echo();
    session.wait_for_log("SeaBIOS (version");
    session.terminal.keys(":console\r");
    session.has_said("SeaBIOS (version");
    session.wait_for_log("Booting from Hard Disk");
    assert_eq!(mode(&session.path("qemu-console.log")), 0o600);
    session.terminal.keys(CTRL_BRACKET);
    session.terminal.wait_for_prompt();
    session.terminal.leave_the_vm();
    session.ends_restored();
}

#[test]
fn keys_reach_the_guest_and_the_detach_key_brings_the_prompt_back() {
    let mut session = Session::echo();
    session.attach();
    // Ctrl-C, Ctrl-D and Ctrl-Z are the guest's, too.
    session.terminal.keys("\x03\x04\x1aHello, guest!");
    session.terminal.wait_for_text("Hello, guest!");
    session.wait_for_log("\x03\x04\x1aHello, guest!");
    session.detach();
    session.terminal.assert_answer("query-version", "\"micro\"");
    session.terminal.keys(":console\r");
    session.is_attached(2);
    session.terminal.keys("And again");
    session.terminal.wait_for_text("And again");
    session.detach();
    session.terminal.leave_the_vm();
    session.ends_restored();
}

#[test]
fn events_are_held_back_while_the_console_is_attached_and_shown_afterwards() {
    let mut session = Session::echo();
    session.attach();
    session.control("stop");
    session.control("cont");
    session.terminal.keys("undisturbed");
    session.terminal.wait_for_text("undisturbed");
    assert!(!session.terminal.output().contains("STOP"));
    session.detach();
    let screen = session.terminal.wait_for_text("RESUME");
    assert!(
        screen.contains("STOP") && screen.contains("undisturbed"),
        "{screen}"
    );
}

#[test]
fn what_the_guest_did_to_the_terminal_is_undone() {
    let mut session = Session::echo();
    session.attach();
    // A hidden cursor, red, the alternate screen, mouse reports.
    session
        .terminal
        .keys("\x1b[?25l\x1b[31m\x1b[?1047h\x1b[?1000hRED");
    session.terminal.wait_for_text("RED");
    assert!(session.terminal.has_color());
    session.detach();
    session.terminal.enter("query-name");
    let output = session.terminal.output();
    let (_, after) = output.rsplit_once("RED").expect("it is there");
    for sequence in ["\x1b[?25h", "\x1b[0m", "\x1b[?1047l", "\x1b[?1000l"] {
        assert!(after.contains(sequence), "{sequence:?} in {after:?}");
    }
}

#[test]
fn the_terminal_is_restored_whatever_ends_the_shell() {
    for signal in ["TERM", "HUP"] {
        let mut session = Session::echo();
        session.attach();
        kill(session.terminal.qmpsh_pid(), signal);
        session.ends_restored();
    }
}

#[test]
fn the_end_of_the_vm_is_noticed_and_its_successor_can_be_attached_to() {
    let mut session = Session::echo();
    let first = session.vm();
    session.attach();
    kill(first, "KILL");
    session.has_said("the console is disconnected");
    session.detach();
    session.terminal.wait_for_text("was killed by SIGKILL");
    session.terminal.enter(":vm restart");
    session.terminal.keys(":console\r");
    session.is_attached(2);
    session.is_echoed("@");
    session.detach();
    // One log for all of them.
    assert_eq!(session.log().matches("SeaBIOS (version").count(), 2);
    session.terminal.leave_the_vm();
    session.ends_restored();
}

#[test]
fn the_console_stays_attached_across_a_restart() {
    let mut session = Session::echo();
    let first = session.vm();
    session.terminal.enter(":on SHUTDOWN do :vm restart");
    session.attach();
    kill(first, "TERM");
    session.has_said("connected again");
    wait_for("the new guest", || {
        (session.log().matches("Booting from Hard Disk").count() == 2).then_some(())
    });
    session.is_echoed("&");
    session.detach();
    assert_ne!(session.vm(), first);
    session
        .terminal
        .assert_answer("query-status", "\"running\": true");
    session.terminal.leave_the_vm();
    session.ends_restored();
}

#[test]
fn a_console_at_a_socket_is_found_by_address_and_by_name() {
    let directory = scratch();
    let mut options = guest::echo(directory.path());
    let chardev = "socket,id=mine,path=con sole,server=on,wait=off";
    for option in [
        "-chardev",
        chardev,
        "-serial",
        "chardev:mine",
        "-chardev",
        "null,id=void",
    ] {
        options.push(option.to_owned());
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let qemu = Qemu::with_args(&options);
    let mut terminal = qemu.prompt();
    for (times, line, key) in [(1, ":console mine", "N"), (2, ":console 'con sole'", "A")] {
        terminal.keys(&format!("{line}\r"));
        terminal.wait(ATTACHED, |_| {
            terminal.output().matches(ATTACHED).count() == times
        });
        let count = || terminal.output().matches(&key.repeat(20)).count();
        let before = count();
        wait_for("an echo", || {
            terminal.keys(&key.repeat(20));
            std::thread::sleep(std::time::Duration::from_millis(20));
            (terminal.output().matches(&key.repeat(20)).count() > before).then_some(())
        });
        terminal.keys(CTRL_BRACKET);
        terminal.wait_for_prompt();
    }
    terminal.enter(":console void");
    terminal.wait_for_text("it must be a socket at which QEMU listens");
    terminal.enter(":console nowhere.sock");
    terminal.wait_for_text("cannot attach to nowhere.sock");
    terminal.enter(":console");
    terminal.wait_for_text("no console: launch the VM");
}

/// A program in QEMU's place, which writes pieces of a MiB to the console as fast as it can: a hundred of them, and
/// more until there is a file `done`. No guest writes to a UART that fast. It never reads a key.
const FLOOD: &str = r#"#!/bin/bash
for word in "$@"; do
    case $word in socket,id=qmpsh-console,fd=*) console=${word##*=} ;; esac
done
while [ ! -e go ]; do sleep 0.01; done
count=0
while [ $count -lt 100 ] || [ ! -e done ]; do
    cat piece >&$console
    count=$((count + 1))
done
echo $count >count.new && mv count.new count
exec sleep 600
"#;

fn flood(limit: &str) -> Session {
    let options = ["--monitor", "none", "--console-log-limit", limit];
    Session::start(&options, |directory| {
        let mut piece = String::new();
        for number in 0.. {
            if piece.len() >= 1 << 20 {
                break;
            }
            piece += &format!("line {number:06} of a guest that has much to say\r\n");
        }
        fs::write(directory.path().join("piece"), piece).expect("a file of ours");
        let script = directory.path().join("flood.sh");
        fs::write(&script, FLOOD).expect("a file of ours");
        fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).expect("ours");
        let program = directory.path().join("flood");
        copy_program(&script, &program);
        vec![text(&program).to_owned()]
    })
}

#[test]
fn a_flood_is_logged_in_full_and_does_not_prevent_detaching() {
    let mut session = flood("0");
    let before = memory(session.terminal.qmpsh_pid(), "VmHWM");
    session.terminal.keys(":console\r");
    session.terminal.wait_for_text(ATTACHED);
    fs::write(session.path("go"), "").expect("a file of ours");
    session
        .terminal
        .wait_for_text("of a guest that has much to say");
    // It goes on for as long as we do not say otherwise.
    session.detach();
    assert!(!session.path("count").exists());
    session.terminal.enter(":vm");
    fs::write(session.path("done"), "").expect("a file of ours");
    let count = wait_for("the end of the flood", || {
        fs::read_to_string(session.path("count")).ok()
    });
    let count: usize = count.trim().parse().expect("a number");
    let piece = fs::read(session.path("piece")).expect("a file of ours");
    let log = session.path("qemu-console.log");
    let whole = (piece.len() * count) as u64;
    wait_for("the whole log", || {
        (fs::metadata(&log).ok()?.len() >= whole).then_some(())
    });
    let log = fs::read(log).expect("a file of ours");
    assert_eq!(log.len() as u64, whole);
    assert!(log.chunks(piece.len()).all(|chunk| chunk == piece));
    let grown = memory(session.terminal.qmpsh_pid(), "VmHWM") - before;
    assert!(grown < 8 << 10, "{grown} KiB more for {count} MiB");
    session.terminal.leave_the_vm();
    session.ends_restored();
}

#[test]
fn a_guest_that_reads_no_keys_does_not_prevent_detaching() {
    let mut session = flood("64M");
    session.terminal.keys(":console\r");
    session.terminal.wait_for_text(ATTACHED);
    for _ in 0..100 {
        session.terminal.keys(&"key".repeat(1000));
    }
    session.detach();
    session.terminal.leave_the_vm();
    session.ends_restored();
}

#[test]
fn a_log_that_is_full_is_begun_anew_and_the_attached_terminal_goes_on() {
    let mut session = flood("2M");
    session.terminal.keys(":console\r");
    session.terminal.wait_for_text(ATTACHED);
    fs::write(session.path("go"), "").expect("a file of ours");
    fs::write(session.path("done"), "").expect("a file of ours");
    // The last line is seen, however often the log was rotated before.
    let piece = fs::read_to_string(session.path("piece")).expect("a file of ours");
    let last = piece.lines().last().expect("it has lines").to_owned();
    wait_for("the end of the flood", || {
        session.path("count").exists().then_some(())
    });
    session.has_said(&last);
    session.detach();
    // One word: the message may be broken between any two.
    session.terminal.wait_for_text("(--console-log-limit)");
    let [now, before] = ["qemu-console.log", "qemu-console.log.1"].map(|name| {
        assert_eq!(mode(&session.path(name)), 0o600);
        fs::read_to_string(session.path(name)).expect("a log")
    });
    assert!(now.len() <= 2 << 20 && before.len() <= 2 << 20);
    // Nothing is missing between the two.
    let end = before + &now;
    assert!(end.len() > 2 << 20);
    let whole = piece.repeat(5);
    assert!(whole.ends_with(&end), "the end of the flood");
    session.terminal.keys(":console\r");
    session.is_attached(2);
    session.detach();
    let told = session
        .terminal
        .output()
        .matches("(--console-log-limit)")
        .count();
    assert_eq!(told, 1);
    session.terminal.leave_the_vm();
    session.ends_restored();
}
