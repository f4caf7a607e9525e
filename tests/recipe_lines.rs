//! The recipes in `tests/recipes` that are lines of qmpsh, each on a real QEMU.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::qemu::beside_qemu;
use crate::common::run::{Outcome, run};
use crate::common::{Qemu, text, wait_for};

const SIZE: usize = 4 << 20;

/// Runs the lines of a recipe, with these variables.
fn recipe(qemu: &Qemu, name: &str, variables: &[(&str, &str)]) -> Outcome {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes");
    let file = recipes.join(format!("{name}.qmp"));
    let given = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let given: Vec<String> = given.collect();
    let mut args = vec!["-f", text(&file)];
    for variable in &given {
        args.extend(["--var", variable]);
    }
    qemu.qmpsh(&args)
}

/// A q35 with room for more of everything.
fn machine() -> Qemu {
    let options = [
        ["-machine", "q35"],
        ["-m", "128M,slots=2,maxmem=512M"],
        ["-smp", "1,maxcpus=2"],
        ["-device", "VGA"],
        ["-device", "ide-cd,id=cd0"],
        ["-device", "pcie-root-port,id=port0"],
    ];
    Qemu::with_args(&options.concat())
}

/// A file in QEMU's directory, full of `x`.
fn image(qemu: &Qemu, name: &str) -> String {
    let path = qemu.directory.path().join(name);
    fs::write(&path, vec![b'x'; SIZE]).expect("a file of ours");
    text(&path).to_owned()
}

/// A qcow2 image in QEMU's directory.
fn qcow2(qemu: &Qemu, name: &str) -> String {
    let path = qemu.directory.path().join(name);
    let mut create = Command::new(beside_qemu("qemu-img"));
    create.args(["create", "-q", "-f", "qcow2", text(&path), "4M"]);
    run(create, b"").assert_status(0);
    text(&path).to_owned()
}

/// Writes to a node, as the guest might.
fn write(qemu: &Qemu, node: &str) {
    let line = format!("human-monitor-command command-line='qemu-io {node} \"write 0 64k\"'");
    qemu.control(&line);
}

#[test]
fn wait_until_running() {
    let qemu = Qemu::with_args(&["-machine", "none", "-S"]);
    let running = std::thread::scope(|scope| {
        let waits = scope.spawn(|| recipe(&qemu, "wait-until-running", &[]));
        assert!(qemu.control("query-status").stdout().contains("prelaunch"));
        qemu.control("cont");
        waits.join().expect("it does not panic")
    });
    running.assert_status(0).assert_stdout("true\n");
}

#[test]
fn screenshot() {
    let qemu = machine();
    let file = qemu.directory.path().join("the screen.png");
    recipe(&qemu, "screenshot", &[("file", text(&file))]).assert_status(0);
    let picture = fs::read(&file).expect("it is there");
    assert!(picture.starts_with(b"\x89PNG"));
}

#[test]
fn keys() {
    let qemu = machine();
    let log = qemu.log();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes/keys.qmp");
    let args = ["--log", log.path(), "--var", "text=l $", "-f", text(&file)];
    qemu.qmpsh(&args).assert_status(0);
    let keys = |message: &serde_json::Value| message["arguments"]["keys"].to_string();
    let pressed: Vec<String> = log.sent().iter().map(keys).collect();
    let pressed = pressed.concat();
    for name in ["f1", "l", "spc", "4", "ret"] {
        assert!(
            pressed.contains(&format!("\"{name}\"")),
            "{name}: {pressed}"
        );
    }
}

#[test]
fn crash_dump() {
    let qemu = machine();
    let file = qemu.directory.path().join("core");
    recipe(&qemu, "crash-dump", &[("file", text(&file))]).assert_status(0);
    let dump = fs::read(&file).expect("it is there");
    assert!(dump.starts_with(b"\x7fELF") && dump.len() > 128 << 20);
}

#[test]
fn a_disc_is_changed_and_ejected() {
    let qemu = machine();
    let file = image(&qemu, "a disc.iso");
    let disc = || qemu.control("query-block").stdout();
    recipe(&qemu, "change-cd", &[("id", "cd0"), ("file", &file)]).assert_status(0);
    assert!(disc().contains("a disc.iso"), "{}", disc());
    recipe(&qemu, "eject-cd", &[("id", "cd0")]).assert_status(0);
    assert!(!disc().contains("a disc.iso"), "{}", disc());
}

#[test]
fn throttle() {
    let qemu = machine();
    let file = image(&qemu, "a disc.iso");
    recipe(&qemu, "change-cd", &[("id", "cd0"), ("file", &file)]).assert_status(0);
    let limit = || qemu.qmpsh(&["-j", ".[0].inserted.iops", "query-block"]);
    for iops in ["500", "0"] {
        recipe(&qemu, "throttle", &[("id", "cd0"), ("iops", iops)]).assert_status(0);
        limit().assert_stdout(&format!("{iops}\n"));
    }
}

#[test]
fn resize() {
    let qemu = machine();
    let file = image(&qemu, "disk.img");
    qemu.control("blockdev-add driver=file node-name=disk filename=disk.img");
    recipe(&qemu, "resize", &[("node", "disk"), ("size", "8M")]).assert_status(0);
    let length = fs::metadata(&file).expect("it is there").len();
    assert_eq!(length, 8 << 20);
}

#[test]
fn mirror_and_pivot() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", "qemu-xhci"]);
    let (old, new) = (image(&qemu, "disk.img"), image(&qemu, "new disk.img"));
    fs::write(&new, vec![0; SIZE]).expect("a file of ours");
    qemu.control("blockdev-add driver=raw node-name=disk file.driver=file file.filename=disk.img");
    qemu.control("device_add driver=usb-storage id=stick drive=disk");
    recipe(
        &qemu,
        "mirror-and-pivot",
        &[("node", "disk"), ("file", &new)],
    )
    .assert_status(0);
    let bytes = |file: &str| fs::read(file).expect("it is there");
    assert!(bytes(&new) == bytes(&old));
    let used = qemu.control("query-block").stdout();
    assert!(
        used.contains("new disk.img") && !used.contains("/disk.img"),
        "{used}"
    );
}

#[test]
fn plug_disk() {
    let qemu = machine();
    let file = qcow2(&qemu, "a disk.qcow2");
    let variables = [("id", "disk1"), ("file", file.as_str()), ("bus", "port0")];
    recipe(&qemu, "plug-disk", &variables).assert_status(0);
    let block = qemu.control("query-block").stdout();
    assert!(
        block.contains("a disk.qcow2") && block.contains("disk1"),
        "{block}"
    );
}

#[test]
fn plug_memory() {
    let qemu = machine();
    let outcome = recipe(&qemu, "plug-memory", &[("id", "dimm0"), ("size", "128M")]);
    let json = outcome.assert_status(0).json();
    assert_eq!(json[2]["plugged-memory"], 128 << 20);
}

#[test]
fn plug_cpu() {
    let qemu = machine();
    recipe(&qemu, "plug-cpu", &[("id", "cpu1")]).assert_status(0);
    let cpus = qemu.qmpsh(&["-j", "length", "query-cpus-fast"]);
    cpus.assert_stdout("2\n");
}

#[test]
fn inject_fault() {
    let qemu = machine();
    let file = image(&qemu, "a disk.img");
    let variables = [("node", "bad"), ("file", file.as_str())];
    recipe(&qemu, "inject-fault", &variables).assert_status(0);
    write(&qemu, "bad");
    let first = fs::read(&file).expect("it is there");
    assert!(first[..64 << 10].iter().all(|byte| *byte == b'x'));
    write(&qemu, "bad");
    let second = fs::read(&file).expect("it is there");
    assert!(second[..64 << 10].iter().all(|byte| *byte == 0xcd));
}

#[test]
fn ask_hmp() {
    let qemu = machine();
    let said = recipe(&qemu, "ask-hmp", &[]).assert_status(0).stdout();
    for what in ["EIP=", "FlatView", "irq"] {
        assert!(said.contains(what), "{what} in {said}");
    }
}

#[test]
fn migrate_live() {
    let from = Qemu::q35();
    let socket = from.directory.path().join("in.sock");
    let uri = format!("unix:{}", text(&socket));
    let device = "pcie-root-port,id=port0";
    let to = Qemu::with_args(&["-machine", "q35", "-device", device, "-incoming", &uri]);
    let outcome = recipe(&from, "migrate-live", &[("uri", &uri)]);
    let json = outcome.assert_status(0).json();
    assert_eq!(json.last().expect("a reply")["status"], "completed");
    wait_for("the VM", || {
        let status = to.control("query-status").stdout();
        status.contains(r#""running": true"#).then_some(())
    });
}

#[test]
fn restore_from_file() {
    let saved = Qemu::q35();
    let state = saved.directory.path().join("state");
    saved.control("stop");
    let uri = format!("exec:cat >{}", text(&state));
    saved.control(&format!(":finish migrate uri='{uri}'"));
    let device = "pcie-root-port,id=port0";
    let again = Qemu::with_args(&["-machine", "q35", "-device", device, "-incoming", "defer"]);
    recipe(&again, "restore-from-file", &[("file", text(&state))]).assert_status(0);
    let status = again.control("query-status").stdout();
    assert!(status.contains(r#""running": true"#), "{status}");
}
