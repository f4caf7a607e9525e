//! The scripts in `tests/recipes`, each on a real QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::qemu::{beside_qemu, qemu};
use crate::common::run::{Outcome, run, script};
use crate::common::told::Told;
use crate::common::{Qemu, scratch, text, wait_for};

const SIZE: usize = 4 << 20;

/// Runs a recipe in this directory.
fn recipe(directory: &Path, name: &str, args: &[&str]) -> Outcome {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes");
    let mut command = script(&recipes.join(name), directory);
    command.args(args);
    run(command, b"")
}

/// A QEMU whose guest has the disk `disk`, an image full of `x`: the node `disk`.
fn with_disk() -> (Qemu, PathBuf) {
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", "qemu-xhci"]);
    let image = qemu.directory.path().join("disk.img");
    fs::write(&image, vec![b'x'; SIZE]).expect("a file of ours");
    qemu.control("blockdev-add driver=raw node-name=disk file.driver=file file.filename=disk.img");
    (qemu, image)
}

/// Writes to a node, as the guest might.
fn write(qemu: &Qemu, node: &str, what: &str) {
    let line = format!("human-monitor-command command-line='qemu-io {node} \"write {what}\"'");
    qemu.control(&line);
}

fn bytes(file: &Path) -> Vec<u8> {
    fs::read(file).expect("it is there")
}

#[test]
fn snapshot_and_commit() {
    let (qemu, image) = with_disk();
    // Shared, so that the test can write to it.
    qemu.control("device_add driver=usb-storage id=stick drive=disk share-rw=on");
    let directory = qemu.directory.path();
    let args = [
        qemu.address(),
        "disk",
        "over lay",
        "cp",
        "disk.img",
        "copy.img",
    ];
    recipe(directory, "snapshot-and-commit", &args).assert_status(0);
    assert_eq!(bytes(&directory.join("copy.img")), vec![b'x'; SIZE]);
    // What is written while the image is frozen is merged.
    let line = "human-monitor-command command-line='qemu-io overlay \"write -P 0x61 0 64k\"'";
    let control = text(&qemu.control).to_owned();
    let args = [
        qemu.address(),
        "disk",
        "overlay",
        "qmpsh",
        "-c",
        &control,
        "-e",
        line,
    ];
    let outcome = recipe(directory, "snapshot-and-commit", &args);
    outcome.assert_status(0);
    assert_eq!(bytes(&image)[..64 << 10], vec![b'a'; 64 << 10]);
    assert!(!directory.join("overlay").exists());
}

#[test]
fn bitmap_backup() {
    let (qemu, image) = with_disk();
    let directory = qemu.directory.path();
    let args = [qemu.address(), "disk", "4M", "the backup.img"];
    recipe(directory, "bitmap-backup", &args).assert_status(0);
    let backup = directory.join("the backup.img");
    assert_eq!(bytes(&backup), bytes(&image));
    write(&qemu, "disk", "-P 0x62 1M 128k");
    assert_ne!(bytes(&backup), bytes(&image));
    recipe(directory, "bitmap-backup", &args).assert_status(0);
    assert_eq!(bytes(&backup), bytes(&image));
}

#[test]
fn hotplug() {
    let (qemu, _) = with_disk();
    let directory = qemu.directory.path();
    fs::write(directory.join("stick.img"), vec![0; SIZE]).expect("a file of ours");
    let control = text(&qemu.control).to_owned();
    let seen = ["qmpsh", "--connect", &control, "-e", "query-block"];
    let args = [&[qemu.address(), "stick.img"], &seen[..]].concat();
    let outcome = recipe(directory, "hotplug", &args);
    outcome.assert_status(0);
    assert!(outcome.stdout().contains("stick.img"), "{outcome}");
    let nodes = qemu.control("query-named-block-nodes").stdout();
    assert!(!nodes.contains("stick"), "{nodes}");
}

#[test]
fn migrate_to_file() {
    let mut qemu = Qemu::with_args(&["-machine", "q35"]);
    let directory = qemu.directory.path().to_owned();
    recipe(&directory, "migrate-to-file", &[qemu.address(), "state"]).assert_status(0);
    assert!(qemu.has_ended());
    assert!(bytes(&directory.join("state")).len() > 10_000);
    let incoming = format!("exec:cat {}", text(&directory.join("state")));
    let again = Qemu::with_args(&["-machine", "q35", "-incoming", &incoming]);
    wait_for("the state", || {
        let status = again.control("query-status").stdout();
        (!status.contains("inmigrate")).then_some(())
    });
    // It was stopped when it was saved.
    let script = ":finish --timeout 170 cont\nquery-status\n";
    let outcome = again.script(&[], script);
    assert_eq!(outcome.assert_status(0).json()[1]["status"], "running");
}

#[test]
fn power_down() {
    // There is no guest that would shut down.
    let mut qemu = Qemu::with_args(&["-machine", "q35"]);
    let directory = qemu.directory.path().to_owned();
    let outcome = recipe(&directory, "power-down", &[qemu.address(), "0.5"]);
    outcome
        .assert_status(0)
        .assert_says("the guest has not shut down within 0.5 s");
    assert!(qemu.has_ended());
}

#[test]
fn nbd_export() {
    let (qemu, image) = with_disk();
    let directory = qemu.directory.path();
    let img = beside_qemu("qemu-img");
    let socket = directory.join("nbd.sock");
    let url = format!("nbd+unix:///disk?socket={}", text(&socket));
    let args = [
        qemu.address(),
        "disk",
        text(&socket),
        text(&img),
        "convert",
        "-O",
        "raw",
        &url,
        "read.img",
    ];
    if !Told::by(&qemu).has_argument("block-export-add", "type") {
        return;
    }
    recipe(directory, "nbd-export", &args).assert_status(0);
    assert_eq!(bytes(&directory.join("read.img")), bytes(&image));
    assert_eq!(qemu.control("query-block-exports").stdout(), "[]\n");
}

#[test]
fn internal_snapshot() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    if !Told::by(&qemu).has("snapshot-save") {
        return;
    }
    let directory = qemu.directory.path();
    let image = directory.join("disk.qcow2");
    let mut create = Command::new(beside_qemu("qemu-img"));
    create.args(["create", "-q", "-f", "qcow2", text(&image), "4M"]);
    run(create, b"").assert_status(0);
    qemu.control(
        "blockdev-add driver=qcow2 node-name=disk file.driver=file file.filename=disk.qcow2",
    );
    write(&qemu, "disk", "-P 0x61 0 64k");
    let snapshot = |verb| {
        let args = [qemu.address(), verb, "disk", "first"];
        recipe(directory, "internal-snapshot", &args).assert_status(0);
    };
    snapshot("save");
    write(&qemu, "disk", "-P 0x62 0 64k");
    snapshot("load");
    let read = "human-monitor-command command-line='qemu-io disk \"read -P 0x61 0 64k\"'";
    let said = qemu.control(read).stdout();
    assert!(!said.contains("failed"), "{said}");
}

#[test]
fn fleet() {
    let vms = [Qemu::named("one"), Qemu::named("two")];
    let directory = scratch();
    let gone = directory.path().join("gone.sock");
    let args = [
        "query-name",
        vms[0].address(),
        text(&gone),
        vms[1].address(),
    ];
    let outcome = recipe(directory.path(), "fleet", &args);
    outcome.assert_status(123);
    let mut lines = outcome.lines();
    lines.sort_by_key(|line| line.contains("two"));
    assert_eq!(lines.len(), 2, "{outcome}");
    assert!(
        lines[0].ends_with(r#" {"name":"one"}"#) || lines[0].ends_with(r#" {"name": "one"}"#),
        "{outcome}"
    );
}

#[test]
fn ci_job() {
    let directory = scratch();
    let program = qemu();
    let machine = [
        "-machine",
        "q35,graphics=off",
        "-display",
        "none",
        "-net",
        "none",
    ];
    let args = [&[program.as_str()], &machine[..]].concat();
    let outcome = recipe(directory.path(), "ci-job", &args);
    outcome.assert_status(0);
    assert!(outcome.stdout().contains("RESUME"), "{outcome}");
}

#[test]
fn stable_screen() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", "VGA"]);
    let directory = qemu.directory.path();
    let file = directory.join("the screen.ppm");
    let args = [qemu.address(), text(&file), "1"];
    recipe(directory, "stable-screen", &args).assert_status(0);
    assert!(bytes(&file).starts_with(b"P6\n"));
}

#[test]
fn pin_vcpus() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-smp", "2", "-accel", "tcg,thread=multi"]);
    let directory = qemu.directory.path();
    let outcome = recipe(directory, "pin-vcpus", &[qemu.address(), "0", "0"]);
    outcome.assert_status(0);
    let threads = qemu.qmpsh(&["-j", ".[][\"thread-id\"]", "query-cpus-fast"]);
    for thread in threads.lines() {
        let status = fs::read_to_string(format!("/proc/{thread}/status")).expect("it runs");
        assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    }
    let outcome = recipe(directory, "pin-vcpus", &[qemu.address(), "0"]);
    outcome
        .assert_status(1)
        .assert_says("the guest has more CPUs");
}

#[test]
fn compare() {
    let (one, other) = (Qemu::named("one"), Qemu::named("other"));
    let directory = scratch();
    let vms = [one.address(), other.address()];
    let args = [&vms[..], &["query-status", "query-chardev-backends"]].concat();
    let outcome = recipe(directory.path(), "compare", &args);
    outcome.assert_status(0).assert_stdout("");
    let args = [&vms[..], &["query-status", "query-name"]].concat();
    let outcome = recipe(directory.path(), "compare", &args);
    outcome.assert_status(1);
    let lines = outcome.lines();
    assert_eq!(lines.len(), 1, "{outcome}");
    assert!(lines[0].contains(r#"["one","other"]"#), "{outcome}");
}
