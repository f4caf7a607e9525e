//! An example of each built-in, for its page and the manual.

/// Names of built-ins, and a line with each.
const EXAMPLES: &[(&str, &str)] = &[
    ("after", ":after 30s system_powerdown"),
    ("alias", ":alias st = query-status | .status"),
    ("assert", ":assert '.status == \"running\"'"),
    ("cancel", ":cancel 1"),
    ("connect", ":connect /run/vm.sock"),
    ("console", ":console serial0"),
    ("disconnect", ":disconnect"),
    ("events", ":events JOB_STATUS_CHANGE id=backup0 --since 5m"),
    ("every", ":every 2s query-blockstats"),
    ("exit", ":exit 3"),
    ("expect", ":expect 'login: ' --timeout 60"),
    ("fail", ":fail no medium in the drive"),
    ("help", ":help blockdev-add driver=qcow2"),
    ("job", ":job wait backup0"),
    ("jobs", ":jobs"),
    ("last", ":last | .[].device"),
    ("let", ":let disk = '/srv/a disk.qcow2'"),
    ("off", ":off 1"),
    ("on", ":on STOP do query-status"),
    ("oob", ":oob migrate-pause"),
    ("quit", ":quit"),
    ("recipe", ":recipe throttle id=cd0 iops=500"),
    ("screen", ":screen boot.png"),
    ("send", ":send root\\n"),
    ("set", ":set timeout 5"),
    ("source", ":source setup.qmp"),
    ("status", ":status"),
    ("time", ":time query-block"),
    ("timer", ":timer 1 10s"),
    ("timers", ":timers"),
    ("tree", ":tree block"),
    ("unalias", ":unalias st"),
    ("until", ":until query-status | .status == \"running\""),
    ("vm", ":vm restart"),
    ("wait", ":wait DEVICE_DELETED device=net0 --timeout 10"),
];

/// A line with this built-in, if there is an example.
pub fn example(name: &str) -> Option<&'static str> {
    let found = EXAMPLES.iter().find(|(of, _)| *of == name);
    found.map(|(_, line)| *line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Parser, Words};

    #[test]
    fn examples_are_lines_with_that_built_in() {
        for (name, line) in EXAMPLES {
            let words = Words::split(line).expect("it splits");
            Parser::default().parse(&words).expect("it parses");
            assert!(
                line.strip_prefix(':')
                    .is_some_and(|line| line.starts_with(name)),
                "{line}"
            );
        }
    }
}
