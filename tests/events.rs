//! Events as they come, their history, and the VM's state in the prompt.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::fake::{Fake, event, success};
use crate::common::process::memory;
use crate::common::qemu::storage_daemon;
use crate::common::terminal::{CTRL_C, Terminal};
use crate::common::{Qemu, kill, scratch, text, wait_for};

/// A server that answers `flood` with `count` numbered events, then the reply.
fn flooding(count: usize) -> Fake {
    let flood: String = (0..count)
        .map(|n| event("NUMBERED", &json!({"n": n})))
        .collect();
    Fake::saying(move |command| match command["execute"].as_str() {
        Some("flood") => flood.clone() + &success(command, json!("flooded")),
        name => success(command, json!(name)),
    })
}

#[test]
fn the_history_is_filtered_by_name_data_and_time() {
    let fake = Fake::answering(|command| {
        ["A", "B", "C"]
            .map(|name| event(name, &json!({"n": 1, "of": {"name": name}})))
            .concat()
            + &success(command, json!(null))
    });
    let names = |line: &str| {
        let outcome = fake.script(&["-e", "go", "-e", line], "");
        let events = outcome.assert_status(0).json();
        let names = events[1..].iter().map(|event| event["event"].as_str());
        names
            .map(|name| name.expect("a name").to_owned())
            .collect::<String>()
    };
    assert_eq!(names(":events"), "ABC");
    assert_eq!(names(":events A,C"), "AC");
    assert_eq!(names(":events B A"), "AB");
    assert_eq!(names(":events n=1 of.name=C"), "C");
    assert_eq!(names(":events * n=2"), "");
    // The timestamps are of 1970.
    assert_eq!(names(":events --since 1h"), "");
    assert_eq!(names(":events --since=0:00"), "");
    let outcome = fake.script(&["-e", "go", "-e", ":events clear", "-e", ":events"], "");
    outcome.assert_status(0).assert_stdout("null\n");
    for (line, says) in [
        (":events --since soon", "is not a duration"),
        (":events --nope", "unknown option `--nope`"),
        (":events unmute", "usage: :events"),
    ] {
        fake.script(&["-e", line], "").assert_fails(2, says);
    }
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "stop\n:events --since 1m\n");
    assert_eq!(outcome.json()[1]["event"], "STOP", "{outcome}");
}

#[test]
fn the_number_of_events_dropped_from_the_history_is_reported() {
    let fake = flooding(10_500);
    let outcome = fake.script(&["-e", "flood", "-e", ":events"], "");
    let events = &outcome.assert_status(0).json()[1..];
    assert_eq!(events.len(), 10_000);
    assert_eq!(events[0]["data"]["n"], 500);
    outcome.assert_says("500 older events were dropped");
}

#[test]
fn muted_events_are_kept_and_not_shown() {
    // Only for `go`: an event makes qmpsh ask for the VM's state, and that must not cause further events.
    let fake = Fake::answering(|command| {
        let events = match command["execute"].as_str() {
            Some("go") => ["RTC_CHANGE", "STOP", "RESUME"].map(|name| event(name, &json!({}))),
            _ => Default::default(),
        };
        events.concat() + &success(command, json!("done"))
    });
    let mut terminal = fake.prompt();
    terminal.enter(":events clear");
    let screen = terminal.enter("go");
    terminal.wait_for_text(" RESUME\n");
    assert!(!screen.contains("RTC_CHANGE"), "{screen}");
    terminal.assert_answer(":events RTC_CHANGE", "  RTC_CHANGE\n");
    terminal.enter(":events mute STOP,RESUME");
    terminal.assert_answer(":events mute", "\nRESUME\nRTC_CHANGE\nSTOP\n");
    terminal.enter(":events unmute RTC_CHANGE STOP");
    terminal.clear();
    terminal.enter("go");
    let screen = terminal.wait_for_text(" STOP\n");
    assert!(
        screen.contains(" RTC_CHANGE\n") && !screen.contains(" RESUME"),
        "{screen}"
    );
}

#[test]
fn a_flood_reaches_a_script_in_full_and_in_order() {
    let count = 500_000;
    let fake = flooding(count);
    let outcome = fake.script(&["--events", "stdout", "flood"], "");
    outcome.assert_status(0);
    let stdout = outcome.stdout();
    let mut lines = stdout.lines();
    for n in 0..count {
        let line = lines.next().expect("every event");
        assert!(
            line.ends_with(&format!("\"data\":{{\"n\":{n}}}}}"))
                || line.contains(&format!("\"n\":{n}}}")),
            "{n}: {line}"
        );
    }
    assert_eq!(lines.next(), Some("\"flooded\""));
    assert_eq!(lines.next(), None);
}

#[test]
fn a_flood_at_the_prompt_is_counted_and_typing_goes_on() {
    let fake = flooding(200_000);
    let mut terminal = fake.prompt();
    terminal.keys("flood &\r");
    terminal.keys("query-st");
    let screen = terminal.wait("the last event", |screen| {
        screen.contains("NUMBERED n=199999\n") && screen.ends_with("(QEMU) query-st")
    });
    assert!(!screen.contains("NUMBERED n=100000\n"), "{screen}");
    let output = terminal.output();
    assert!(output.contains(" more events ("), "{output}");
    let peak = memory(terminal.pid(), "VmHWM");
    // 10,000 events, their text and what stands around it; not 200,000.
    assert!(peak < 64 << 10, "{peak} KiB");
    terminal.keys("\x15");
    terminal.assert_answer(":events n=150000", "190000 older events were dropped");
}

#[test]
fn the_symbol_follows_the_vm_while_a_line_is_half_typed() {
    let mut qemu = Qemu::with_args(&["-machine", "q35", "-S"]);
    let mut terminal = qemu.prompt();
    // Not started yet.
    terminal.wait_for_symbol('‖');
    terminal.keys("query-st");
    for (line, symbol, name) in [
        ("cont", '●', " RESUME\n"),
        ("stop", '‖', " STOP\n"),
        ("cont", '●', " RESUME\n"),
        ("system_reset", '●', " RESET guest=false"),
        ("system_powerdown", '●', " POWERDOWN\n"),
    ] {
        qemu.control(line);
        terminal.wait(name, |screen| {
            screen.contains(name) && screen.ends_with("\n(QEMU) query-st")
        });
        terminal.wait_for_symbol(symbol);
    }
    let row = terminal.screen().lines().count() - 1;
    let row = u16::try_from(row).expect("24 rows");
    let column = "(QEMU ●) query-st".chars().count();
    terminal.wait_for_cursor(row, u16::try_from(column).expect("80 columns"));
    qemu.control("quit");
    wait_for("the end of QEMU", || qemu.has_ended().then_some(()));
    terminal.wait_for_symbol('○');
    terminal.wait("the news", |screen| {
        screen.contains(" SHUTDOWN ") && screen.ends_with("\n(QEMU) query-st")
    });
    // Another one, and not started either.
    qemu.restart_with(&["-machine", "none", "-S"]);
    terminal.wait_for_symbol('‖');
    terminal.wait_for_text("(QEMU) query-st");
}

#[test]
fn both_ends_of_a_migration_show_their_state() {
    let incoming = Qemu::with_args(&["-machine", "q35", "-incoming", "defer"]);
    let terminal = incoming.prompt();
    terminal.wait_for_symbol('✦');
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let mut source = qemu.prompt();
    source.wait_for_symbol('●');
    let path = incoming.directory.path().join("migration");
    let uri = format!("unix:{}", path.display());
    incoming.control(&format!("migrate-incoming uri={uri}"));
    // Slowly, so that it is seen.
    source.keys("migrate-set-parameters max-bandwidth=65536\r");
    source.wait_for_prompt();
    source.keys(&format!("migrate uri={uri}\r"));
    source.wait_for_symbol('✦');
    qemu.control("migrate-set-parameters max-bandwidth=1000000000");
    source.wait_for_symbol('‖');
    source.wait_for_text(" STOP\n");
    terminal.wait_for_symbol('●');
}

#[test]
fn a_guest_that_panics_and_a_disk_that_fails_are_shown() {
    // The guest's own way of saying so: a write to the port of pvpanic, here by the debug port of a boot sector.
    let directory = scratch();
    let image = directory.path().join("panic.img");
    let mut sector = vec![0; 512];
    // mov dx, 0x505; mov al, 1; out dx, al; hlt; jmp $
    sector[..10].copy_from_slice(&[0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfe, 0x00]);
    (sector[510], sector[511]) = (0x55, 0xaa);
    fs::write(&image, sector).expect("a file of ours");
    let drive = format!("file={},format=raw,if=ide", image.display());
    let qemu = Qemu::with_args(&[
        "-machine",
        "pc",
        "-device",
        "pvpanic",
        "-no-shutdown",
        "-S",
        "-drive",
        &drive,
    ]);
    let terminal = qemu.prompt();
    qemu.control("cont");
    terminal.wait_for_symbol('!');
    terminal.wait_for_text("GUEST_PANICKED action=pause");

    // The firmware looks for something to boot, and cannot read.
    let node = "driver=blkdebug,node-name=disk,image.driver=null-co,inject-error.0.event=none,\
                inject-error.0.iotype=read,inject-error.0.errno=5";
    let disk = "ide-hd,drive=disk,rerror=stop";
    let qemu = Qemu::with_args(&["-machine", "pc", "-S", "-blockdev", node, "-device", disk]);
    let terminal = qemu.prompt();
    terminal.wait_for_symbol('‖');
    qemu.control("cont");
    terminal.wait_for_symbol('!');
    terminal.wait_for_text("BLOCK_IO_ERROR ");
}

#[test]
fn a_server_without_query_status_has_a_prompt_and_a_session() {
    let directory = scratch();
    let socket = directory.path().join("qsd.sock");
    let daemon = storage_daemon(&socket);
    let mut terminal = Terminal::prompt(directory.path(), &[text(&socket)]);
    terminal.wait_for_symbol('●');
    terminal.assert_answer("query-status", "CommandNotFound");
    terminal.assert_answer(":jobs", "there are no jobs");
    terminal.keys(
        "blockdev-create job-id=j options={'driver':'file','filename':'/nowhere/x','size':1}\r",
    );
    terminal.wait_for_text("JOB_STATUS_CHANGE status=concluded id=j");
    drop(daemon);
    terminal.wait_for_symbol('○');
}

#[test]
fn a_stopped_qemu_is_not_taken_for_a_lost_one() {
    let qemu = Qemu::named("asleep");
    let mut terminal = qemu.prompt();
    terminal.wait_for_symbol('●');
    terminal.enter(":set timeout 2");
    kill(qemu.pid(), "STOP");
    let start = Instant::now();
    terminal.keys("query-name\r");
    terminal.wait_for_text("no reply to `query-name` within 2 s");
    assert!(start.elapsed() >= Duration::from_secs(2));
    terminal.keys("query-st");
    // What is tested is the time itself.
    std::thread::sleep(Duration::from_secs(28).saturating_sub(start.elapsed()));
    let screen = terminal.screen();
    assert!(
        screen.ends_with("(QEMU) query-st") && !screen.contains("gone"),
        "{screen}"
    );
    assert_eq!(terminal.symbol(), Some('●'));
    kill(qemu.pid(), "CONT");
    terminal.wait("the late reply", |screen| {
        screen.contains("late reply to `query-name`: {\"return\": {\"name\": \"asleep\"}}")
            && screen.ends_with("\n(QEMU) query-st")
    });
    terminal.keys("atus\r");
    terminal.wait_for_text("\"running\"");
}

#[test]
fn events_come_at_once_while_the_history_is_searched() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.keys("\x12");
    terminal.keys("que");
    let found = "(reverse-i-search)`que': query-name";
    let screen = terminal.wait("what was found", |screen| screen.ends_with(found));
    let (row, column) = terminal.cursor();
    qemu.control("stop");
    terminal.wait("the event", |screen| {
        screen.ends_with(&format!(" STOP\n{found}")) && screen.lines().count() == row as usize + 2
    });
    terminal.wait_for_cursor(row + 1, column);
    // The search goes on, and what it finds is run.
    terminal.keys("r");
    terminal.wait_for_text("(reverse-i-search)`quer': query-name");
    terminal.keys("\r");
    terminal.wait("the reply", |now| {
        now.matches("{}").count() > screen.matches("{}").count() && now.ends_with("(QEMU)")
    });
}

#[test]
fn a_script_prints_events_as_they_come_until_it_is_stopped() {
    let qemu = Qemu::start();
    let mut running = qemu.running(&["-e", "query-name", "-e", ":events -f STOP"]);
    running.line();
    let first = wait_for("an event", || {
        qemu.control("cont");
        qemu.control("stop");
        running.try_line()
    });
    assert!(first.contains(r#""event": "STOP""#), "{first}");
    kill(running.pid(), "INT");
    let (status, stderr) = running.wait();
    assert_eq!(status.code(), Some(130), "{stderr}");
}

#[test]
fn a_script_that_prints_events_ends_with_the_connection() {
    let qemu = Qemu::start();
    let mut running = qemu.running(&[":events", "-f"]);
    wait_for("an event", || {
        qemu.control("cont");
        qemu.control("stop");
        running.try_line()
    });
    qemu.control("quit");
    let (status, stderr) = running.wait();
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("not connected"), "{stderr}");
}

#[test]
fn the_prompt_shows_muted_events_while_it_follows_them() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter(":events mute STOP");
    terminal.keys(":events -f\r");
    wait_for("the event", || {
        qemu.control("cont");
        qemu.control("stop");
        terminal.screen().contains(" STOP").then_some(())
    });
    terminal.keys(CTRL_C);
    terminal.enter("query-name");
}
