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
    ("exec", ":exec --stdin setup.sh sh"),
    ("exit", ":exit 3"),
    ("expect", ":expect 'login: ' --timeout 60"),
    ("fail", ":fail no medium in the drive"),
    ("finish", ":finish device_del id=net0"),
    ("get", ":get /var/log/messages messages.log"),
    ("has", ":has blockdev-add driver=nbd reconnect-delay"),
    ("help", ":help blockdev-add driver=qcow2"),
    ("hmp", ":hmp info mtree"),
    ("job", ":job wait backup0"),
    ("jobs", ":jobs"),
    ("key", ":key ctrl-alt-delete"),
    ("last", ":last | .[].device"),
    ("let", ":let disk = '/srv/a disk.qcow2'"),
    ("monitor", ":monitor own.sock"),
    ("off", ":off 1"),
    ("on", ":on STOP do query-status"),
    ("oob", ":oob migrate-pause"),
    ("put", ":put disk.conf /etc/disk.conf"),
    ("quit", ":quit"),
    ("recipe", ":recipe throttle id=cd0 iops=500"),
    ("screen", ":screen boot.png"),
    ("send", ":send root\\n"),
    ("serve", ":serve shared.sock --policy read-only"),
    ("set", ":set timeout 5"),
    ("source", ":source setup.qmp"),
    ("status", ":status"),
    ("time", ":time query-block"),
    ("timer", ":timer 1 10s"),
    ("timers", ":timers"),
    ("tree", ":tree block"),
    ("type", ":type ls -l\\n"),
    ("unalias", ":unalias st"),
    ("undo", ":undo"),
    ("unserve", ":unserve shared.sock"),
    ("until", ":until query-status | .status == \"running\""),
    ("vm", ":vm restart"),
    ("wait", ":wait DEVICE_DELETED device=net0 --timeout 10"),
    ("watch", ":watch 5s query-blockstats"),
];

/// A line with this built-in, if there is an example.
pub fn example(name: &str) -> Option<&'static str> {
    let found = EXAMPLES.iter().find(|(of, _)| *of == name);
    found.map(|(_, line)| *line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::builtin::BUILTINS;
    use crate::lang::{Parser, Words};

    #[test]
    fn every_built_in_has_an_example() {
        for builtin in BUILTINS {
            assert!(example(builtin.name).is_some(), ":{}", builtin.name);
        }
    }

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
