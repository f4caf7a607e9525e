//! `--list`: the QEMUs that run here.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use serde_json::Value;

use crate::common::qemu::{bare_qemu, storage_daemon};
use crate::common::sockets::Port;
use crate::common::terminal::Terminal;
use crate::common::{Qemu, qemu, qmpsh, scratch, text, wait_for};

/// What `--list -o json` says of a process.
fn listed(pid: u32) -> Option<Value> {
    let outcome = qmpsh(&["--list", "-o", "json"], "");
    let list = outcome.assert_status(0).json().remove(0);
    let machines = list.as_array().expect("a list").clone();
    machines.into_iter().find(|machine| machine["pid"] == pid)
}

fn states(machine: &Value) -> Vec<String> {
    let monitors = machine["qmp"].as_array().expect("a list");
    let state = |monitor: &Value| monitor["state"].as_str().expect("a state").to_owned();
    monitors.iter().map(state).collect()
}

#[test]
fn a_running_qemu_is_listed_with_its_pid_name_and_sockets() {
    let qemu = Qemu::named("a name,debug-threads=on");
    // The connections that checked for an answer may not be closed yet.
    let machine = wait_for("free monitors", || {
        listed(qemu.pid()).filter(|machine| states(machine) == ["free", "free"])
    });
    assert_eq!(machine["name"], "a name");
    assert_eq!(machine["qmp"][0]["address"], qemu.address());
    let table = qmpsh(&["--list"], "").stdout();
    let socket = qemu.address();
    let row = table
        .lines()
        .find(|row| row.ends_with(socket))
        .expect("a row for it");
    assert!(
        row.contains(&qemu.pid().to_string()) && row.contains("a name"),
        "{table}"
    );
}

#[test]
fn a_connected_client_is_noticed_and_not_disturbed() {
    let mut qemu = Qemu::start();
    let client = UnixStream::connect(&qemu.socket).expect("QEMU's monitor");
    wait_for("the connection", || {
        let machine = listed(qemu.pid()).expect("it runs");
        (states(&machine) == ["connected", "free"]).then_some(())
    });
    drop(client);
    wait_for("the end of the connection", || {
        let machine = listed(qemu.pid()).expect("it runs");
        (states(&machine) == ["free", "free"]).then_some(())
    });
    qemu.kill();
    assert!(listed(qemu.pid()).is_none());
}

#[test]
fn monitors_at_a_tcp_port_and_a_chardev_are_found() {
    let port = Port::reserve();
    let tcp = format!("tcp:{},server=on,wait=off", port.address());
    let args = [
        "-machine",
        "none",
        "-mon",
        "chardev=c,mode=control",
        "-qmp",
        &tcp,
    ];
    let socket = ["-chardev", "socket,id=c,path=./mon sock,server=on,wait=off"];
    let qemu = Qemu::with_args(&[&args[..], &socket[..]].concat());
    let machine = listed(qemu.pid()).expect("it runs");
    let addresses: Vec<_> = machine["qmp"].as_array().expect("a list").iter().collect();
    assert_eq!(addresses.len(), 4);
    assert_eq!(addresses[2]["address"], port.address());
    let path = qemu.directory.path().join("./mon sock");
    assert_eq!(addresses[3]["address"], text(&path));
    assert_eq!(states(&machine)[2], "free");
    let _client = std::net::TcpStream::connect(port.address()).expect("QEMU listens");
    wait_for("the connection", || {
        (states(&listed(qemu.pid())?)[2] == "connected").then_some(())
    });
}

#[test]
fn a_monitor_on_a_descriptor_has_the_path_it_was_bound_to() {
    let directory = scratch();
    let path = directory.path().join("sock");
    let listener = UnixListener::bind(&path).expect("a socket of ours");
    let number = listener.as_raw_fd();
    let chardev = format!("socket,id=c,fd={number},server=on,wait=off");
    let options = ["-chardev", &chardev, "-mon", "chardev=c,mode=control"];
    let process = bare_qemu(&options, vec![listener.into()]);
    let machine = wait_for("QEMU", || listed(process.id()));
    assert_eq!(machine["qmp"][0]["address"], text(&path));
}

#[test]
fn a_monitor_that_a_file_of_options_defines_is_found() {
    let config = r#"
[chardev "c"]
  backend = "socket"
  path = "from a file"
  server = "on"
  wait = "off"
[mon "m"]
  chardev = "c"
  mode = "control"
"#;
    let directory = scratch();
    let path = directory.path().join("config");
    fs::write(&path, config).expect("a file of ours");
    let qemu = Qemu::with_args(&["-machine", "none", "-readconfig", text(&path)]);
    let machine = listed(qemu.pid()).expect("it runs");
    let socket = qemu.directory.path().join("from a file");
    assert_eq!(machine["qmp"][2]["address"], text(&socket));
    assert_eq!(states(&machine)[2], "free");
}

#[test]
fn a_monitor_that_is_an_object_is_found() {
    let objects = Command::new(qemu()).args(["-object", "help"]).output();
    let objects = objects.expect("QEMU runs").stdout;
    if !String::from_utf8_lossy(&objects).contains("monitor-qmp") {
        // Before 11.1 there is nothing to find.
        return;
    }
    let directory = scratch();
    let path = directory.path().join("sock");
    let chardev = format!("socket,id=c,path={},server=on,wait=off", path.display());
    let object = "monitor-qmp,id=m,chardev=c";
    let args = ["-machine", "none", "-chardev", &chardev, "-object", object];
    let qemu = Qemu::with_args(&args);
    let machine = listed(qemu.pid()).expect("it runs");
    assert_eq!(machine["qmp"][2]["address"], text(&path));
}

#[test]
fn a_storage_daemon_is_listed() {
    let directory = scratch();
    let path = directory.path().join("sock");
    let daemon = storage_daemon(&path);
    // The connection that checked for an answer may not be closed yet.
    let machine = wait_for("a free monitor", || {
        listed(daemon.id()).filter(|machine| states(machine) == ["free"])
    });
    let program = machine["program"].as_str().expect("a name");
    assert!(program.starts_with("qemu-storage-daemon"), "{program}");
}

#[test]
fn list_excludes_options_that_need_a_server() {
    for args in [
        &["--list", "vm.sock"][..],
        &["--list", "-e", "stop"],
        &["--list", "-c", "x"],
    ] {
        assert_eq!(qmpsh(args, "").status(), Some(2), "{args:?}");
    }
}

#[test]
fn without_an_address_the_qemus_are_listed_with_how_to_connect() {
    let qemu = Qemu::named("bare");
    let mut terminal = Terminal::start(qemu.directory.path(), &[]);
    assert_eq!(terminal.wait_for_end(), 0);
    terminal.wait_for_text("`qmpsh vm:NAME` or `qmpsh ADDRESS` connects to one");
    let output = terminal.output();
    assert!(
        output.contains("bare") && output.contains(qemu.address()),
        "{output}"
    );
    // A script has nobody who reads the list.
    qmpsh(&[], "query-status").assert_status(2);
}

#[test]
fn a_vm_is_found_by_its_name() {
    let qemu = Qemu::named("found-by-name");
    for address in ["vm:found-by-name", "found-by-name"] {
        let outcome = qmpsh(&[address, "query-name"], "");
        assert_eq!(outcome.assert_status(0).json()[0]["name"], "found-by-name");
    }
    let outcome = qmpsh(&["vm:nowhere-to-be-found", "query-name"], "");
    outcome.assert_status(3);
    assert!(
        outcome
            .stderr()
            .contains("no QEMU named `nowhere-to-be-found` runs here"),
        "{outcome}"
    );
    let _other = Qemu::named("found-by-name");
    let outcome = qmpsh(&["vm:found-by-name", "query-name"], "");
    outcome.assert_status(3);
    assert!(outcome.stderr().contains("several QEMUs"), "{outcome}");
    // At the prompt, too.
    let mut terminal = qemu.prompt();
    terminal.assert_answer(":connect vm:nowhere-to-be-found", "no QEMU named");
}
