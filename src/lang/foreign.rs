//! Lines that people write out of habit, in the language of a shell or of the human monitor.

use super::Dialect;

/// What to write instead of `line`, which makes no sense as a command of this dialect. `None` if it looks like
/// nothing known.
pub fn instead_of(line: &str, dialect: Dialect) -> Option<String> {
    let line = line.trim();
    let first = line.split_whitespace().next()?;
    if first == "?" {
        return Some("`help` lists the commands".to_owned());
    }
    if first.starts_with('!') {
        return Some(
            "qmpsh runs no commands of this machine; Ctrl-Z goes back to your shell, and `fg` returns".to_owned(),
        );
    }
    let of_human_monitor = match first {
        // Only QMP leads to a human monitor.
        _ if dialect != Dialect::Qmp => None,
        "hmp" => Some(line[first.len()..].trim_start()),
        "info" => Some(line),
        _ => None,
    };
    if let Some(line) = of_human_monitor.filter(|line| !line.is_empty()) {
        return Some(in_human_monitor(line));
    }
    let mut words = line.split_whitespace();
    words
        .any(|word| matches!(word, "&&" | "||") || word.ends_with(';'))
        .then(|| "write each command on a line of its own".to_owned())
}

/// Says how to run a line that only the human monitor understands.
pub fn in_human_monitor(line: &str) -> String {
    format!("the human monitor runs that: `:hmp {line}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_of_shells_and_of_the_human_monitor_are_recognized() {
        for (line, expected) in [
            ("?", Some("`help`")),
            ("!ls -l", Some("Ctrl-Z")),
            ("hmp info block", Some("`:hmp info block`")),
            (" info  block -v ", Some("`:hmp info  block -v`")),
            ("stop; cont", Some("line of its own")),
            ("stop && cont", Some("line of its own")),
            ("stop || cont", Some("line of its own")),
            ("hmp", None),
            ("stop now", None),
            ("", None),
        ] {
            let found = instead_of(line, Dialect::Qmp);
            match expected {
                Some(part) => assert!(
                    found.as_ref().is_some_and(|found| found.contains(part)),
                    "{line}: {found:?}"
                ),
                None => assert_eq!(found, None, "{line}"),
            }
        }
    }

    #[test]
    fn a_guest_agent_has_no_human_monitor() {
        assert_eq!(instead_of("info block", Dialect::Qga), None);
        assert!(instead_of("?", Dialect::Qga).is_some());
    }
}
