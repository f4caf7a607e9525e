//! Completes lines of the form `VERB ARGUMENT…`.

use super::candidates::{Candidate, Completion, matching};
use super::sources::{Sources, plain};
use crate::context::names::Question;
use crate::dialect::verbs::{Verb, find, resolve};

/// What completes the arguments of the human monitor's commands: the verb, which of its arguments that are no options
/// (from 0), and the question.
const HMP: &[(&str, usize, Question)] = &[
    ("block_job_cancel", 0, Question::BlockJobs),
    ("block_job_complete", 0, Question::BlockJobs),
    ("block_job_pause", 0, Question::BlockJobs),
    ("block_job_resume", 0, Question::BlockJobs),
    ("block_job_set_speed", 0, Question::BlockJobs),
    ("block_resize", 0, Question::NodesAndDrives),
    ("block_set_io_throttle", 0, Question::Drives),
    ("block_stream", 0, Question::Drives),
    ("change", 0, Question::Drives),
    ("chardev-change", 0, Question::Chardevs),
    ("chardev-remove", 0, Question::Chardevs),
    ("chardev-send-break", 0, Question::Chardevs),
    ("commit", 0, Question::Drives),
    ("cpu", 0, Question::Cpus),
    ("device_add", 0, Question::DeviceTypes),
    ("device_del", 0, Question::Devices),
    ("drive_backup", 0, Question::Drives),
    ("drive_del", 0, Question::NodesAndDrives),
    ("drive_mirror", 0, Question::Drives),
    ("eject", 0, Question::Drives),
    ("hostfwd_add", 0, Question::Netdevs),
    ("hostfwd_remove", 0, Question::Netdevs),
    ("info block", 0, Question::NodesAndDrives),
    ("nbd_server_add", 0, Question::NodesAndDrives),
    ("netdev_del", 0, Question::Netdevs),
    ("object_del", 0, Question::Objects),
    ("qemu-io", 0, Question::NodesAndDrives),
    ("ringbuf_read", 0, Question::Chardevs),
    ("ringbuf_write", 0, Question::Chardevs),
    ("set_link", 0, Question::Netdevs),
    ("snapshot_blkdev", 0, Question::Drives),
    ("snapshot_blkdev_internal", 0, Question::Drives),
    ("snapshot_delete_blkdev_internal", 0, Question::Drives),
    ("trace-event", 0, Question::TraceEvents),
];

/// The verbs whose argument is a QOM path, with or without a property after it.
const QOM: [&str; 5] = [
    "info qom-tree",
    "qom-list",
    "qom-get",
    "qom-set",
    "irq_intercept_in",
];

/// The verbs whose argument number N is a file of ours or of the server's.
const FILES: [(&str, usize); 4] = [
    ("dump-guest-memory", 0),
    ("logfile", 0),
    ("memsave", 2),
    ("pmemsave", 2),
];

/// Completes the text of `line` that starts at `start`, up to the cursor at `at`.
pub(super) fn complete(
    line: &str,
    start: usize,
    at: usize,
    verbs: &[Verb],
    sources: &Sources<'_>,
) -> Completion {
    let before = &line[start..at];
    let typed_at = before.rfind(char::is_whitespace).map_or(0, |space| {
        let space = &before[space..];
        before.len() - space.trim_start().len()
    });
    let (given, typed) = before.split_at(typed_at);
    let given: Vec<&str> = given.split_whitespace().collect();
    let candidates = match given[..] {
        [] => names(verbs),
        _ => after(verbs, &given, typed, sources),
    };
    Completion {
        start: start + typed_at,
        candidates: matching(candidates, typed),
    }
}

fn names(verbs: &[Verb]) -> Vec<Candidate> {
    let each = |verb: &Verb| {
        let summary = verb.summary.lines().next().unwrap_or_default().to_owned();
        Candidate::word(verb.name(), summary)
    };
    verbs.iter().map(each).collect()
}

/// What may follow the words `given`.
fn after(verbs: &[Verb], given: &[&str], typed: &str, sources: &Sources<'_>) -> Vec<Candidate> {
    let Some((verb, taken)) = resolve(verbs, given) else {
        return Vec::new();
    };
    // `help info TOPIC` goes one further.
    if given
        .first()
        .is_some_and(|first| *first == "help" || *first == "?")
        && given.len() == 2
    {
        return find(verbs, given[1]).map_or_else(Vec::new, |verb| names(&verb.topics));
    }
    if taken == given.len() && !verb.topics.is_empty() {
        return names(&verb.topics);
    }
    let name = match taken {
        2 => format!("{} {}", given[0], verb.name()),
        _ => verb.name().to_owned(),
    };
    let arguments = given[taken..].iter().filter(|word| !word.starts_with('-'));
    let arguments: Vec<&str> = arguments.copied().collect();
    let is = |of: &str, number: usize| of == name && number == arguments.len();
    if let Some((.., question)) = HMP.iter().find(|(of, number, _)| is(of, *number)) {
        return sources.answers(question);
    }
    if FILES.iter().any(|(of, number)| is(of, *number)) {
        return sources.answers(&Question::Files(typed.to_owned()));
    }
    if !QOM.contains(&&*name) {
        return alternatives(verb, arguments.len());
    }
    let question = match arguments[..] {
        [] => Question::QomPath(typed.to_owned()),
        [path] => Question::QomProperties(path.to_owned()),
        _ => return Vec::new(),
    };
    let answers = (sources.ask)(&question);
    answers.iter().map(|answer| plain(answer, None)).collect()
}

/// The words that the synopsis offers for an argument: `on|off`, `[reset|shutdown|none]`.
fn alternatives(verb: &Verb, number: usize) -> Vec<Candidate> {
    let synopsis = verb.synopsis_after(0);
    let arguments = synopsis.split(' ').filter(|word| !word.starts_with("[-"));
    let argument = arguments
        .map(|word| word.trim_matches(['[', ']']))
        .nth(number);
    let words = argument.filter(|argument| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '|' | '-' | '_');
        argument.contains('|') && argument.chars().all(is_plain)
    });
    let words = words.map_or("", |words| words).split('|');
    words
        .filter(|word| !word.is_empty())
        .map(|word| Candidate::word(word, ""))
        .collect()
}

/// The arguments that are still to come after the text `line`, as the verb's synopsis names them; for a hint.
pub fn to_come(line: &str, verbs: &[Verb]) -> Option<String> {
    let given: Vec<&str> = line.split_whitespace().collect();
    let (verb, taken) = resolve(verbs, &given)?;
    let ends = line.ends_with(char::is_whitespace);
    let arguments = given[taken..].iter().filter(|word| !word.starts_with('-'));
    let synopsis = verb.synopsis_after(arguments.count());
    let space = if ends { "" } else { " " };
    (!synopsis.is_empty()).then(|| format!("{space}{synopsis}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hmp;

    #[test]
    fn the_arguments_still_to_come_are_those_of_the_synopsis() {
        let verbs = hmp::parse(
            "migrate [-d] [-b] uri -- migrate to URI\nset_link name on|off -- change the link\n\
             info [subcommand] -- show various\nhelp|? [cmd] -- show the help\n",
            "info block [-n] [device] -- show info\n",
        );
        for (line, expected) in [
            ("migrate", Some(" [-d] [-b] uri")),
            ("migrate -d ", Some("[-d] [-b] uri")),
            ("migrate tcp:1", None),
            ("set_link ", Some("name on|off")),
            ("set_link x ", Some("on|off")),
            ("info", Some(" [subcommand]")),
            ("info block ", Some("[-n] [device]")),
            ("nope ", None),
        ] {
            assert_eq!(to_come(line, &verbs).as_deref(), expected, "{line}");
        }
        let set_link = find(&verbs, "set_link").expect("it is listed");
        let words = alternatives(set_link, 1).into_iter();
        assert_eq!(
            words.map(|word| word.label).collect::<Vec<_>>(),
            ["on", "off"]
        );
    }
}
