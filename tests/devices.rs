//! A machine with devices, blocks and events: what a person pokes a VM for.

use serde_json::json;

use crate::common::Qemu;

/// The block nodes' names.
fn nodes(qemu: &Qemu) -> Vec<String> {
    let outcome = qemu.qmpsh(&["query-named-block-nodes"]);
    let nodes = outcome.assert_status(0).json().remove(0);
    let nodes = nodes.as_array().expect("a list of nodes").iter();
    nodes
        .map(|node| node["node-name"].as_str().expect("a name").to_owned())
        .collect()
}

/// The names of the bitmaps on the only block node.
fn bitmaps(qemu: &Qemu) -> Vec<String> {
    let outcome = qemu.qmpsh(&["query-named-block-nodes"]);
    let bitmaps = outcome.assert_status(0).json()[0][0]["dirty-bitmaps"].clone();
    let names = bitmaps.as_array().into_iter().flatten();
    let mut names: Vec<String> = names
        .map(|bitmap| bitmap["name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

fn q35_with_a_node() -> Qemu {
    let qemu = Qemu::q35();
    let line = "blockdev-add driver=null-co node-name=disk size=1048576";
    qemu.qmpsh(&["-e", line]).assert_status(0);
    qemu
}

#[test]
fn a_machine_answers_questions_about_itself() {
    let qemu = Qemu::q35();
    let lines = ["query-status", "query-block", "qom-list path=/"];
    let outcome = qemu.script(&[], lines.join("\n"));
    let replies = outcome.assert_status(0).json();
    assert_eq!(replies[0]["status"], "running", "{outcome}");
    assert!(replies[1].is_array(), "{outcome}");
    let has_machine = |item: &serde_json::Value| item["name"] == "machine";
    let items = replies[2].as_array().expect("a list of properties");
    assert!(items.iter().any(has_machine), "{outcome}");
}

#[test]
fn a_device_is_plugged_and_unplugged() {
    let qemu = Qemu::q35();
    let plug = [
        "device_add",
        "driver=virtio-rng-pci",
        "id=rng0",
        "bus=port0",
    ];
    qemu.qmpsh(&plug).assert_status(0).assert_stdout("{}\n");
    let list = qemu.qmpsh(&["qom-list", "path=/machine/peripheral"]);
    assert!(list.stdout().contains("rng0"), "{list}");
    let unplug = qemu.qmpsh(&["device_del", "id=rng0"]);
    unplug.assert_status(0).assert_stdout("{}\n");
    let absent = qemu.qmpsh(&["device_del", "id=nobody"]);
    absent.assert_fails(1, "Device 'nobody' not found");
}

#[test]
fn dotted_keys_and_json_describe_the_same_block_nodes() {
    let qemu = Qemu::q35();
    let script = r#"
        blockdev-add driver=raw node-name=top file.driver=null-co file.node-name=below file.size=1048576
        blockdev-add driver=raw node-name=upper file={"driver": "null-co", "node-name": "lower", "size": 1048576}
        blockdev-add driver=raw node-name=high file:={"driver": "null-co", "node-name": "low", "size": 1048576}
        blockdev-add driver=quorum node-name=all vote-threshold=1 children.1=low children.0=below
    "#;
    qemu.script(&[], script).assert_status(0);
    let nodes = nodes(&qemu);
    for name in ["top", "below", "upper", "lower", "high", "low", "all"] {
        assert!(nodes.iter().any(|node| node == name), "{name}: {nodes:?}");
    }
}

#[test]
fn a_transaction_of_several_lines_is_sent_as_one() {
    let qemu = q35_with_a_node();
    let script = "transaction(\n\
                  # both or none\n\
                  block-dirty-bitmap-add node=disk name=one\n\n\
                  block-dirty-bitmap-add node=disk name=two granularity=65536\n\
                  )\n";
    let outcome = qemu.script(&[], script);
    outcome.assert_status(0).assert_stdout("{}\n");
    assert_eq!(bitmaps(&qemu), ["one", "two"]);
}

#[test]
fn a_transaction_fits_on_one_line() {
    let qemu = q35_with_a_node();
    let line = "transaction( block-dirty-bitmap-add node=disk name=one )";
    qemu.qmpsh(&["-e", line]).assert_status(0);
    assert_eq!(bitmaps(&qemu), ["one"]);
}

#[test]
fn a_transaction_fails_as_a_whole() {
    let qemu = q35_with_a_node();
    let script = "transaction(\n\
                  block-dirty-bitmap-add node=disk name=one\n\
                  block-dirty-bitmap-add node=disk name=one\n\
                  )\n";
    let outcome = qemu.script(&[], script);
    outcome.assert_fails(1, "Bitmap already exists: one");
    assert!(bitmaps(&qemu).is_empty());
}

#[test]
fn a_transaction_with_a_wrong_line_is_not_sent() {
    let qemu = q35_with_a_node();
    let script = "transaction(\n\
                  block-dirty-bitmap-add node=disk name=one\n\
                  block-dirty-bitmap-add node=disk name=two name=two\n\
                  )\n\
                  query-status\n";
    let stopped = qemu.script(&[], script);
    stopped
        .assert_fails(2, "`name` is set twice")
        .assert_stdout("");
    let went_on = qemu.script(&["-k"], script);
    went_on.assert_fails(2, "its action 2 is invalid");
    assert_eq!(went_on.json()[0]["running"], true, "{went_on}");
    assert!(bitmaps(&qemu).is_empty());
}

#[test]
fn a_transaction_with_an_unreadable_line_is_not_sent() {
    let qemu = q35_with_a_node();
    for wrong in [&b"a b=[1}"[..], b"a b=\xff"] {
        let script = [
            b"transaction(\nblock-dirty-bitmap-add node=disk name=one\n",
            wrong,
            b"\n)\n",
        ];
        let outcome = qemu.script(&["-k"], script.concat());
        outcome.assert_fails(2, "its action 2 is invalid");
        assert!(bitmaps(&qemu).is_empty());
    }
}

#[test]
fn an_unclosed_transaction_is_an_error() {
    let qemu = q35_with_a_node();
    let script = "transaction(\nblock-dirty-bitmap-add node=disk name=one\n";
    let outcome = qemu.script(&[], script);
    outcome
        .assert_fails(2, "the transaction is not closed")
        .assert_stdout("");
    assert!(bitmaps(&qemu).is_empty());
}

#[test]
fn events_and_replies_are_printed_in_the_order_they_came() {
    let qemu = Qemu::q35();
    let outcome = qemu.script(&["--events", "stdout"], "stop\ncont\n");
    let lines = outcome.assert_status(0).json();
    let what = |line: &serde_json::Value| line.get("event").cloned().unwrap_or(json!("reply"));
    let order: Vec<_> = lines.iter().map(what).collect();
    assert_eq!(order, ["STOP", "reply", "RESUME", "reply"], "{outcome}");
}
