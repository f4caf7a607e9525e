//! The prompt: what is typed there, and what comes above it meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::common::sockets::hold;
use crate::common::terminal::{CTRL_D, CTRL_Z, Terminal, UP, row};
use crate::common::{Qemu, wait_for};

fn lines(screen: &str) -> Vec<&str> {
    screen.lines().collect()
}

#[test]
fn the_banner_is_one_line_with_version_name_and_address() {
    let qemu = Qemu::named("a small VM");
    let version = &qemu.control("query-version").json()[0]["qemu"];
    let terminal = qemu.prompt();
    assert_eq!(
        terminal.unwrapped(),
        format!(
            "Connected to QEMU {}.{}.{} \"a small VM\" at {}\n(QEMU)",
            version["major"],
            version["minor"],
            version["micro"],
            qemu.address()
        )
    );
}

#[test]
fn events_do_not_disturb_the_line_being_edited() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.type_line("query-sta");
    let before = terminal.cursor();
    qemu.control("stop");
    let screen = terminal.wait("the event", |screen| {
        screen.contains("STOP") && screen.ends_with("(QEMU) query-sta")
    });
    assert_eq!(
        row(&screen, " STOP") + 1,
        row(&screen, "(QEMU) query-sta"),
        "{screen}"
    );
    terminal.wait_for_cursor(before.0 + 1, before.1);
    terminal.keys("tus\r");
    terminal.wait_for_text("\"paused\"");
}

#[test]
fn events_do_not_disturb_a_line_that_wraps() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let first = "qom-list path=/machine/unattached/0000000000000000000000000000000000000aa";
    let line = format!("{first}bbbbbbbbbbbbbb");
    let shown = format!("(QEMU) {}\n{}", &line[..71], &line[71..]);
    terminal.keys(&line);
    terminal.wait("the line", |screen| screen.ends_with(&shown));
    // Into the middle of the first row, so that the cursor is not where the line ends.
    terminal.keys(&"\x1b[D".repeat(40));
    let column = u16::try_from(9 + line.len() - 40).expect("less than two rows");
    terminal.wait_for_cursor(1, column);
    qemu.control("stop");
    terminal.wait("the event", |screen| {
        let lines = lines(screen);
        lines.len() == 4 && lines[1].ends_with(" STOP") && screen.ends_with(&shown)
    });
    terminal.wait_for_cursor(2, column);
    qemu.control("cont");
    terminal.wait("the event", |screen| {
        let lines = lines(screen);
        lines.len() == 5 && lines[2].ends_with(" RESUME") && screen.ends_with(&shown)
    });
    terminal.wait_for_cursor(3, column);
    terminal.keys("\x05\r");
    let screen = terminal.wait_for_text("DeviceNotFound");
    assert!(screen.contains(&line[71..]), "{screen}");
}

#[test]
fn events_do_not_disturb_a_line_of_several_rows() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys("qom-list path=[1,\r2,\r3");
    let shown = "(QEMU) qom-list path=[1,\n2,\n3";
    terminal.wait("three rows", |screen| screen.ends_with(shown));
    terminal.wait_for_cursor(3, 1);
    terminal.keys(UP);
    terminal.wait_for_cursor(2, 1);
    qemu.control("stop");
    terminal.wait("the event", |screen| {
        let lines = lines(screen);
        lines.len() == 5 && lines[1].ends_with(" STOP") && screen.ends_with(shown)
    });
    terminal.wait_for_cursor(3, 1);
    terminal.cancel();
}

#[test]
fn an_unclosed_bracket_goes_on_in_the_next_line() {
    let qemu = Qemu::named("brackets");
    let mut terminal = qemu.prompt();
    terminal.keys("{\"execute\":\r");
    terminal.wait_for_cursor(2, 0);
    terminal.keys("\"query-name\"}\r");
    terminal.wait_for_text("\"name\": \"brackets\"");
    terminal.wait_for_prompt();
}

#[test]
fn a_line_adapts_when_the_terminal_is_resized() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let line = "qom-list path=/machine/unattached/device";
    terminal.keys(line);
    terminal.wait_for_line(&format!("(QEMU) {line}"));
    terminal.resize(20, 40);
    let rows = "(QEMU) qom-list path=/machine/unattach\ned/device";
    terminal.wait("the line in two rows", |screen| screen.ends_with(rows));
    qemu.control("stop");
    terminal.wait("the event above both", |screen| {
        screen.contains(" STOP\n") && screen.ends_with(rows)
    });
    terminal.keys("s");
    terminal.wait_for_line("ed/devices");
    terminal.cancel();
}

#[test]
fn ctrl_c_clears_the_line() {
    let qemu = Qemu::start();
    let (mut terminal, log) = qemu.logged_prompt();
    terminal.type_line("stop");
    let screen = terminal.cancel();
    assert!(screen.contains("(QEMU) stop^C\n(QEMU)"), "{screen}");
    terminal.assert_answer("query-status", "\"running\"");
    assert!(!log.has("stop"), "{}", log.text());
}

#[test]
fn ctrl_d_on_an_empty_line_leaves_and_qemu_goes_on() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.type_line("abc");
    terminal.keys("\x01");
    terminal.wait_for_cursor(1, 9);
    // With a line there it deletes what is under the cursor.
    terminal.keys(CTRL_D);
    terminal.wait_for_line("(QEMU) bc");
    terminal.keys(CTRL_D);
    terminal.wait_for_line("(QEMU) c");
    terminal.keys(CTRL_D);
    terminal.wait_for_prompt();
    terminal.leave();
    assert!(!qemu.has_ended());
    qemu.qmpsh(&["query-status"]).assert_status(0);
}

#[test]
fn ctrl_z_suspends_and_fg_takes_up_the_line_again() {
    let qemu = Qemu::named("asleep");
    let mut terminal = qemu.prompt_in_a_shell();
    // More than once: each time the editor and the shell take turns with the terminal.
    for _ in 0..3 {
        terminal.type_line("query-na");
        terminal.keys(CTRL_Z);
        terminal.wait_for_line("$");
        terminal.keys("echo out''side\r");
        terminal.wait("the shell", |screen| {
            screen.contains("\noutside\n") && screen.ends_with('$')
        });
        terminal.keys("fg\r");
        terminal.wait_for_line("(QEMU) query-na");
        terminal.keys("me");
        terminal.wait_for_line("(QEMU) query-name");
        terminal.keys("\x01\x0b");
        terminal.wait_for_prompt();
        // Clears the screen.
        terminal.clear();
    }
    terminal.assert_answer("query-name", "\"name\": \"asleep\"");
}

#[test]
fn events_that_came_while_suspended_are_shown_afterwards() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt_in_a_shell();
    terminal.type_line("query-na");
    terminal.keys(CTRL_Z);
    terminal.wait_for_line("$");
    qemu.control("stop");
    terminal.keys("fg\r");
    terminal.wait("the event", |screen| {
        screen.contains(" STOP\n") && screen.ends_with("(QEMU) query-na")
    });
}

#[test]
fn pasted_lines_stop_at_an_error_unless_told_otherwise() {
    let qemu = Qemu::named("pasted");
    let mut terminal = qemu.prompt();
    let lines = "query-name\nquery-nonsense\n{\"execute\":\n\"query-kvm\"}";
    terminal.paste(lines);
    terminal.wait_for_text("\"query-kvm\"}");
    terminal.keys("\r");
    let screen = terminal.wait("the error", |screen| {
        screen.contains("1 more line was not run") && screen.ends_with("(QEMU)")
    });
    // Each reply stands below its line.
    let name = row(&screen, "\"name\": \"pasted\"");
    assert_eq!(name, row(&screen, "> query-name") + 2, "{screen}");
    let error = row(&screen, "> query-nonsense") + 1;
    let rows: Vec<&str> = screen.lines().collect();
    assert!(rows[error].starts_with("CommandNotFound"), "{screen}");
    terminal.enter(":set keep-going on");
    terminal.clear();
    terminal.paste(lines);
    terminal.wait_for_text("\"query-kvm\"}");
    terminal.keys("\r");
    let screen = terminal.wait("three replies", |screen| {
        screen.contains("\"present\"") && screen.ends_with("(QEMU)")
    });
    assert!(screen.contains("CommandNotFound"), "{screen}");
}

#[test]
fn lines_typed_ahead_run_one_after_another() {
    let qemu = Qemu::named("hasty");
    let mut terminal = qemu.prompt();
    // At once, as a terminal without bracketed paste or a fast typist would.
    terminal.keys("query-kvm\rquery-name\rquery-uuid\r");
    terminal.wait_for_text("\"present\"");
    terminal.wait_for_text("\"name\": \"hasty\"");
    terminal.wait_for_text("0000-000000000000\"");
    terminal.wait_for_prompt();
}

#[test]
fn replies_are_pretty_and_in_colour() {
    let qemu = Qemu::named("colourful");
    let mut terminal = qemu.prompt();
    assert!(!terminal.has_color());
    let screen = terminal.enter("query-name");
    assert!(
        screen.ends_with("\n{\n  \"name\": \"colourful\"\n}\n(QEMU)"),
        "{screen}"
    );
    assert!(terminal.has_color());
}

#[test]
fn with_no_color_nothing_is_coloured() {
    let qemu = Qemu::named("grey");
    let (home, args) = (qemu.directory.path(), [qemu.address()]);
    let mut terminal = Terminal::start_with(home, &args, &[("NO_COLOR", "1")]);
    terminal.wait_for_prompt();
    terminal.enter("query-name");
    terminal.enter("query-nonsense");
    qemu.control("stop");
    let screen = terminal.wait_for_text(" STOP");
    assert!(
        screen.contains("\n{\n  \"name\": \"grey\"\n}\n"),
        "{screen}"
    );
    assert!(!terminal.has_color());
    // Nor bold, nor dimmed: no rendition is ever set.
    let output = terminal.output();
    let styled = output.split("\x1b[").skip(1).any(|part| {
        part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .starts_with('m')
    });
    assert!(!styled, "{output:?}");
}

/// Stops and continues a VM as fast as it can.
struct Flood {
    enough: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(control: &Path) -> Self {
        let mut stream = hold(control);
        let mut replies = BufReader::new(stream.try_clone().expect("another descriptor"));
        let enough = Arc::new(AtomicBool::new(false));
        let until = enough.clone();
        let thread = std::thread::spawn(move || {
            let mut line = String::new();
            let mut ask = |command: &str| {
                writeln!(stream, "{{\"execute\":\"{command}\"}}").expect("the monitor reads");
                line.clear();
                while !line.contains("\"return\"") {
                    line.clear();
                    replies.read_line(&mut line).expect("the monitor replies");
                }
            };
            ask("qmp_capabilities");
            while !until.load(Ordering::Relaxed) {
                ask("stop");
                ask("cont");
            }
        });
        Self {
            enough,
            thread: Some(thread),
        }
    }

    fn end(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the flood does not panic");
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

#[test]
fn typing_works_during_a_flood_of_events() {
    let qemu = Qemu::named("flooded");
    let mut terminal = qemu.prompt();
    let mut flood = Flood::start(&qemu.control);
    terminal.wait_for_text(" RESUME");
    for (line, answer) in [
        ("query-name", "\"flooded\""),
        ("query-uuid", "0000-000000000000"),
        ("query-nonsense", "CommandNotFound"),
        (":set confirm", "confirm  on"),
        ("query-kvm", "\"present\""),
    ] {
        for key in line.chars() {
            terminal.keys(&key.to_string());
        }
        terminal.wait_for_line(&format!("(QEMU) {line}"));
        let before = terminal.output().len();
        terminal.keys("\r");
        wait_for(&format!("`{answer}` in the flood"), || {
            terminal.output()[before..].contains(answer).then_some(())
        });
        terminal.wait_for_prompt();
    }
    flood.end();
    // One event of another name: once that is there, the flood is over on the screen as well.
    qemu.control("system_reset");
    terminal.wait("the last event", |screen| {
        screen.contains(" RESET ") && screen.ends_with("(QEMU)")
    });
    terminal.assert_answer("query-version", "\"micro\": ");
}

#[test]
fn leaving_works_during_a_flood_of_events() {
    // Whether the last key or an event comes first is a matter of luck, so more than once.
    for line in [CTRL_D, ":quit\r", CTRL_D, ":quit\r", CTRL_D] {
        let qemu = Qemu::start();
        let mut terminal = qemu.prompt();
        let mut flood = Flood::start(&qemu.control);
        terminal.wait_for_text(" RESUME");
        terminal.keys(line);
        assert_eq!(terminal.wait_for_end(), 0);
        flood.end();
    }
}

#[test]
fn the_prompt_names_the_vm_and_can_be_another() {
    let qemu = Qemu::named("one of two");
    let mut terminal = qemu.prompt();
    terminal.wait_for_symbol('●');
    assert_eq!(terminal.whole_prompt().as_deref(), Some("(one of two ●)"));
    terminal.assert_answer(":set prompt", "prompt  default");
    terminal.keys(":set prompt '{name} {version} {state}> '\r");
    let version = &qemu.control("query-version").json()[0]["qemu"];
    let version = ["major", "minor", "micro"].map(|part| version[part].to_string());
    let prompt = format!("one of two {} ●>", version.join("."));
    terminal.wait_for_line(&prompt);
    terminal.keys("stop\r");
    let paused = prompt.replace('●', "‖");
    terminal.wait("the symbol", |screen| screen.ends_with(&paused));
    terminal.keys(":set prompt default\r");
    terminal.wait_for_prompt();
    assert_eq!(terminal.whole_prompt().as_deref(), Some("(one of two ‖)"));
    let nameless = Qemu::start();
    let terminal = nameless.prompt();
    terminal.wait_for_symbol('●');
    assert_eq!(terminal.whole_prompt().as_deref(), Some("(QEMU ●)"));
}

#[test]
fn a_vms_name_cannot_harm_the_prompt() {
    let qemu = Qemu::named("a\u{1b}]0;b\u{202e}");
    let terminal = qemu.prompt();
    let prompt = terminal.whole_prompt().expect("a prompt");
    assert!(!terminal.output().contains("\u{1b}]0;b"), "{prompt}");
    assert!(!prompt.contains('\u{202e}'), "{prompt}");
}
