//! Maps arguments to the questions whose answers complete their values.

use super::question::Question;
use crate::lang::{self, Value};

/// Makes the question, from the arguments so far and the typed part of the value.
type Ask = fn(&lang::Object, &str) -> Question;

/// The command, the argument, and the question to ask. `*` matches any text. The first match counts.
const SOURCES: &[(&str, &str, Ask)] = &[
    ("device_add", "driver", |_, _| Question::DeviceTypes),
    ("device_add", "bus", |given, _| {
        Question::Buses(text(given, "driver"))
    }),
    ("device_add", "netdev", |_, _| Question::Netdevs),
    ("device_add", "drive", |_, _| Question::NodesAndDrives),
    ("device_add", "memdev", |_, _| Question::Objects),
    ("netdev_del", "id", |_, _| Question::Netdevs),
    ("set_link", "name", |_, _| Question::NetdevsAndDevices),
    ("announce-self", "interfaces", |_, _| Question::Devices),
    ("query-rx-filter", "name", |_, _| Question::Devices),
    ("device-list-properties", "typename", |_, _| {
        Question::DeviceTypes
    }),
    ("device_del", "id", |_, _| Question::Devices),
    ("device-sync-config", "id", |_, _| Question::Devices),
    ("screendump", "device", |_, _| Question::Devices),
    ("qom-list-properties", "typename", |_, _| Question::QomTypes),
    ("qom-list-types", "implements", |_, _| Question::QomTypes),
    ("qom-*", "path", |_, typed| {
        Question::QomPath(typed.to_owned())
    }),
    ("x-query-virtio*", "path", |_, typed| {
        Question::QomPath(typed.to_owned())
    }),
    ("qom-*", "property", |given, _| {
        Question::QomProperties(text(given, "path"))
    }),
    ("qom-set", "value", |given, _| Question::QomProperty {
        path: text(given, "path"),
        name: text(given, "property"),
    }),
    ("object-del", "id", |_, _| Question::Objects),
    ("set-numa-node", "memdev", |_, _| Question::Objects),
    ("job-*", "id", |_, _| Question::Jobs),
    ("block-job-dismiss", "id", |_, _| Question::Jobs),
    ("block-job-finalize", "id", |_, _| Question::Jobs),
    ("block-job-change", "id", |_, _| Question::Jobs),
    ("block-job-*", "device", |_, _| Question::BlockJobs),
    ("chardev-add", "id", |_, _| Question::Nothing),
    ("chardev-*", "id", |_, _| Question::Chardevs),
    ("ringbuf-*", "device", |_, _| Question::Chardevs),
    ("block-export-add", "id", |_, _| Question::Nothing),
    ("block-export-del", "id", |_, _| Question::Exports),
    ("nbd-server-remove", "name", |_, _| Question::Exports),
    ("block-dirty-bitmap-add", "name", |_, _| Question::Nothing),
    ("block-dirty-bitmap-merge", "bitmaps", |_, _| {
        Question::Bitmaps(None)
    }),
    ("block-dirty-bitmap-merge", "target", |given, _| {
        bitmaps(given)
    }),
    ("block-dirty-bitmap*", "name", |given, _| bitmaps(given)),
    ("*", "bitmap", |_, _| Question::Bitmaps(None)),
    ("*", "fdset-id", |_, _| Question::Fdsets),
    ("*", "cpu-index", |_, _| Question::Cpus),
    ("*", "vcpu", |_, _| Question::Cpus),
    ("trace-event-*", "name", |_, _| Question::TraceEvents),
    ("query-cpu-model-*", "name", |_, _| Question::CpuModels),
    ("query-command-line-options", "option", |_, _| {
        Question::CommandLineOptions
    }),
    // The data of events.
    ("BLOCK_EXPORT_*", "id", |_, _| Question::Exports),
    ("BLOCK_JOB_*", "device", |_, _| Question::BlockJobs),
    ("JOB_*", "id", |_, _| Question::Jobs),
    ("BLOCK_*", "device", |_, _| Question::Drives),
    ("DEVICE_TRAY_MOVED", "device", |_, _| Question::Drives),
    ("DEVICE_*", "device", |_, _| Question::Devices),
    ("MEM_*", "device", |_, _| Question::Devices),
    ("NIC_*", "name", |_, _| Question::Devices),
    ("NETDEV_*", "netdev-id", |_, _| Question::Netdevs),
    ("VSERPORT_CHANGE", "id", |_, _| Question::Devices),
    ("DEVICE_*", "path", |_, typed| {
        Question::QomPath(typed.to_owned())
    }),
    ("NIC_*", "path", |_, typed| {
        Question::QomPath(typed.to_owned())
    }),
    // The name of a node yet to be created.
    ("blockdev-add", "node-name", |_, _| Question::Nothing),
    ("blockdev-create", "node-name", |_, _| Question::Nothing),
    ("*", "node-name", |_, _| Question::Nodes),
    ("*", "node", |_, _| Question::NodesAndDrives),
    ("*", "*-node", |_, _| Question::Nodes),
    ("*", "image-node-name", |_, _| Question::Nodes),
    ("blockdev-snapshot", "overlay", |_, _| Question::Nodes),
    ("drive-*", "target", |_, typed| {
        Question::Files(typed.to_owned())
    }),
    ("blockdev-add", "target", |_, _| Question::Nothing),
    ("*", "target", |_, _| Question::Nodes),
    ("block-stream", "bottom", |_, _| Question::Nodes),
    ("x-blockdev-change", "parent", |_, _| Question::Nodes),
    ("*", "replaces", |_, _| Question::Nodes),
    ("snapshot-*", "vmstate", |_, _| Question::Nodes),
    ("snapshot-*", "devices", |_, _| Question::Nodes),
    ("eject", "id", |_, _| Question::BlockDevices),
    ("blockdev-*", "id", |_, _| Question::BlockDevices),
    ("block*", "id", |_, _| Question::BlockDevices),
    ("block*", "device", |_, _| Question::NodesAndDrives),
    ("drive-*", "device", |_, _| Question::NodesAndDrives),
    ("eject", "device", |_, _| Question::Drives),
    ("change-backing-file", "device", |_, _| {
        Question::NodesAndDrives
    }),
    ("nbd-server-add", "device", |_, _| Question::NodesAndDrives),
    ("*", "iothread", |_, _| Question::Iothreads),
    ("*", "chardev", |_, _| Question::Chardevs),
    ("*", "tls-creds", |_, _| Question::Objects),
    ("*", "tls-authz", |_, _| Question::Objects),
    ("*", "throttle-group", |_, _| Question::Objects),
    ("*", "pr-manager", |_, _| Question::Objects),
    ("*", "*-secret", |_, _| Question::Objects),
    ("*", "passwordid", |_, _| Question::Objects),
    ("*", "keyid", |_, _| Question::Objects),
    ("*", "filename", |_, typed| {
        Question::Files(typed.to_owned())
    }),
    ("*", "*-file", |_, typed| Question::Files(typed.to_owned())),
    ("*", "mem-path", |_, typed| {
        Question::Files(typed.to_owned())
    }),
    ("*", "logfile", |_, typed| Question::Files(typed.to_owned())),
    ("*", "path", |_, typed| Question::Files(typed.to_owned())),
    ("*", "dir", |_, typed| Question::Files(typed.to_owned())),
    ("*", "script", |_, typed| Question::Files(typed.to_owned())),
    ("*", "downscript", |_, typed| {
        Question::Files(typed.to_owned())
    }),
    ("*", "mountpoint", |_, typed| {
        Question::Files(typed.to_owned())
    }),
    ("chardev-*", "in", |_, typed| {
        Question::Files(typed.to_owned())
    }),
    ("chardev-*", "out", |_, typed| {
        Question::Files(typed.to_owned())
    }),
];

/// The question whose answers complete the value at `path` in the arguments of `command`, if there is one.
pub fn question_of(
    command: &str,
    path: &[String],
    given: &lang::Object,
    typed: &str,
) -> Option<Question> {
    // An item of an array has the array's name.
    let key = path
        .iter()
        .rfind(|segment| segment.parse::<usize>().is_err())?;
    let (_, _, ask) = SOURCES
        .iter()
        .find(|(of, name, _)| fits(of, command) && fits(name, key))?;
    match ask(given, typed) {
        Question::Nothing => None,
        question => Some(question),
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
        None => pattern == name,
    }
}

fn text(given: &lang::Object, key: &str) -> String {
    let text = given.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn bitmaps(given: &lang::Object) -> Question {
    let node = text(given, "node");
    Question::Bitmaps((!node.is_empty()).then_some(node))
}
