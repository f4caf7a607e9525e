//! `:tree` on real VMs; `tests/screens` has what it looks like.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::qemu::{beside_qemu, storage_daemon};
use crate::common::{Qemu, qmpsh, run, scratch, text, wait_for};

/// How many generators of random numbers a large VM has, eight on each port.
const GENERATORS: usize = 176;

/// How long the chains of a large VM are.
const LINKS: usize = 20;

/// Options for a VM with two hundred devices and two chains of block nodes.
fn large(directory: &Path) -> Vec<String> {
    let mut options = String::from("-machine q35 -m 64");
    let multi = |function: usize| {
        if function == 0 {
            ",multifunction=on"
        } else {
            ""
        }
    };
    for number in 0..GENERATORS / 8 {
        let (slot, function) = (2 + number / 8, number % 8);
        let _ = write!(
            options,
            " -device pcie-root-port,id=port{number},chassis={0},port={0},addr={slot:x}.{function},io-reserve=0{1}",
            number + 1,
            multi(function)
        );
    }
    for number in 0..GENERATORS {
        let function = number % 8;
        let _ = write!(
            options,
            " -device virtio-rng-pci,id=rng{number},bus=port{},addr=0.{function}{}",
            number / 8,
            multi(function)
        );
    }
    let mut options: Vec<String> = options.split(' ').map(str::to_owned).collect();
    for chain in ["a", "b"] {
        for link in 0..LINKS {
            let backing = link.checked_sub(1).map(|below| format!("{chain}{below}"));
            let image = image(directory, &format!("{chain}{link}"), backing.as_deref());
            let backing = backing.map_or("null".to_owned(), |below| format!("\"{below}\""));
            let read_only = link + 1 < LINKS;
            let node = format!(
                r#"{{"driver":"qcow2","node-name":"{chain}{link}","read-only":{read_only},"backing":{backing},
                     "file":{{"driver":"file","filename":"{}","node-name":"{chain}{link}-file"}}}}"#,
                text(&image)
            );
            options.extend(["-blockdev".to_owned(), node]);
        }
        let top = format!("virtio-blk-pci,drive={chain}{},id=disk-{chain}", LINKS - 1);
        options.extend(["-device".to_owned(), top]);
    }
    options
}

/// Makes an image, with another one in the same directory as its backing file.
fn image(directory: &Path, name: &str, backing: Option<&str>) -> PathBuf {
    let path = directory.join(format!("{name}.qcow2"));
    let mut command = Command::new(beside_qemu("qemu-img"));
    command
        .args(["create", "-q", "-f", "qcow2"])
        .current_dir(directory);
    if let Some(backing) = backing {
        command.args(["-b", &format!("{backing}.qcow2"), "-F", "qcow2"]);
    }
    command.arg(&path).arg("1M");
    run(command, b"").assert_status(0);
    path
}

#[test]
fn the_trees_of_a_large_vm_fit_a_terminal_and_leave_nothing_out() {
    let directory = scratch();
    let options = large(directory.path());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let qemu = Qemu::with_args(&options);
    let mut terminal = qemu.prompt();
    terminal.resize(4000, 80);
    // Buses have no numbers, and devices on them are not told, before the firmware has numbered them.
    wait_for("the firmware", || {
        let pci = qemu.control("query-pci").stdout();
        pci.contains(&format!("\"rng{}\"", GENERATORS - 1))
            .then_some(())
    });
    let mut rows = |line: &str| {
        terminal.clear();
        terminal.enter(line);
        let screen = terminal.screen_with_hints();
        let (_, tree) = screen.rsplit_once(line).expect("the line");
        let rows: Vec<String> = tree.lines().map(str::to_owned).collect();
        assert!(rows.len() < 3990, "{} rows", rows.len());
        rows
    };
    let has = |rows: &[String], name: &str| {
        let named = |row: &&String| row.split_whitespace().any(|word| word == name);
        assert!(
            rows.iter().any(|row| named(&row)),
            "no {name}:\n{}",
            rows.join("\n")
        );
    };

    for tree in [rows(":tree pci"), rows(":tree /machine/peripheral")] {
        for number in 0..GENERATORS {
            has(&tree, &format!("rng{number}"));
        }
        has(&tree, "disk-b");
    }
    let block = rows(":tree block");
    // A row for each link, and one for each disk.
    assert_eq!(
        block.iter().filter(|row| row.contains("qcow2 ")).count(),
        2 * LINKS
    );
    for link in 0..LINKS {
        has(&block, &format!("b{link}"));
        has(&block, &format!("b{link}-file"));
    }
    // However deep the chain is, it is not indented further.
    let deepest = block
        .iter()
        .filter_map(|row| row.find(|c: char| c.is_ascii_alphabetic()));
    assert!(deepest.max() < Some(12), "{}", block.join("\n"));
    terminal.leave();
}

#[test]
fn a_node_with_two_users_is_drawn_once_and_a_node_without_any_as_unused() {
    let directory = scratch();
    let base = image(directory.path(), "base", None);
    let qemu = Qemu::start();
    let node = |name: &str, more: &str| {
        format!("blockdev-add driver=raw node-name={name} read-only=true file={more}")
    };
    qemu.control(&format!(
        "blockdev-add driver=file node-name=shared read-only=true filename={}",
        text(&base)
    ));
    qemu.control(&node("one", "shared"));
    qemu.control(&node("two", "shared"));
    let tree = qemu.qmpsh(&[":tree", "block"]);
    tree.assert_status(0);
    let tree = tree.stdout();
    assert_eq!(tree.matches("unused\n").count(), 2, "{tree}");
    assert_eq!(tree.matches("on shared").count(), 1, "{tree}");
    assert!(tree.contains("└─ shared  see above"), "{tree}");
}

#[test]
fn disks_are_drawn_in_the_order_of_their_numbers() {
    let mut options = vec!["-machine", "q35", "-device", "virtio-scsi-pci", "-S"];
    let disks: Vec<String> = [1, 2, 10].map(|number| format!("disk{number}")).into();
    let nodes: Vec<String> = disks
        .iter()
        .map(|disk| format!("null-co,node-name={disk}-node,size=1048576"))
        .collect();
    let devices: Vec<String> = disks
        .iter()
        .map(|disk| format!("scsi-hd,drive={disk}-node,id={disk}"))
        .collect();
    for (node, device) in nodes.iter().zip(&devices).rev() {
        options.extend(["-blockdev", node, "-device", device]);
    }
    let qemu = Qemu::with_args(&options);
    let outcome = qemu.qmpsh(&["-o", "table", "-e", ":tree block"]);
    let tree = outcome.assert_status(0).stdout();
    let drawn: Vec<&str> = tree
        .lines()
        .filter(|line| line.starts_with("disk"))
        .collect();
    assert_eq!(drawn, disks, "{tree}");
}

#[test]
fn a_storage_daemon_has_a_tree_of_block_nodes() {
    let directory = scratch();
    let socket = directory.path().join("daemon.sock");
    let _daemon = storage_daemon(&socket);
    let at = ["-c", text(&socket)];
    let add = "blockdev-add driver=null-co node-name=nothing size=1M";
    qmpsh(&[&at[..], &["-e", add]].concat(), "").assert_status(0);
    let outcome = qmpsh(&[&at[..], &[":tree", "block"]].concat(), "");
    outcome.assert_status(0);
    assert!(
        outcome.stdout().contains("└─ nothing  null-co  rw  1 MiB"),
        "{}",
        outcome.stdout()
    );
}

#[test]
fn a_tree_asks_only_what_changes_nothing() {
    let qemu = Qemu::q35();
    let log = qemu.log();
    for tree in ["", "block", "pci"] {
        qemu.qmpsh(&["--log", log.path(), ":tree", tree][..if tree.is_empty() { 3 } else { 4 }])
            .assert_status(0);
    }
    let sent = log.commands();
    let harmless = [
        "qmp_capabilities",
        "qom-list",
        "query-block",
        "query-block-exports",
        "query-named-block-nodes",
        "query-pci",
        "x-debug-query-block-graph",
    ];
    assert!(
        sent.iter().all(|name| harmless.contains(&&**name)),
        "{sent:?}"
    );
}

#[test]
fn a_path_that_does_not_exist_and_a_word_that_is_no_path_are_errors() {
    let qemu = Qemu::start();
    qemu.qmpsh(&[":tree", "/nowhere"])
        .assert_fails(1, "nowhere");
    qemu.qmpsh(&[":tree", "blocks"])
        .assert_fails(2, "neither `block` nor `pci` nor a QOM path");
    let mut terminal = qemu.prompt();
    terminal.keys(":tree /mach\t");
    terminal.wait_for_text(":tree /machine");
}
