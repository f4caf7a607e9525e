//! `--listen`: QEMU connects to us.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::running::Running;
use common::terminal::{CTRL_D, Terminal};
use common::{command, qemu, qmpsh, wait_for};
use tempfile::TempDir;

/// A QEMU that connects to a monitor that somebody else serves. It is killed when this is dropped.
struct Dialler {
    process: Child,
}

impl Dialler {
    fn start(place: &str, name: &str) -> Self {
        let chardev = format!("socket,id=c,{place},server=off,reconnect=1");
        let process = Command::new(qemu())
            .args([
                "-display",
                "none",
                "-nodefaults",
                "-machine",
                "none",
                "-name",
                name,
            ])
            .args(["-chardev", &chardev, "-mon", "chardev=c,mode=control"])
            .stdin(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        Self { process }
    }

    fn at(path: &Path, name: &str) -> Self {
        Self::start(&format!("path={}", path.display()), name)
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("listen.sock");
    (directory, path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

#[test]
fn the_qemu_that_connects_is_served_and_the_next_one_when_it_goes() {
    let (directory, path) = place();
    let mut terminal = Terminal::start(directory.path(), &["--listen", text(&path)]);
    wait_for("the socket", || path.exists().then_some(()));
    let mode = fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    terminal.wait_for_text("waiting for a QEMU to connect");
    let first = Dialler::at(&path, "first");
    terminal.wait_for_text("\"first\"");
    terminal.wait_for_prompt();
    // One at a time: this one waits.
    let second = Dialler::at(&path, "second");
    let screen = terminal.enter("query-name");
    assert!(screen.contains("  \"name\": \"first\""), "{screen}");
    drop(first);
    terminal.wait_for_text("Waiting for the next one");
    terminal.wait_for_text("\"second\" at");
    let screen = terminal.enter("query-name");
    assert!(screen.contains("  \"name\": \"second\""), "{screen}");
    drop(second);
    let _third = Dialler::at(&path, "third");
    terminal.wait_for_text("\"third\" at");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(!path.exists());
}

#[test]
fn tcp_is_listened_at_too_and_commands_are_run() {
    // A port that was free just now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let port = port.expect("a port").port();
    let _qemu = Dialler::start(&format!("host=127.0.0.1,port={port}"), "over TCP");
    let address = format!("127.0.0.1:{port}");
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
fn a_script_goes_on_with_the_next_qemu_if_it_is_to_reconnect() {
    let (directory, path) = place();
    let mut command = command(directory.path());
    command.args(["--listen", text(&path), "--reconnect=60"]);
    let mut running = Running::start(command);
    let mut first = Dialler::at(&path, "first");
    running.send("query-name");
    assert_eq!(running.line(), "{\"name\": \"first\"}");
    running.send("quit");
    assert_eq!(running.line(), "{}");
    first.process.wait().expect("it is our child");
    let _second = Dialler::at(&path, "second");
    running.send("query-name");
    assert_eq!(running.line(), "{\"name\": \"second\"}");
    running.close();
    let (status, stderr) = running.wait();
    assert!(status.success(), "{stderr}");
    assert!(!path.exists());
}

#[test]
fn nobody_who_comes_is_an_error_with_a_time_limit() {
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
    common::leave_socket(&path);
    assert!(path.exists());
    let args = ["--listen", text(&path), "--connect-timeout", "0.1", "stop"];
    qmpsh(&args, "").assert_fails(3, "no QEMU connected to");
    let live = UnixListener::bind(&path).expect("a socket of ours");
    qmpsh(&args, "").assert_fails(3, "somebody listens there already");
    assert!(path.exists());
    // Also if it can take no further connection now: the one that has just looked is still in its queue.
    let none = nix::sys::socket::Backlog::new(0).expect("a small one");
    nix::sys::socket::listen(&live, none).expect("a socket of ours");
    qmpsh(&args, "").assert_fails(3, "somebody listens there already");
    fs::remove_file(&path).expect("it is there");
    fs::write(&path, "precious").expect("a file of ours");
    qmpsh(&args, "").assert_fails(3, "a file that is not a socket");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
    let nowhere = ["--listen", "/no/such/directory/sock", "stop"];
    qmpsh(&nowhere, "").assert_fails(3, "there is no such directory");
}

#[test]
fn the_socket_is_removed_when_a_signal_ends_the_shell() {
    for signal in ["TERM", "HUP"] {
        let (directory, path) = place();
        let mut terminal = Terminal::start(directory.path(), &["--listen", text(&path)]);
        let _qemu = Dialler::at(&path, "a VM");
        terminal.wait_for_prompt();
        common::kill(terminal.pid(), signal);
        terminal.wait_for_end();
        assert!(!path.exists(), "SIG{signal}");
    }
}

#[test]
fn whoever_is_no_qemu_does_not_keep_the_next_one_away() {
    let (directory, path) = place();
    let terminal = Terminal::start(directory.path(), &["--listen", text(&path)]);
    wait_for("the socket", || path.exists().then_some(()));
    let mut stranger = UnixStream::connect(&path).expect("it listens");
    stranger
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .expect("it reads");
    terminal.wait_for_text("not a QMP message");
    let _qemu = Dialler::at(&path, "after all");
    terminal.wait_for_text("\"after all\" at");
    terminal.wait_for_prompt();
}

#[test]
fn an_address_to_listen_at_goes_with_no_other() {
    for args in [
        &["--listen", "x.sock", "-c", "y.sock"][..],
        &["--listen", "x.sock", "--launch"],
        &["--listen", "x.sock", "-n", "stop"],
    ] {
        assert_eq!(qmpsh(args, "").status(), Some(2), "{args:?}");
    }
    qmpsh(&["--listen", "fd:3", "stop"], "").assert_fails(3, "Unix socket or a TCP port");
}
