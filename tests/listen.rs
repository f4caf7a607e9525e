//! `--listen`: QEMU connects to us.

use std::fs;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::process::Killed;
use crate::common::qemu::{bare_qemu, takes};
use crate::common::running::Running;
use crate::common::sockets::{Port, leave_no_room, leave_socket};
use crate::common::terminal::Terminal;
use crate::common::{kill, mode, qmpsh, scratch, text, wait_for};

/// A QEMU that connects its monitor to `place`, given as options of a chardev, where somebody else listens.
fn dialler(place: &str, name: &str) -> Killed {
    // The option got a new name, and later the old one was removed.
    let nowhere = "socket,id=c,path=/no/such/directory/sock,server=off,reconnect-ms=1000";
    let reconnect = if takes(&["-chardev", nowhere]) {
        "reconnect-ms=1000"
    } else {
        "reconnect=1"
    };
    let chardev = format!("socket,id=c,{place},server=off,{reconnect}");
    let options = ["-chardev", &chardev, "-mon", "chardev=c,mode=control"];
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
    // Also if it can take no further connection now: the one that has just looked is still in its queue.
    leave_no_room(&live);
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
    wait_for("the socket", || path.exists().then_some(()));
    let mut stranger = UnixStream::connect(&path).expect("it listens");
    stranger
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .expect("it reads");
    terminal.wait_for_text("not a QMP message");
    let _qemu = dialler_at(&path, "after all");
    terminal.wait_for_text("\"after all\" at");
    terminal.wait_for_prompt();
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
