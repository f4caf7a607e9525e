//! Which events a command leads to. The schema does not say, so this goes by a table and by names.

/// Commands, and the events that report their effect. An entry that ends in `-` or `_` is a prefix.
const EFFECTS: &[(&str, &[&str])] = &[
    ("balloon", &["BALLOON_CHANGE"]),
    ("block-commit", &["BLOCK_JOB_", "JOB_"]),
    ("block-export-", &["BLOCK_EXPORT_"]),
    ("block-job-", &["BLOCK_JOB_", "JOB_"]),
    ("block-set-write-threshold", &["BLOCK_WRITE_THRESHOLD"]),
    ("block-stream", &["BLOCK_JOB_", "JOB_"]),
    ("blockdev-backup", &["BLOCK_JOB_", "JOB_"]),
    ("blockdev-change-medium", &["DEVICE_TRAY_MOVED"]),
    ("blockdev-close-tray", &["DEVICE_TRAY_MOVED"]),
    ("blockdev-create", &["JOB_"]),
    ("blockdev-mirror", &["BLOCK_JOB_", "JOB_"]),
    ("blockdev-open-tray", &["DEVICE_TRAY_MOVED"]),
    ("cont", &["RESUME"]),
    (
        "device_del",
        &["DEVICE_DELETED", "DEVICE_UNPLUG_", "MEM_UNPLUG_", "UNPLUG_"],
    ),
    ("drive-backup", &["BLOCK_JOB_", "JOB_"]),
    ("drive-mirror", &["BLOCK_JOB_", "JOB_"]),
    ("dump-guest-memory", &["DUMP_COMPLETED"]),
    ("eject", &["DEVICE_TRAY_MOVED"]),
    ("job-", &["JOB_"]),
    ("migrate", &["MIGRATION", "MIGRATION_PASS"]),
    ("netdev_add", &["NETDEV_"]),
    ("quit", &["SHUTDOWN"]),
    ("snapshot-", &["JOB_"]),
    ("stop", &["STOP"]),
    ("system_powerdown", &["POWERDOWN", "SHUTDOWN"]),
    ("system_reset", &["RESET"]),
    ("system_wakeup", &["WAKEUP"]),
    ("watchdog-", &["WATCHDOG"]),
    ("xen-colo-do-checkpoint", &["COLO_EXIT"]),
];

/// Whether the event reports the effect of the command.
pub(super) fn tells_of(event: &str, command: &str) -> bool {
    EFFECTS.iter().any(|(commands, events)| {
        is_meant(command, commands) && events.iter().any(|events| is_meant(event, events))
    })
}

fn is_meant(name: &str, pattern: &str) -> bool {
    name == pattern || pattern.ends_with(['-', '_']) && name.starts_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_the_events_that_report_its_effect() {
        for (command, event) in [
            ("device_del", "DEVICE_DELETED"),
            ("block-commit", "BLOCK_JOB_READY"),
            ("stop", "STOP"),
            ("migrate", "MIGRATION_PASS"),
        ] {
            assert!(tells_of(event, command), "{command}: {event}");
        }
        assert!(!tells_of("STOP", "cont"));
        assert!(!tells_of("BLOCK_JOB_ERROR", "job-cancel"));
        assert!(!tells_of("MIGRATION", "migrate-set-parameters"));
    }
}
