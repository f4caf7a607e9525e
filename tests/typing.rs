//! What bare words become on their way to a real QEMU.

use serde_json::{Value, json};

use crate::common::fake::{Fake, success};
use crate::common::log::Log;
use crate::common::told::Told;
use crate::common::{Outcome, Qemu, scratch};

/// The messages that one run sends for `script`, without those that the program sends of itself.
fn sent(qemu: &Qemu, script: &str) -> (Vec<Value>, Outcome) {
    let directory = scratch();
    let log = Log::at(directory.path().join("log"));
    let outcome = qemu.script(&["-k", "-l", log.path()], script);
    let messages = log.wanted().into_iter().map(|mut message| {
        message
            .as_object_mut()
            .expect("it has members")
            .remove("id");
        message
    });
    (messages.collect(), outcome)
}

/// Asserts that every line of the table is sent with the arguments next to it.
#[track_caller]
fn assert_sent<L: AsRef<str>>(qemu: &Qemu, table: &[(L, Value)]) {
    let lines: Vec<&str> = table.iter().map(|(line, _)| line.as_ref()).collect();
    let (messages, outcome) = sent(qemu, &lines.join("\n"));
    assert_eq!(messages.len(), table.len(), "{outcome}");
    for ((line, arguments), message) in table.iter().zip(&messages) {
        assert_eq!(&message["arguments"], arguments, "{}", line.as_ref());
    }
}

/// Asserts that `line`, with each of the words in place of `WORD`, is sent with that value and
/// no other argument than `key`.
#[track_caller]
fn assert_words(qemu: &Qemu, line: &str, key: &str, words: &[(&str, Value)]) {
    let table: Vec<(String, Value)> = words
        .iter()
        .map(|(word, value)| (line.replace("WORD", word), json!({key: value})))
        .collect();
    assert_sent(qemu, &table);
}

#[test]
fn a_string_is_the_word_as_it_was_typed() {
    let words = [
        "123", "007", "+1", "-1", "1_000", "0x10", "1G", "1.5", "true", "FALSE", "on", "no",
        "null", "None", "", "a=b", "é", "x'y z'",
    ];
    let words = words.map(|word| (word, json!(word)));
    assert_words(&Qemu::start(), "device_del id=WORD", "id", &words);
}

#[test]
fn an_enum_is_the_word_as_it_was_typed() {
    assert_sent(
        &Qemu::start(),
        &[
            (
                "watchdog-set-action action=shutdown",
                json!({"action": "shutdown"}),
            ),
            ("watchdog-set-action action=1", json!({"action": "1"})),
            (
                "blockdev-mirror sync=on on-source-error=true",
                json!({"sync": "on", "on-source-error": "true"}),
            ),
        ],
    );
}

#[test]
fn an_integer_is_decimal_hexadecimal_or_a_size() {
    let words = [
        ("10", json!(10)),
        ("-1", json!(-1)),
        ("+5", json!(5)),
        ("007", json!(7)),
        ("0x10", json!(16)),
        ("0XfF", json!(255)),
        ("1k", json!(1_u64 << 10)),
        ("1K", json!(1_u64 << 10)),
        ("1.5M", json!(3_u64 << 19)),
        ("2G", json!(2_u64 << 30)),
        ("1T", json!(1_u64 << 40)),
        ("1P", json!(1_u64 << 50)),
        ("1E", json!(1_u64 << 60)),
        ("0xffffffffffffffff", json!(u64::MAX)),
    ];
    assert_words(&Qemu::start(), "block_resize size=WORD", "size", &words);
}

#[test]
fn a_bool_has_six_spellings_in_any_case() {
    let yes = ["true", "on", "yes", "True", "ON"].map(|word| (word, json!(true)));
    let no = ["false", "off", "no", "FALSE", "No"].map(|word| (word, json!(false)));
    let words = [yes, no].concat();
    assert_words(&Qemu::start(), "set_link up=WORD", "up", &words);
}

#[test]
fn an_alternate_goes_by_the_shape_of_what_is_typed() {
    assert_sent(
        &Qemu::start(),
        &[
            (
                "x-blockdev-set-iothread node-name=n iothread=null",
                json!({"node-name": "n", "iothread": null}),
            ),
            (
                "x-blockdev-set-iothread node-name=n iothread='null'",
                json!({"node-name": "n", "iothread": "null"}),
            ),
            (
                "x-blockdev-set-iothread node-name=n iothread=7 force=on",
                json!({"node-name": "n", "iothread": "7", "force": true}),
            ),
            (
                "blockdev-add driver=qcow2 file=5 backing=null",
                json!({"driver": "qcow2", "file": "5", "backing": null}),
            ),
            (
                "blockdev-add driver=qcow2 file.driver=null-co file.size=1k backing=nobody",
                json!({"driver": "qcow2", "file": {"driver": "null-co", "size": 1024}, "backing": "nobody"}),
            ),
            (
                "blockdev-add driver=qcow2 file=n overlap-check=all",
                json!({"driver": "qcow2", "file": "n", "overlap-check": "all"}),
            ),
            (
                "blockdev-add driver=qcow2 file=n overlap-check.template=all overlap-check.main-header=off",
                json!({"driver": "qcow2", "file": "n", "overlap-check": {"template": "all", "main-header": false}}),
            ),
        ],
    );
}

#[test]
fn a_union_goes_by_its_tag_wherever_that_stands() {
    assert_sent(
        &Qemu::start(),
        &[
            (
                "blockdev-add size=1k node-name=5 driver=null-co",
                json!({"size": 1024, "node-name": "5", "driver": "null-co"}),
            ),
            (
                "blockdev-add size=1k driver='null-co'",
                json!({"size": 1024, "driver": "null-co"}),
            ),
            (
                "blockdev-add file.size=1k file.driver=null-co read-only=on driver=raw",
                json!({"file": {"size": 1024, "driver": "null-co"}, "read-only": true, "driver": "raw"}),
            ),
            (
                "chardev-add backend.data.server=on backend.data.wait=off backend.data.addr.data.port=0 \
                 backend.data.addr.data.host=127.0.0.1 id=1 backend.data.addr.type=inet backend.type=socket",
                json!({"backend": {"data": {"server": true, "wait": false, "addr": {
                    "data": {"port": "0", "host": "127.0.0.1"}, "type": "inet"}}, "type": "socket"}, "id": "1"}),
            ),
            // Without a valid tag, only what all variants have is known.
            (
                "blockdev-add node-name=5 size=1k read-only=on",
                json!({"node-name": "5", "size": "1k", "read-only": true}),
            ),
            (
                "blockdev-add node-name=5 size=1k size2=on latency-ns=5 driver=nosuch",
                json!({"node-name": "5", "size": "1k", "size2": "on", "latency-ns": 5, "driver": "nosuch"}),
            ),
        ],
    );
}

#[test]
fn items_of_arrays_are_typed_wherever_they_stand() {
    assert_sent(
        &Qemu::start(),
        &[
            (
                "migrate-set-capabilities capabilities.1.state=no capabilities.1.capability=xbzrle \
                 capabilities.0.capability=events capabilities.0.state=yes",
                json!({"capabilities": [{"capability": "events", "state": true},
                                        {"state": false, "capability": "xbzrle"}]}),
            ),
            (
                "announce-self initial=50 max=0x100 rounds=1 step=1 interfaces.0=1",
                json!({"initial": 50, "max": 256, "rounds": 1, "step": 1, "interfaces": ["1"]}),
            ),
            (
                "block-latency-histogram-set id=m boundaries.1=0x7f boundaries.0=1k",
                json!({"id": "m", "boundaries": [1024, 127]}),
            ),
        ],
    );
}

#[test]
fn actions_of_a_transaction_are_typed_as_what_they_are() {
    let qemu = Qemu::start();
    let actions = json!([
        {"type": "block-dirty-bitmap-add", "data": {"node": "1", "name": "2", "granularity": 65536, "persistent": false}},
        {"type": "block-dirty-bitmap-merge",
         "data": {"node": "1", "target": "3", "bitmaps": ["4", {"node": "5", "name": "6"}]}},
        {"type": "abort", "data": {}},
    ]);
    let lines = [
        "transaction(",
        "block-dirty-bitmap-add node=1 name=2 granularity=64k persistent=no",
        "block-dirty-bitmap-merge node=1 target=3 bitmaps.0=4 bitmaps.1.node=5 bitmaps.1.name=6",
        "abort",
        ")",
    ];
    let (messages, outcome) = sent(&qemu, &lines.join("\n"));
    assert_eq!(messages.len(), 1, "{outcome}");
    assert_eq!(messages[0]["arguments"], json!({"actions": actions}));
    assert_sent(
        &qemu,
        &[
            (
                "transaction( block-dirty-bitmap-add node=1 name=2 granularity=64k )",
                json!({"actions": [{"type": "block-dirty-bitmap-add",
                                    "data": {"node": "1", "name": "2", "granularity": 65536}}]}),
            ),
            (
                "transaction actions.0.data.granularity=4k actions.0.data.node=1 actions.0.data.name=2 \
                 actions.0.type=block-dirty-bitmap-add",
                json!({"actions": [{"data": {"granularity": 4096, "node": "1", "name": "2"},
                                    "type": "block-dirty-bitmap-add"}]}),
            ),
        ],
    );
}

#[test]
fn bare_words_inside_the_relaxed_form_of_json_are_typed() {
    assert_sent(
        &Qemu::start(),
        &[
            (
                "blockdev-add driver=raw file={'driver': null-co, 'size': 1.5k, 'read-zeroes': on, 'node-name': n5}",
                json!({"driver": "raw", "file":
                    {"driver": "null-co", "size": 1536, "read-zeroes": true, "node-name": "n5"}}),
            ),
            (
                "migrate-set-capabilities capabilities=[{'capability': events, 'state': yes}, {'state': off}]",
                json!({"capabilities": [{"capability": "events", "state": true}, {"state": false}]}),
            ),
            (
                "transaction actions=[{'type': block-dirty-bitmap-add, 'data': {'granularity': 64k}}]",
                json!({"actions": [{"type": "block-dirty-bitmap-add", "data": {"granularity": 65536}}]}),
            ),
            // What is JSON already stays what it is.
            (
                r#"blockdev-add driver=raw file={"driver": "null-co", "size": "1k", "node-name": 5, "read-only": "on"}"#,
                json!({"driver": "raw", "file":
                    {"driver": "null-co", "size": "1k", "node-name": 5, "read-only": "on"}}),
            ),
        ],
    );
}

#[test]
fn properties_of_a_device_are_typed_as_the_device_lists_them() {
    let device = |driver: &str, rest: Value| {
        let mut arguments = json!({"driver": driver});
        let members = rest.as_object().expect("members").clone();
        arguments
            .as_object_mut()
            .expect("an object")
            .extend(members);
        arguments
    };
    assert_sent(
        &Qemu::start(),
        &[
            (
                "device_add driver=virtio-net-pci id=123 csum=off vectors=0x4 host_mtu=1500 \
                 mac=52:54:00:12:34:56 disable-legacy=on netdev=7 x-pcie-lnksta-dllla=yes",
                device(
                    "virtio-net-pci",
                    json!({"id": "123", "csum": false, "vectors": 4, "host_mtu": 1500,
                    "mac": "52:54:00:12:34:56", "disable-legacy": "on", "netdev": "7", "x-pcie-lnksta-dllla": true}),
                ),
            ),
            // Wherever the driver stands.
            (
                "device_add packed=off disable-legacy=auto driver=virtio-rng-pci",
                json!({"packed": false, "disable-legacy": "auto", "driver": "virtio-rng-pci"}),
            ),
            (
                "device_add driver='scsi-hd' serial=123 logical_block_size=4k bootindex=1 drive=5 removable=no",
                device(
                    "scsi-hd",
                    json!({"serial": "123", "logical_block_size": 4096, "bootindex": 1, "drive": "5",
                    "removable": false}),
                ),
            ),
            // An enum whose values look like numbers, and a link.
            (
                "device_add driver=floppy drive-type=144",
                device("floppy", json!({"drive-type": "144"})),
            ),
            (
                "device_add driver=virtio-blk-pci iothread=0 rerror=on",
                device("virtio-blk-pci", json!({"iothread": "0", "rerror": "on"})),
            ),
            // An alias.
            (
                "device_add driver=virtio-blk num-queues=0x2 serial=7 share-rw=off",
                device(
                    "virtio-blk",
                    json!({"num-queues": 2, "serial": "7", "share-rw": false}),
                ),
            ),
            // What is not listed goes by its looks.
            (
                "device_add driver=virtio-rng-pci nosuch=on number=5",
                device("virtio-rng-pci", json!({"nosuch": "on", "number": 5})),
            ),
            (
                "device_add driver=nosuch csum=off x=5 id=5",
                device("nosuch", json!({"csum": "off", "x": 5, "id": "5"})),
            ),
            (
                "device_add id=5 csum=off",
                json!({"id": "5", "csum": "off"}),
            ),
            // What does not fit, and what is quoted.
            (
                "device_add driver=virtio-net-pci csum=1 vectors=many mq='on' host_mtu:=\"5\"",
                device(
                    "virtio-net-pci",
                    json!({"csum": 1, "vectors": "many", "mq": "on", "host_mtu": "5"}),
                ),
            ),
        ],
    );
}

#[test]
fn a_pci_address_is_a_slot_as_on_qemus_command_line() {
    // i440FX's bus takes a device at any slot while the machine runs.
    let qemu = Qemu::with_args(&["-machine", "pc"]);
    for (word, devfn) in [
        ("5", 5 << 3),
        ("06.1", (6 << 3) + 1),
        ("0x10", 0x10 << 3),
        ("11", 0x11 << 3),
    ] {
        let id = format!("d{devfn}");
        let plug = format!("device_add driver=virtio-rng-pci id={id} addr={word}");
        let ask = format!("qom-get path={id} property=addr");
        let outcome = qemu.qmpsh(&["-e", &plug, "-e", &ask]);
        assert_eq!(
            outcome.assert_status(0).json()[1],
            devfn,
            "addr={word}\n{outcome}"
        );
    }
    let table = [(
        "device_add driver=virtio-rng-pci addr=5 bus=nowhere",
        json!({"driver": "virtio-rng-pci", "addr": "5", "bus": "nowhere"}),
    )];
    assert_sent(&qemu, &table);
}

#[test]
fn an_object_is_typed_by_its_kind() {
    let qemu = Qemu::start();
    if Told::by(&qemu).has_argument("object-add", "props") {
        // Its schema has no properties of objects. They are typed as the object lists them.
        let table = [
            (
                "object-add qom-type=memory-backend-file id=1 props.size=1G props.share=on props.mem-path=7",
                json!({"qom-type": "memory-backend-file", "id": "1",
                       "props": {"size": 1 << 30, "share": true, "mem-path": "7"}}),
            ),
            (
                "object-add qom-type=memory-backend-file id=1 size=1G",
                json!({"qom-type": "memory-backend-file", "id": "1", "size": 1 << 30}),
            ),
        ];
        assert_sent(&qemu, &table);
        return;
    }
    assert_sent(
        &qemu,
        &[
            (
                "object-add qom-type=memory-backend-file id=1 size=1G share=on mem-path=7 prealloc=no",
                json!({"qom-type": "memory-backend-file", "id": "1", "size": 1 << 30, "share": true,
                       "mem-path": "7", "prealloc": false}),
            ),
            (
                "object-add limits.iops-total=1k x-bps-total=1M id=t qom-type=throttle-group",
                json!({"limits": {"iops-total": 1024}, "x-bps-total": 1_048_576, "id": "t",
                       "qom-type": "throttle-group"}),
            ),
            (
                "object-add qom-type=iothread id=i poll-max-ns=0x10",
                json!({"qom-type": "iothread", "id": "i", "poll-max-ns": 16}),
            ),
        ],
    );
}

#[test]
fn an_object_of_an_old_qemu_is_typed_as_its_kind_lists_its_properties() {
    let fake = Fake::answering(|command| {
        let value = match command["execute"].as_str() {
            // As QEMU 5.2 has it.
            Some("query-qmp-schema") => json!([
                {"meta-type": "command", "name": "object-add", "arg-type": "1", "ret-type": "0"},
                {"meta-type": "object", "name": "0", "members": []},
                {"meta-type": "object", "name": "1", "members": [{"name": "qom-type", "type": "str"},
                    {"name": "id", "type": "str"}, {"name": "props", "default": null, "type": "any"}]},
                {"meta-type": "builtin", "name": "str", "json-type": "string"},
                {"meta-type": "builtin", "name": "any", "json-type": "value"}]),
            Some("qom-list-properties") => {
                assert_eq!(
                    command["arguments"],
                    json!({"typename": "memory-backend-ram"})
                );
                json!([{"name": "size", "type": "int"}, {"name": "share", "type": "bool"},
                       {"name": "policy", "type": "HostMemPolicy"}])
            }
            _ => command["arguments"].clone(),
        };
        success(command, value)
    });
    let line = "object-add qom-type=memory-backend-ram id=5 props.size=1G props.share=on props.policy=1 props.x=on";
    let props = json!({"size": 1 << 30, "share": true, "policy": "1", "x": "on"});
    let sent = json!({"qom-type": "memory-backend-ram", "id": "5", "props": props});
    let outcome = fake.qmpsh(&["-e", ":set probe on", "-e", line]);
    assert_eq!(outcome.assert_status(0).json(), [sent]);
    let line = "object-add qom-type=memory-backend-ram id=5 size=1G share=on policy=1 x=on";
    let sent = json!({"qom-type": "memory-backend-ram", "id": "5", "size": 1 << 30, "share": true,
                      "policy": "1", "x": "on"});
    let outcome = fake.qmpsh(&["-e", ":set probe on", "-e", line]);
    assert_eq!(outcome.assert_status(0).json(), [sent]);
}

#[test]
fn the_value_of_a_qom_property_is_typed_as_the_object_lists_it() {
    let path = |property: &str, value: Value| json!({"path": "/machine", "property": property, "value": value});
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    assert_sent(
        &qemu,
        &[
            (
                "qom-set path=/machine property=graphics value=off",
                path("graphics", json!(false)),
            ),
            (
                "qom-set value=1G path=/machine property=max-ram-below-4g",
                json!({"value": 1 << 30, "path": "/machine", "property": "max-ram-below-4g"}),
            ),
            (
                "qom-set path=/machine property=smm value=off",
                path("smm", json!("off")),
            ),
            (
                "qom-set path=/machine property=kernel value=123",
                path("kernel", json!("123")),
            ),
            (
                "qom-set path=/machine property=graphics value=1",
                path("graphics", json!(1)),
            ),
            (
                "qom-set path=/machine property=graphics value='on'",
                path("graphics", json!("on")),
            ),
            // Nothing tells the type.
            (
                "qom-set path=/machine property=nosuch value=1G",
                path("nosuch", json!("1G")),
            ),
            (
                "qom-set path=/machine property=nosuch value=5",
                path("nosuch", json!(5)),
            ),
            (
                "qom-set path=/nowhere property=p value=TRUE",
                json!({"path": "/nowhere", "property": "p", "value": true}),
            ),
        ],
    );
    let reads = qemu.qmpsh(&["qom-get", "path=/machine", "property=kernel"]);
    reads.assert_status(0).assert_stdout("\"123\"\n");
}

#[test]
fn words_without_a_known_or_fitting_type_go_by_their_looks() {
    let node = |size: Value| json!({"node-name": "n", "size": size});
    assert_sent(
        &Qemu::start(),
        &[
            (
                "nosuch-command a=1 b=on c=TRUE d=1k e=007",
                json!({"a": 1, "b": "on", "c": true, "d": "1k", "e": 7}),
            ),
            (
                "device_del id=5 nosuch=5 other=on deep.er=1k deep.est=True",
                json!({"id": "5", "nosuch": 5, "other": "on", "deep": {"er": "1k", "est": true}}),
            ),
            ("block_resize node-name=n size=big", node(json!("big"))),
            ("block_resize node-name=n size=1.5", node(json!("1.5"))),
            ("block_resize node-name=n size=true", node(json!(true))),
            ("block_resize node-name=n size=", node(json!(""))),
            ("set_link name=n up=1", json!({"name": "n", "up": 1})),
            // Deeper than the type, or not deep enough.
            ("device_del id.a=5", json!({"id": {"a": 5}})),
            ("device_del id.0=5", json!({"id": [5]})),
            (
                "migrate-set-capabilities capabilities=5",
                json!({"capabilities": 5}),
            ),
            (
                "blockdev-add driver.x=1 size=1k",
                json!({"driver": {"x": 1}, "size": "1k"}),
            ),
        ],
    );
}

#[test]
fn quoted_words_and_json_are_sent_as_they_are() {
    let node = |size: Value| json!({"node-name": "n", "size": size});
    assert_sent(
        &Qemu::start(),
        &[
            ("block_resize node-name='n' size='10'", node(json!("10"))),
            (r#"block_resize node-name=n size="1k""#, node(json!("1k"))),
            ("block_resize node-name:='n' size:=0x10", node(json!(16))),
            ("block_resize node-name=n size:='10'", node(json!("10"))),
            ("device_del id:=123", json!({"id": 123})),
            ("device_del id:=true", json!({"id": true})),
            (
                "device_del id:={'a': [1, null]}",
                json!({"id": {"a": [1, null]}}),
            ),
            (
                r#"{"execute": "device_del", "arguments": {"id": 123}}"#,
                json!({"id": 123}),
            ),
            (
                "{'execute': 'block_resize', 'arguments': {'node-name': 5, 'size': '1k'}}",
                json!({"node-name": 5, "size": "1k"}),
            ),
        ],
    );
}

#[test]
fn a_command_out_of_band_is_typed_like_any_other() {
    let qemu = Qemu::start();
    let (messages, outcome) = sent(&qemu, ":oob migrate-recover uri=5");
    let recover = json!({"exec-oob": "migrate-recover", "arguments": {"uri": "5"}});
    assert_eq!(messages, [recover], "{outcome}");

    let line = ":oob yank instances.0.type=block-node instances.0.node-name=5";
    let (messages, outcome) = sent(&qemu, line);
    let yank = |node: Value| {
        let instance = json!({"type": "block-node", "node-name": node});
        json!({"exec-oob": "yank", "arguments": {"instances": [instance]}})
    };
    if Told::by(&qemu).has("yank") {
        assert_eq!(messages, [yank(json!("5"))], "{outcome}");
    } else {
        // Its type is unknown, so the word is a number. The error is QEMU's.
        assert_eq!(messages, [yank(json!(5))], "{outcome}");
        outcome.assert_fails(1, "The command yank has not been found");
    }
}

#[test]
fn a_device_type_whose_module_is_missing_is_not_asked_about() {
    let qemu = Qemu::q35();
    let types = qemu.qmpsh(&["-o", "json", "qom-list-types", "implements=virtio-device"]);
    if types.stdout().contains("virtio-gpu-gl-device") {
        return;
    }
    // To ask for its properties, or to add it, would end QEMU.
    let outcome = qemu.qmpsh(&["-v", "help", "device_add", "driver=virtio-vga-gl"]);
    let asked = r#"{"execute":"device-list-properties""#;
    assert!(!outcome.stderr().contains(asked));
    qemu.qmpsh(&["query-status"]).assert_status(0);
}
