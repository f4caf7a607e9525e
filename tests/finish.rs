//! `:finish`: a command, and the end of what it set in motion.

use std::fs;
use std::process::{Command, Stdio};

use crate::common::qemu::beside_qemu;
use crate::common::told::Told;
use crate::common::{Qemu, text};

/// A QEMU with these options, and in its directory a full image of 4 MiB: the node `full`.
fn qemu(args: &[&str]) -> Qemu {
    let qemu = Qemu::with_args(args);
    let full = qemu.directory.path().join("full.img");
    fs::write(full, vec![b'x'; 4 << 20]).expect("a file of ours");
    qemu.control("blockdev-add driver=raw node-name=full file.driver=file file.filename=full.img");
    qemu
}

/// The command that makes the empty node `name`, of the same size.
fn add(qemu: &Qemu, name: &str) {
    let image = qemu.directory.path().join(format!("{name}.img"));
    fs::write(&image, vec![0; 4 << 20]).expect("a file of ours");
    let path = text(&image);
    qemu.control(&format!(
        "blockdev-add driver=raw node-name={name} file.driver=file file.filename={path}"
    ));
}

/// Whether the image of this node has what `full` has.
fn is_full(qemu: &Qemu, name: &str) -> bool {
    let image = qemu.directory.path().join(format!("{name}.img"));
    fs::read(image).expect("a file of ours") == vec![b'x'; 4 << 20]
}

#[test]
fn a_backup_is_finished_when_it_is_done() {
    let qemu = qemu(&["-machine", "none"]);
    add(&qemu, "copy");
    let backup = "blockdev-backup job-id=b device=full target=copy sync=full speed=4M";
    let outcome = qemu.script(&[], format!(":finish {backup}\nquery-jobs\n"));
    outcome.assert_status(0).assert_stdout("{}\n[]\n");
    assert_eq!(outcome.stderr(), "");
    assert!(is_full(&qemu, "copy"));
}

#[test]
fn all_jobs_of_a_transaction_are_waited_for_and_each_failure_is_told() {
    let qemu = qemu(&["-machine", "none"]);
    for name in ["one", "two"] {
        add(&qemu, name);
    }
    let transaction = ":finish transaction(\n\
        blockdev-backup job-id=a device=full target=one sync=full speed=4M\n\
        blockdev-backup job-id=b device=full target=two sync=full speed=8M\n)\nquery-jobs\n";
    let outcome = qemu.script(&[], transaction);
    outcome.assert_status(0).assert_stdout("{}\n[]\n");
    assert!(is_full(&qemu, "one") && is_full(&qemu, "two"));
    let failing =
        "blockdev-create job-id=c options={'driver':'file','filename':'/nowhere/x','size':1}";
    let outcome = qemu.qmpsh(&["-e", &format!(":finish {failing}"), "-e", "query-jobs"]);
    outcome.assert_fails(1, "job `c` failed: Could not create");
}

#[test]
fn a_job_that_waits_for_a_command_is_finished_and_says_which() {
    let qemu = qemu(&["-machine", "none"]);
    add(&qemu, "copy");
    let mirror = ":finish blockdev-mirror job-id=m device=full target=copy sync=full";
    let script = format!("{mirror}\n:finish job-complete id=m\nquery-jobs\n");
    let outcome = qemu.script(&[], script);
    outcome
        .assert_status(0)
        .assert_stdout("{}\n{}\n[]\n")
        .assert_says("job `m` is ready; `:job complete m` ends it");
    assert!(is_full(&qemu, "copy"));
    let backup =
        ":finish blockdev-backup job-id=b device=full target=copy sync=full auto-finalize=off";
    let outcome = qemu.qmpsh(&["-e", backup, "-e", ":finish job-finalize id=b"]);
    outcome
        .assert_status(0)
        .assert_says("job `b` is pending; `:job finalize b` ends it");
}

#[test]
fn a_wait_that_takes_too_long_says_for_what_and_ends_with_4() {
    let qemu = Qemu::q35();
    let add = "device_add driver=virtio-rng-pci id=rng bus=port0";
    // No guest is there that could release it.
    let outcome = qemu.qmpsh(&[
        "-t",
        "5",
        "-e",
        add,
        "-e",
        ":finish --timeout 0.5 device_del id=rng",
    ]);
    outcome.assert_fails(4, "the guest has not released `rng` within 0.5 s");
    let outcome = qemu.qmpsh(&["-t", "0.5", "-e", ":finish system_powerdown"]);
    outcome.assert_fails(4, "the guest has not shut down within 0.5 s");
}

#[test]
fn a_device_that_goes_at_once_is_gone() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", "qemu-xhci,id=xhci"]);
    let add = "device_add driver=usb-mouse id=mouse bus=xhci.0";
    let outcome = qemu.qmpsh(&["-e", add, "-e", ":finish device_del id=mouse"]);
    outcome.assert_status(0).assert_stdout("{}\n{}\n");
    let outcome = qemu.qmpsh(&[":finish", "device_del", "id=nope"]);
    outcome.assert_fails(1, "DeviceNotFound");
}

#[test]
fn a_migration_is_finished_without_its_events() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let to = qemu.directory.path().join("state");
    let migrate = format!("uri=exec:cat>{}", text(&to));
    let outcome = qemu.qmpsh(&[":finish", "migrate", &migrate]);
    outcome.assert_status(0).assert_stdout("{}\n");
    assert!(fs::metadata(to).expect("the state").len() > 10_000);
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let outcome = qemu.qmpsh(&[":finish", "migrate", "uri=exec:false"]);
    outcome.assert_fails(1, "the migration failed");
}

#[test]
fn a_dump_in_the_background_is_finished() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let to = qemu.directory.path().join("dump");
    let file = format!("protocol=file:{}", text(&to));
    let line = [
        ":finish",
        "dump-guest-memory",
        "paging=off",
        "detach=on",
        &file,
    ];
    qemu.qmpsh(&line).assert_status(0);
    let dump = fs::metadata(to).expect("the dump").len();
    assert!(dump >= 128 << 20, "{dump}");
}

#[test]
fn stopping_and_going_on_and_a_reset_are_finished() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let script = ":finish stop\n:finish stop\nquery-status\n:finish cont\n:finish system_reset\n";
    let outcome = qemu.script(&["-t", "20"], script);
    let printed = outcome.assert_status(0).json();
    assert_eq!(printed[2]["status"], "paused", "{outcome}");
    let events = qemu.qmpsh(&["-e", ":finish system_reset", "-e", ":events RESET"]);
    assert_eq!(events.assert_status(0).json()[1]["event"], "RESET");
}

#[test]
fn quit_is_finished_when_the_process_is_gone() {
    let mut qemu = Qemu::start();
    qemu.qmpsh(&["-t", "20", ":finish", "quit"])
        .assert_status(0);
    assert!(qemu.has_ended());
}

#[test]
fn a_tray_that_is_not_locked_opens() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", "ide-cd,id=cd"]);
    qemu.qmpsh(&["-t", "20", ":finish", "eject", "id=cd"])
        .assert_status(0);
}

#[test]
fn what_has_no_end_is_run_and_wrong_lines_are_refused() {
    let qemu = Qemu::start();
    qemu.qmpsh(&[":finish", "query-name"])
        .assert_status(0)
        .assert_says("`query-name` was run; it sets nothing in motion that has an end");
    for (line, says) in [
        (":finish", "usage: :finish"),
        (":finish --timeout 5", "usage: :finish"),
        (":finish --timeout x stop", "is not a duration"),
        (":finish :wait STOP", "`:finish` runs a command"),
        (":finish stop &", "`:finish` runs a command"),
    ] {
        qemu.qmpsh(&["-e", line]).assert_fails(2, says);
    }
    qemu.qmpsh(&[":finish", "job-complete", "id=j"])
        .assert_fails(1, "not found");
}

#[test]
fn an_internal_snapshot_is_finished() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    if !Told::by(&qemu).has("snapshot-save") {
        return;
    }
    let image = qemu.directory.path().join("disk.qcow2");
    let made = Command::new(beside_qemu("qemu-img"))
        .args(["create", "-q", "-f", "qcow2", text(&image), "16M"])
        .stdout(Stdio::null())
        .status();
    assert!(made.expect("qemu-utils are installed").success());
    let add = format!(
        "blockdev-add driver=qcow2 node-name=disk file.driver=file file.filename={}",
        text(&image)
    );
    let save = ":finish snapshot-save job-id=s tag=first vmstate=disk devices=['disk']";
    let outcome = qemu.qmpsh(&["-e", &add, "-e", save, "-e", "query-jobs"]);
    let printed = outcome.assert_status(0).json();
    assert_eq!(printed[2][0]["status"], "concluded", "{outcome}");
    assert_eq!(printed[2][0]["error"], serde_json::Value::Null, "{outcome}");
}
