//! The prompt while QEMU dies, is held by another client, or is to be connected to again.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::common::fake::{Fake, success};
use crate::common::sockets::{answers, hold};
use crate::common::terminal::{CTRL_C, Terminal};
use crate::common::{Qemu, scratch, wait_for};

#[test]
fn the_death_of_qemu_is_reported_above_the_line_being_edited() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.type_line("query-sta");
    qemu.kill();
    let screen = terminal.wait("the news", |screen| {
        screen.contains("Connection lost") && screen.ends_with("\n(QEMU) query-sta")
    });
    assert!(screen.contains(":connect"), "{screen}");
    terminal.keys("tus\r");
    terminal.wait("an error", |screen| {
        screen.contains("\nnot connected") && screen.ends_with("(QEMU)")
    });
}

#[test]
fn connect_finds_the_next_qemu_on_the_same_path() {
    let mut qemu = Qemu::start();
    // By itself it would find it too, and would then hold the monitor that the test waits for.
    let mut terminal = qemu.prompt_with(&["--no-reconnect"]);
    qemu.kill();
    terminal.wait_for_text("Connection lost");
    terminal.wait_for_prompt();
    terminal.assert_answer(":connect", "cannot connect to ");
    qemu.restart_with(&["-machine", "none", "-name", "successor"]);
    wait_for("the new QEMU", || answers(&qemu.socket).then_some(()));
    terminal.keys(":connect\r");
    terminal.wait_for_text(&format!("\"successor\" at {}\n(QEMU)", qemu.address()));
    terminal.assert_answer("query-name", "  \"name\": \"successor\"");
}

#[test]
fn connect_to_the_same_socket_by_another_path_is_not_held_up_by_ourselves() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let home = scratch();
    let other = home.path().join("other.sock");
    symlink(&qemu.socket, &other).expect("a link");
    terminal.assert_answer(&format!(":connect {}", other.display()), "at ");
    terminal.assert_answer("query-status", "  \"running\": ");
}

#[test]
fn the_prompt_keeps_the_vms_name_although_a_connection_ends_before_it_is_asked_for() {
    let mut connections = 0;
    let fake = Fake::start(move |peer| {
        connections += 1;
        peer.greet();
        while let Some(command) = peer.command() {
            let value = match command["execute"].as_str() {
                Some("query-name") if connections > 1 => return,
                Some("query-name") => json!({"name": "lasting"}),
                Some("end") => return,
                _ => json!({}),
            };
            peer.send(success(&command, value));
        }
    });
    let home = scratch();
    let address = fake.socket.to_str().expect("a path");
    let mut terminal = Terminal::prompt(home.path(), &[address]);
    assert!(terminal.screen().contains("\"lasting\""));
    terminal.keys("end\r");
    terminal.wait("another connection", |screen| {
        screen.matches("Connection lost").count() > 1
    });
    terminal.keys(":set confirm\r");
    terminal.wait_for_text("confirm  on");
    terminal.wait("the next prompt", |screen| screen.ends_with("(QEMU)"));
    let prompt = terminal.whole_prompt().unwrap_or_default();
    assert!(prompt.starts_with("(lasting "), "{prompt}");
}

#[test]
fn a_silent_server_is_explained_and_ctrl_c_leaves() {
    let qemu = Qemu::start();
    let _first = hold(&qemu.socket);
    let mut terminal = Terminal::start(qemu.directory.path(), &[qemu.address()]);
    terminal.wait_for_text("waiting");
    // That is this process.
    let who = format!(
        "another client uses this monitor (pid {}, `",
        std::process::id()
    );
    let screen = terminal.screen();
    assert!(terminal.shows(&who), "{screen}");
    assert!(!screen.contains("(QEMU)"), "{screen}");
    terminal.keys(CTRL_C);
    assert_eq!(terminal.wait_for_end(), 130);
}

#[test]
fn the_prompt_comes_once_the_other_client_is_gone() {
    let qemu = Qemu::start();
    let first = hold(&qemu.socket);
    let mut terminal = Terminal::start(qemu.directory.path(), &[qemu.address()]);
    terminal.wait_for_text("waiting");
    drop(first);
    terminal.wait_for_prompt();
    terminal.assert_answer("query-status", "\"running\"");
}

#[test]
fn ctrl_c_stops_a_connect_to_a_silent_server_and_the_prompt_stays() {
    let qemu = Qemu::start();
    let _first = hold(&qemu.control);
    let mut terminal = qemu.prompt();
    terminal.keys(&format!(":connect {}\r", qemu.control.display()));
    terminal.wait_for_text("waiting");
    terminal.cancel();
    terminal.keys(":status\r");
    terminal.wait_for_text("address ");
    terminal.wait_for_prompt();
}
