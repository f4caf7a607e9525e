//! Groups commands by subject. The schema has no groups, so this goes by the commands' names.

use std::collections::BTreeMap;

/// The groups in the order in which they are listed, with prefixes of their commands' names after
/// removing `x-` and `query-`. The first match counts; the last group takes the rest.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Running",
        &[
            "cont",
            "exit-preconfig",
            "inject-nmi",
            "quit",
            "replay",
            "rtc-",
            "set-action",
            "status",
            "stop",
            "system_",
            "vm-gen",
            "watchdog",
            "acpi",
            "current-machine",
        ],
    ),
    ("Jobs", &["block-job", "job"]),
    (
        "Block devices",
        &[
            "block",
            "change-backing",
            "debug-block",
            "debug-query-block",
            "drive-",
            "eject",
            "named-block",
            "nbd-",
            "pr-managers",
            "transaction",
        ],
    ),
    (
        "Migration and snapshots",
        &[
            "calc-dirty",
            "cancel-vcpu-dirty",
            "client_migrate",
            "colo",
            "dirty-rate",
            "migrat",
            "set-vcpu-dirty",
            "snapshot-",
            "vcpu-dirty",
            "xen-",
            "yank",
        ],
    ),
    (
        "Devices and QOM",
        &[
            "cryptodev",
            "cxl",
            "device",
            "object-",
            "pci",
            "qom-",
            "roms",
            "tpm",
            "usb",
            "virtio",
            "audiodevs",
        ],
    ),
    (
        "Processors and memory",
        &[
            "balloon",
            "cpu",
            "hotpluggable",
            "hv-balloon",
            "iothreads",
            "irq",
            "interrupt",
            "jit",
            "kvm",
            "mem",
            "numa",
            "pmemsave",
            "opcount",
            "profile",
            "ramblock",
            "set-numa",
            "sev",
            "sgx",
        ],
    ),
    (
        "Network",
        &[
            "announce",
            "netdev",
            "rdma",
            "request-ebpf",
            "rocker",
            "rx-filter",
            "set_link",
        ],
    ),
    (
        "Display and input",
        &[
            "add_client",
            "change-vnc",
            "display",
            "expire_password",
            "input-",
            "mice",
            "screendump",
            "send-key",
            "set_password",
            "spice",
            "vnc",
        ],
    ),
    ("Character devices", &["chardev", "ringbuf"]),
    (
        "File descriptors",
        &["add-fd", "closefd", "fdsets", "getfd", "remove-fd"],
    ),
    ("Dumps, traces and statistics", &["dump", "stats", "trace"]),
    (
        "QEMU and its monitor",
        &[
            "command-line",
            "commands",
            "human-monitor",
            "machines",
            "name",
            "qmp",
            "target",
            "uuid",
            "version",
        ],
    ),
    ("Others", &[""]),
];

/// Sorts the commands into groups. Each is in exactly one; empty groups are left out.
pub(super) fn by_group<'a>(
    commands: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (&'static str, Vec<&'a str>)> {
    let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for command in commands {
        groups.entry(group(command)).or_default().push(command);
    }
    groups
        .into_iter()
        .map(|(group, commands)| (GROUPS[group].0, commands))
}

fn group(command: &str) -> usize {
    let topic = command.strip_prefix("x-").unwrap_or(command);
    let topic = topic.strip_prefix("query-").unwrap_or(topic);
    GROUPS
        .iter()
        .position(|(_, beginnings)| beginnings.iter().any(|start| topic.starts_with(start)))
        .expect("the last group takes every name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_group_of_its_subject() {
        let commands = [
            "block-job-cancel",
            "blockdev-add",
            "query-block",
            "x-query-virtio",
            "migrate_cancel",
            "memsave",
            "unheard-of",
        ];
        let groups: Vec<_> = by_group(commands.into_iter()).collect();
        assert_eq!(
            groups,
            [
                ("Jobs", vec!["block-job-cancel"]),
                ("Block devices", vec!["blockdev-add", "query-block"]),
                ("Migration and snapshots", vec!["migrate_cancel"]),
                ("Devices and QOM", vec!["x-query-virtio"]),
                ("Processors and memory", vec!["memsave"]),
                ("Others", vec!["unheard-of"]),
            ]
        );
    }
}
