//! The commands that change nothing.
//!
//! Two things rely on this one list: where `:wait` starts looking (a query between a command and the wait for its
//! event must not lose the event), and what a read-only client may send.

/// Whether the command of this name changes nothing: neither the guest, nor QEMU, nor which events come. A command that
/// is not known counts as one that changes something.
pub fn is_read_only(command: &str) -> bool {
    READ_ONLY.binary_search(&command).is_ok()
}

/// In alphabetical order. These are left out although they sound as if they changed nothing:
///
/// | command | what it changes |
/// | --- | --- |
/// | `query-rx-filter` | `NIC_RX_FILTER_CHANGED` is sent again only after it |
/// | `x-query-virtio-queue-status` | a vhost-user device stops the queue when it is asked for its state |
/// | `x-query-profile` | resets the profiler's counters |
/// | `ringbuf-read` | takes what it reads out of the buffer |
/// | `query-accelerators`, `qom-list-types` | load modules |
/// | `device-list-properties`, `qom-list-properties` | the same, and make an object of the type, which some types do not survive |
const READ_ONLY: [&str; 97] = [
    "qom-get",
    "qom-list",
    "qom-list-get",
    "query-acpi-ospm-status",
    "query-audiodevs",
    "query-balloon",
    "query-block",
    "query-block-exports",
    "query-block-jobs",
    "query-blockstats",
    "query-chardev",
    "query-chardev-backends",
    "query-colo-status",
    "query-command-line-options",
    "query-commands",
    "query-cpu-definitions",
    "query-cpu-model-baseline",
    "query-cpu-model-comparison",
    "query-cpu-model-expansion",
    "query-cpus",
    "query-cpus-fast",
    "query-cryptodev",
    "query-current-machine",
    "query-dirty-rate",
    "query-display-options",
    "query-dump",
    "query-dump-guest-memory-capability",
    "query-events",
    "query-fdsets",
    "query-firmware-log",
    "query-gic-capabilities",
    "query-hotpluggable-cpus",
    "query-hv-balloon-status-report",
    "query-iothreads",
    "query-jobs",
    "query-kvm",
    "query-machines",
    "query-memdev",
    "query-memory-devices",
    "query-memory-size-summary",
    "query-mice",
    "query-migrate",
    "query-migrate-cache-size",
    "query-migrate-capabilities",
    "query-migrate-parameters",
    "query-migrationthreads",
    "query-name",
    "query-named-block-nodes",
    "query-pci",
    "query-pr-managers",
    "query-qmp-schema",
    "query-replay",
    "query-rocker",
    "query-rocker-of-dpa-flows",
    "query-rocker-of-dpa-groups",
    "query-rocker-ports",
    "query-s390x-cpu-polarization",
    "query-sev",
    "query-sev-attestation-report",
    "query-sev-capabilities",
    "query-sev-launch-measure",
    "query-sgx",
    "query-sgx-capabilities",
    "query-spice",
    "query-stats",
    "query-stats-schemas",
    "query-status",
    "query-target",
    "query-tpm",
    "query-tpm-models",
    "query-tpm-types",
    "query-uuid",
    "query-vcpu-dirty-limit",
    "query-version",
    "query-vm-generation-id",
    "query-vnc",
    "query-vnc-servers",
    "query-xen-replication-status",
    "query-yank",
    "trace-event-get-state",
    "x-accel-stats",
    "x-debug-block-dirty-bitmap-sha256",
    "x-debug-query-block-graph",
    "x-query-interrupt-controllers",
    "x-query-irq",
    "x-query-jit",
    "x-query-numa",
    "x-query-opcount",
    "x-query-ramblock",
    "x-query-rdma",
    "x-query-roms",
    "x-query-usb",
    "x-query-virtio",
    "x-query-virtio-queue-element",
    "x-query-virtio-status",
    "x-query-virtio-vhost-queue-status",
    "xen-event-list",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_names_each_command_once() {
        assert!(READ_ONLY.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn what_changes_something_is_not_read_only() {
        for command in [
            "query-rx-filter",
            "ringbuf-read",
            "cont",
            "getfd",
            "query-",
            "",
        ] {
            assert!(!is_read_only(command), "{command}");
        }
        assert!(is_read_only("query-status"));
    }
}
