//! Completion at every place that completion itself leads to.

use std::time::{Duration, Instant};

use qmpsh::lang::{Aliases, Dialect, Variables};
use qmpsh::schema::Schema;
use qmpsh::shell::complete::{Candidate, Sources, complete};

/// How many levels of keys to walk.
const LEVELS: usize = 3;

/// Times completion, without queries to the server, at each place: command names after every letter, every key
/// of every command three levels deep in every branch of every union, and the values of each key.
pub fn times(schema: &Schema) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut timed = |line: &str| {
        let aliases = Aliases::default();
        let sources = Sources {
            aliases: &aliases,
            dialect: Dialect::Qmp,
            variables: &Variables::default(),
            seen: &|_| None,
            verbs: &|| None,
            schema: Some(schema),
            commands: &[],
            ask: &|_| Vec::new(),
        };
        let timed = || {
            let start = Instant::now();
            let found = complete(line, line.len(), false, &sources);
            (start.elapsed(), found.candidates)
        };
        // The median of three, to exclude other load on the machine.
        let mut runs = [timed(), timed(), timed()];
        runs.sort_by_key(|(time, _)| *time);
        let [_, (time, candidates), _] = runs;
        times.push(time);
        candidates
    };
    for (name, _) in schema.commands() {
        for end in 0..=name.len() {
            timed(&name[..end]);
        }
        keys(&format!("{name} "), LEVELS, &mut timed);
    }
    times
}

/// Completes the keys that can follow `line`, and what can follow each of them.
fn keys(line: &str, levels: usize, timed: &mut impl FnMut(&str) -> Vec<Candidate>) {
    if levels == 0 {
        return;
    }
    for key in timed(line) {
        let line = format!("{line}{}", key.text);
        if key.text.ends_with('.') {
            keys(&line, levels - 1, timed);
            continue;
        }
        for value in timed(&line) {
            // Each value of a union's tag leads to other keys.
            if key.note.contains("required") && !line.contains('.') {
                timed(&format!("{line}{}", value.text));
            }
        }
    }
}
