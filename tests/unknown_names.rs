//! What is said of names that the VM does not have, and of lines in another language.

use crate::common::told::Told;
use crate::common::{Qemu, qmpsh};

/// A q35 with a port, a node, an object and a chardev.
fn q35() -> Qemu {
    Qemu::with_args(&[
        "-machine",
        "q35",
        "-device",
        "pcie-root-port,id=port0",
        "-blockdev",
        "driver=null-co,node-name=disk0",
        "-object",
        "iothread,id=thread0",
        "-chardev",
        "null,id=console0",
    ])
}

#[test]
fn a_name_that_the_vm_does_not_have_gets_the_nearest_one() {
    let qemu = q35();
    for (line, help) in [
        ("device_del id=prt0", "did you mean `port0`?"),
        ("device_del id=xyzzy", "`id` cannot be `xyzzy`, only "),
        ("blockdev-del node-name=dsk0", "did you mean `disk0`?"),
        (
            "blockdev-add driver=raw node-name=x file=dsk0",
            "`file` cannot be `dsk0`; did you mean `disk0`?",
        ),
        ("object-del id=thred0", "did you mean `thread0`?"),
        ("chardev-remove id=consol0", "did you mean `console0`?"),
        (
            "device_add driver=virtio-rng-pci bus=prt0",
            "`bus` cannot be `prt0`; did you mean `port0`?",
        ),
        (
            "qom-get path=/machine/peripherl/port0 property=type",
            "`path` cannot be `/machine/peripherl`; did you mean `/machine/peripheral`",
        ),
    ] {
        qemu.qmpsh(&["-e", line]).assert_fails(1, help);
    }
}

#[test]
fn a_device_without_a_drive_gets_those_that_have_one() {
    let qemu = Qemu::with_args(&[
        "-machine",
        "q35",
        "-device",
        "ide-cd,id=cd0",
        "-blockdev",
        "driver=null-co,node-name=node0",
        "-device",
        "virtio-blk-pci,id=disk0,drive=node0",
    ]);
    // What has the drive is not the device that was plugged in, but one inside it.
    let path = "/machine/peripheral/disk0/virtio-backend";
    let limit = |id: &str| {
        let limits = "iops=9 iops_rd=0 iops_wr=0 bps=0 bps_rd=0 bps_wr=0";
        qemu.qmpsh(&["-e", &format!("block_set_io_throttle id={id} {limits}")])
    };
    limit("disk0").assert_fails(
        1,
        &format!("`id` cannot be `disk0`, only `{path}` or `cd0`"),
    );
    limit(path).assert_status(0);
    let line = format!("qmpsh {} block_set_io_throttle id=", qemu.address());
    let completed = qmpsh(&["--complete", "line", &line], "").stdout();
    let words: Vec<&str> = completed
        .lines()
        .map(|line| line.split('\t').next().unwrap_or_default())
        .collect();
    assert_eq!(words, [format!("-id={path}").as_str(), "-id=cd0"]);
}

#[test]
fn a_job_that_does_not_exist_gets_the_nearest_one() {
    let qemu = q35();
    qemu.control("blockdev-add driver=null-co node-name=target0 size=1G");
    let create = "blockdev-add driver=null-co node-name=big size=1G";
    qemu.control(create);
    let mirror = "blockdev-mirror job-id=mirror0 device=big target=target0 sync=full speed=1";
    qemu.control(mirror).assert_status(0);
    let outcome = qemu.qmpsh(&["job-cancel", "id=miror0"]);
    outcome.assert_fails(1, "did you mean `mirror0`?");
    let outcome = qemu.qmpsh(&["block-job-cancel", "device=miror0"]);
    outcome.assert_fails(1, "did you mean `mirror0`?");
}

#[test]
fn a_bus_without_hotplug_gets_those_with_it() {
    let qemu = q35();
    qemu.qmpsh(&["device_add", "driver=virtio-rng-pci"])
        .assert_fails(1, "help: `bus=port0` takes devices while the VM runs");
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    qemu.qmpsh(&["device_add", "driver=virtio-rng-pci"])
        .assert_fails(1, "`pcie-root-port`");
}

#[test]
fn the_beginning_of_a_name_counts_as_near() {
    let qemu = Qemu::start();
    let near = match Told::by(&qemu).has("query-stats") {
        true => "`query-stats`, `query-stats-schemas` or `query-status`?",
        false => "did you mean `query-status`?",
    };
    qemu.qmpsh(&["query-sta"]).assert_fails(1, near);
    let outcome = qemu.qmpsh(&["-e", ":wait DEVICE_DELE --timeout 1"]);
    outcome.assert_fails(2, "did you mean `DEVICE_DELETED`?");
}

#[test]
fn a_line_of_the_human_monitor_is_answered_with_the_one_that_works() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    for (line, help) in [
        (
            "info block -v",
            "the human monitor runs that: `:hmp info block -v`",
        ),
        (
            "hmp info block",
            "`hmp` is a built-in; write `:hmp info block`",
        ),
        ("savevm", "the human monitor runs that: `:hmp savevm`"),
        (
            "sendkey ret",
            "the human monitor runs that: `:hmp sendkey ret`",
        ),
    ] {
        terminal.assert_answer(line, &format!("help: {help}"));
        terminal.clear();
    }
    qemu.qmpsh(&["-e", "info block"])
        .assert_fails(2, "`:hmp info block`");
}

#[test]
fn a_line_in_one_word_is_answered_with_the_option_that_runs_it() {
    let qemu = Qemu::start();
    qemu.qmpsh(&["query-status | .status"]).assert_fails(
        1,
        "help: this is one word; run it as a line: -e 'query-status | .status'",
    );
}

#[test]
fn a_line_of_a_shell_is_answered_with_what_to_do_instead() {
    let qemu = Qemu::start();
    for (line, status, help) in [
        ("!ls", 1, "help: qmpsh runs no commands of this machine"),
        ("?", 1, "help: `help` lists the commands"),
        ("stop; cont", 2, "help: write each command on a line"),
        ("stop && cont", 2, "help: write each command on a line"),
    ] {
        qemu.qmpsh(&["-e", line]).assert_fails(status, help);
    }
}
