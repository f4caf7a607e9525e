//! `--listen`: QEMU connects to us.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::common::fake::GREETING;
use crate::common::process::Killed;
use crate::common::qemu::bare_qemu;
use crate::common::running::Running;
use crate::common::sockets::{Port, leave_no_room, leave_socket, listens};
use crate::common::terminal::Terminal;
use crate::common::told::Told;
use crate::common::{Qemu, kill, mode, qmpsh, scratch, text, wait_for};

/// What has QEMU connect again, as `--help` has it: since 9.2 in milliseconds, and since 11 only so.
static RECONNECT: LazyLock<&str> = LazyLock::new(|| {
    let schema = Told::by(&Qemu::start()).json;
    match schema.contains("\"reconnect-ms\"") {
        true => "reconnect-ms=1000",
        false => "reconnect=1",
    }
});

/// A QEMU that connects its monitor to `place`, given as options of a chardev, where somebody else listens.
fn dialler(place: &str, name: &str) -> Killed {
    let chardev = format!("socket,id=c,{place},server=off,{}", *RECONNECT);
    let options = ["-chardev", &chardev, "-qmp", "chardev:c"];
    bare_qemu(&[&["-name", name], &options[..]].concat(), Vec::new())
}

/// The same with a Unix socket.
fn dialler_at(path: &Path, name: &str) -> Killed {
    dialler(&format!("path={}", path.display()), name)
}

fn place() -> (TempDir, PathBuf) {
    let directory = scratch();
    let path = directory.path().join("listen.sock");
    (directory, path)
}

#[test]
fn one_qemu_is_served_after_another() {
    let (directory, path) = place();
    let mut terminal = Terminal::start(directory.path(), &["--listen", text(&path)]);
    wait_for("the socket", || path.exists().then_some(()));
    assert_eq!(mode(&path), 0o600);
    terminal.wait_for_text("waiting for a QEMU to connect");
    let first = dialler_at(&path, "first");
    terminal.wait_for_text("\"first\"");
    terminal.wait_for_prompt();
    // One at a time: this one waits.
    let second = dialler_at(&path, "second");
    terminal.assert_answer("query-name", "  \"name\": \"first\"");
    drop(first);
    terminal.wait_for_text("Waiting for the next connection");
    terminal.wait_for_text("\"second\" at");
    terminal.assert_answer("query-name", "  \"name\": \"second\"");
    drop(second);
    let _third = dialler_at(&path, "third");
    terminal.wait_for_text("\"third\" at");
    terminal.leave();
    assert!(!path.exists());
}

#[test]
fn commands_run_over_a_tcp_port_as_well() {
    let port = Port::reserve();
    let place = format!("host=127.0.0.1,port={}", port.number());
    let _qemu = dialler(&place, "over TCP");
    let address = port.address();
    let outcome = qmpsh(
        &[
            "--listen",
            &address,
            "--connect-timeout",
            "30",
            "query-name",
        ],
        "",
    );
    outcome
        .assert_status(0)
        .assert_stdout("{\"name\": \"over TCP\"}\n");
}

#[test]
fn with_reconnect_a_script_goes_on_with_the_next_qemu() {
    let (directory, path) = place();
    let args = ["--listen", text(&path), "--reconnect=60"];
    let mut running = Running::qmpsh(directory.path(), &args);
    let mut first = dialler_at(&path, "first");
    running.send("query-name");
    assert_eq!(running.line(), "{\"name\": \"first\"}");
    running.send("quit");
    assert_eq!(running.line(), "{}");
    first.wait().expect("it is our child");
    let _second = dialler_at(&path, "second");
    running.send("query-name");
    assert_eq!(running.line(), "{\"name\": \"second\"}");
    running.close();
    let (status, stderr) = running.wait();
    assert!(status.success(), "{stderr}");
    assert!(!path.exists());
}

#[test]
fn with_a_time_limit_it_is_an_error_if_no_qemu_connects() {
    let (_directory, path) = place();
    let outcome = qmpsh(
        &["--listen", text(&path), "--connect-timeout", "0.2", "stop"],
        "",
    );
    outcome.assert_fails(3, "no QEMU connected to");
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_left_alone() {
    let (_directory, path) = place();
    leave_socket(&path);
    assert!(path.exists());
    let args = ["--listen", text(&path), "--connect-timeout", "0.1", "stop"];
    qmpsh(&args, "").assert_fails(3, "no QEMU connected to");
    let live = UnixListener::bind(&path).expect("a socket of ours");
    qmpsh(&args, "").assert_fails(3, "another process already listens there");
    assert!(path.exists());
    // To look was no connection.
    live.set_nonblocking(true).expect("a socket of ours");
    let accepted = live.accept().map_err(|error| error.kind());
    assert!(matches!(accepted, Err(ErrorKind::WouldBlock)));
    // Also if it can take no further connection now.
    leave_no_room(&live);
    let _first = UnixStream::connect(&path).expect("room for one");
    qmpsh(&args, "").assert_fails(3, "another process already listens there");
    fs::remove_file(&path).expect("it is there");
    fs::write(&path, "precious").expect("a file of ours");
    qmpsh(&args, "").assert_fails(3, "a file that is not a socket");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
    let nowhere = ["--listen", "/no/such/directory/sock", "stop"];
    qmpsh(&nowhere, "").assert_fails(3, "the directory does not exist");
}

#[test]
fn the_socket_is_removed_when_a_signal_ends_the_shell() {
    for signal in ["TERM", "HUP"] {
        let (directory, path) = place();
        let mut terminal = Terminal::start(directory.path(), &["--listen", text(&path)]);
        let _qemu = dialler_at(&path, "a VM");
        terminal.wait_for_prompt();
        kill(terminal.pid(), signal);
        terminal.wait_for_end();
        assert!(!path.exists(), "SIG{signal}");
    }
}

#[test]
fn a_client_that_is_not_qemu_does_not_keep_qemu_from_connecting() {
    let (directory, path) = place();
    let terminal = Terminal::start(directory.path(), &["--listen", text(&path)]);
    let mut stranger = wait_for("the socket", || UnixStream::connect(&path).ok());
    stranger
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .expect("it reads");
    terminal.wait_for_text("not a QMP message");
    let _qemu = dialler_at(&path, "after all");
    terminal.wait_for_text("\"after all\" at");
    terminal.wait_for_prompt();
}

/// A script that listens, once it does.
fn listening_script(directory: &TempDir, path: &Path) -> Running {
    let running = Running::qmpsh(
        directory.path(),
        &["--listen", text(path), "--connect-timeout", "170"],
    );
    wait_for("the socket", || listens(path).then_some(()));
    running
}

/// Asserts that a QEMU that connects is served, and that the script then ends in good order. Returns what the script
/// has said on standard error.
#[track_caller]
fn serves_a_qemu(mut running: Running, path: &Path) -> String {
    let _qemu = dialler_at(path, "after all");
    running.send("query-name");
    assert_eq!(running.line(), "{\"name\": \"after all\"}");
    running.close();
    let (status, stderr) = running.wait();
    assert!(status.success(), "{stderr}");
    assert!(!path.exists());
    // That is said after a while.
    let lines = stderr
        .lines()
        .filter(|line| !line.contains("waiting for a QEMU"));
    lines.map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn a_script_goes_on_listening_after_connections_that_speak_no_qmp() {
    let (directory, path) = place();
    let running = listening_script(&directory, &path);
    for sent in [
        "",
        "GET / HTTP/1.1\r\n\r\n",
        "{\"return\": {}}\r\n",
        "{\"QMP\": {}}\n",
    ] {
        let mut stranger = UnixStream::connect(&path).expect("it listens");
        // It may have closed the connection by now.
        let _ = stranger.write_all(sent.as_bytes());
    }
    let stderr = serves_a_qemu(running, &path);
    assert!(
        stderr.contains("does not speak QMP (the server closed the connection); still listening"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_greeting_without_an_answer_does_not_end_the_listening() {
    let (directory, path) = place();
    let running = listening_script(&directory, &path);
    let mut stranger = UnixStream::connect(&path).expect("it listens");
    stranger.write_all(GREETING.as_bytes()).expect("it reads");
    drop(stranger);
    serves_a_qemu(running, &path);
}

#[test]
fn connections_that_are_silent_do_not_keep_a_qemu_out() {
    let (directory, path) = place();
    let running = listening_script(&directory, &path);
    let _silent = UnixStream::connect(&path).expect("it listens");
    let stderr = serves_a_qemu(running, &path);
    assert!(
        stderr.contains("has sent no greeting so far; still listening"),
        "{stderr}"
    );
}

#[test]
fn a_flood_of_connections_is_told_in_a_few_lines() {
    let (directory, path) = place();
    let running = listening_script(&directory, &path);
    for _ in 0..200 {
        wait_for("room for a connection", || UnixStream::connect(&path).ok());
    }
    let stderr = serves_a_qemu(running, &path);
    assert!(stderr.contains("100 connections to"), "{stderr}");
    assert!(stderr.lines().count() < 6, "{stderr}");
}

#[test]
fn a_second_listener_on_the_path_is_refused_and_the_first_one_is_not_disturbed() {
    let (directory, path) = place();
    let first = listening_script(&directory, &path);
    for _ in 0..3 {
        let second = qmpsh(&["--listen", text(&path), "stop"], "");
        second.assert_fails(3, "another process already listens there");
    }
    assert_eq!(serves_a_qemu(first, &path), "");
}

#[test]
fn of_many_that_find_a_stale_socket_together_one_listens() {
    let (directory, path) = place();
    leave_socket(&path);
    let args = ["--listen", text(&path), "--connect-timeout", "170"];
    let mut all: Vec<_> = (0..8)
        .map(|_| Running::qmpsh(directory.path(), &args))
        .collect();
    for _ in 0..7 {
        let refused = wait_for("the end of one", || {
            all.iter().position(|running| {
                running
                    .try_complaint()
                    .is_some_and(|line| line.contains("already listens there"))
            })
        });
        all.remove(refused).wait();
    }
    serves_a_qemu(all.remove(0), &path);
}

#[test]
fn listen_excludes_other_addresses() {
    for args in [
        &["--listen", "x.sock", "-c", "y.sock"][..],
        &["--listen", "x.sock", "--launch"],
        &["--listen", "x.sock", "-n", "stop"],
    ] {
        assert_eq!(qmpsh(args, "").status(), Some(2), "{args:?}");
    }
    qmpsh(&["--listen", "fd:3", "stop"], "").assert_fails(3, "Unix socket or a TCP port");
}
