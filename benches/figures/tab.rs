//! Completion at every place that completion itself leads to.

use std::time::{Duration, Instant};

use qmpsh::schema::Schema;
use qmpsh::shell::complete::{Candidate, Sources, complete};

/// How many keys deep the walk goes.
const LEVELS: usize = 3;

/// How long completion took, without a live question, at each place: the names of the commands after
/// every letter, every key of every command three levels deep in every branch of every union, and the
/// values of each.
pub fn times(schema: &Schema) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut timed = |line: &str| {
        let sources = Sources {
            schema: Some(schema),
            commands: &[],
            ask: &|_| Vec::new(),
        };
        let timed = || {
            let start = Instant::now();
            let found = complete(line, line.len(), false, &sources);
            (start.elapsed(), found.candidates)
        };
        // The middle one of three: what else the machine does is not completion's.
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

/// Completes the keys that could follow `line`, and what could follow each.
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
            // With each value of a tag, other keys follow.
            if key.note.contains("required") && !line.contains('.') {
                timed(&format!("{line}{}", value.text));
            }
        }
    }
}
