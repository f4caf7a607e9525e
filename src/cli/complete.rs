//! Completes a command line of qmpsh in a user's shell: `qmpsh --complete line LINE`, `qmpsh --complete words WORD…`.
//!
//! Prints a candidate a line: `-` or, if the word goes on after it, `+`, then the whole word, a tab, and what it is. `f`
//! and `d` stand for the names of files and directories, which the shell knows better.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::typed::{self, Place};
use crate::context::{Inspector, Target, unasked_patience};
use crate::lang::{Aliases, Dialect, Variables, is_harmful, word};
use crate::qmp::{self, Retry};
use crate::shell::complete::{Candidate, Live, Question, Sources, complete};
use crate::transport::{Address, Endpoint};
use crate::vm::list::{self, SocketState};

/// How long connecting may take, and learning the schema; longer only if the user has more patience.
fn limit() -> Duration {
    unasked_patience().max(Duration::from_millis(700))
}

/// The candidates for the last word of what `--complete` is given.
pub async fn candidates(arguments: &[String]) -> String {
    let words = match arguments.split_first() {
        Some((form, [line])) if form == "line" => typed::split(line),
        Some((form, words)) if form == "words" => words.to_vec(),
        _ => return String::new(),
    };
    let (place, part) = typed::place(&words);
    let start = &words.last().map_or("", String::as_str);
    let start = &start[..start.len() - part.len()];
    let mut found = match place {
        Place::Option => named(typed::options()),
        Place::OneOf(values) => named(values.into_iter().map(|value| (value, String::new()))),
        Place::File => return "f\n".to_owned(),
        Place::Directory => return "d\n".to_owned(),
        Place::Address => {
            let addresses = lines(start, part, named(addresses()));
            return addresses + "f\n";
        }
        Place::Command { address, words } => of_vm(address, &words, part).await,
        Place::Anything => Vec::new(),
    };
    // A shell takes what it is given for what begins with the word.
    if found.len() > 1 {
        found.retain(|candidate| candidate.text.starts_with(part));
    }
    lines(start, "", found)
}

fn named(words: impl IntoIterator<Item = (String, String)>) -> Vec<Candidate> {
    let word = |(word, note): (String, String)| Candidate::word(&word, note);
    words.into_iter().map(word).collect()
}

/// The candidates that begin with `part`, each after `start`.
fn lines(start: &str, part: &str, candidates: Vec<Candidate>) -> String {
    let mut lines = String::new();
    for Candidate { text, note, .. } in candidates {
        // A shell would print it as it is.
        if !text.starts_with(part) || text.contains(is_harmful) {
            continue;
        }
        let (kind, text) = match text.strip_suffix(' ') {
            Some(text) => ('-', text),
            None => ('+', &*text),
        };
        let note: String = note.chars().filter(|c| !is_harmful(*c)).collect();
        lines.push_str(&format!("{kind}{start}{text}\t{note}\n"));
    }
    lines
}

/// The addresses of the VMs on this machine, each with its name, and `vm:NAME` for those that have one.
fn addresses() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for machine in list::machines() {
        if let Some(name) = &machine.name
            && !machine.monitors.is_empty()
            && !name.contains(' ')
        {
            found.push((format!("vm:{name}"), machine.program.clone()));
        }
        let name = machine.name.unwrap_or(machine.program);
        for (address, state) in machine.monitors {
            if state != SocketState::Closed && !address.contains(' ') {
                found.push((address, format!("{name}, {}", state.name())));
            }
        }
    }
    found
}

/// The candidates for a word of a command, from the VM itself if it can be asked.
async fn of_vm(address: Option<String>, words: &[String], typed: &str) -> Vec<Candidate> {
    let address = address.or_else(|| std::env::var("QMP_SOCKET").ok());
    let target = match address.as_deref().map(expanded) {
        Some(address) => timeout(limit(), target(&address)).await.ok().flatten(),
        None => None,
    };
    let inspector = target.as_ref().map_or_else(Arc::default, Target::inspector);
    let _ = timeout(limit(), async {
        if inspector.schema().await.is_none() {
            inspector.commands().await;
        }
    })
    .await;
    let mut line: String = words
        .iter()
        .map(|argument| quoted(argument) + " ")
        .collect();
    let start = line.len();
    line.push_str(typed);
    let typed = typed.to_owned();
    let runtime = Handle::current();
    // Live questions block until this runtime has their answers.
    let work = move || complete_line(&line, start, &typed, &inspector, runtime);
    let found = tokio::task::spawn_blocking(work).await.unwrap_or_default();
    drop(target);
    found
}

fn complete_line(
    line: &str,
    start: usize,
    typed: &str,
    inspector: &Arc<Inspector>,
    runtime: Handle,
) -> Vec<Candidate> {
    let (schema, commands) = (inspector.known_schema(), inspector.known_commands());
    let (live, patience) = (Live::on(runtime), Cell::new(unasked_patience()));
    let aliases = Aliases::default();
    let sources = Sources {
        aliases: &aliases,
        schema: schema.as_deref(),
        commands: &commands,
        dialect: Dialect::Qmp,
        variables: &Variables::default(),
        seen: &|_| None,
        verbs: &|| {
            let known = || inspector.known_verbs();
            known().or_else(|| {
                live.ask(inspector, &Question::HmpVerbs, &patience);
                known()
            })
        },
        ask: &|question| live.ask(inspector, question, &patience),
    };
    let found = complete(line, line.len(), false, &sources);
    if found.start < start {
        return Vec::new();
    }
    let before = &typed[..found.start - start];
    // One name may be a key and a value of the same text.
    let mut texts = BTreeMap::new();
    for candidate in found.candidates {
        texts.entry(candidate.text.clone()).or_insert(candidate);
    }
    let whole = |candidate: Candidate| Candidate {
        text: format!("{before}{}", candidate.text),
        ..candidate
    };
    texts.into_values().map(whole).collect()
}

/// A word of a shell as a word of a line.
fn quoted(argument: &str) -> String {
    match argument.split_once('=') {
        Some((key, value)) if !value.starts_with(['{', '[', '"', '\'']) => {
            format!("{key}={}", word(value))
        }
        _ => argument.to_owned(),
    }
}

/// A connection to the VM, unless that could disturb anybody.
async fn target(address: &str) -> Option<Target> {
    let address = list::address(address).ok()?;
    if !is_free(&address) {
        return None;
    }
    let options = qmp::Options {
        connect_timeout: Some(limit()),
        ..qmp::Options::default()
    };
    let (target, _) = Target::new(options, Retry::Never, None, None, Dialect::Qmp);
    target.open(Some(Endpoint::from(address))).await.ok()?;
    Some(target)
}

/// Whether to connect to the server does no harm. It would be in the way of a client that is there already, and a QEMU
/// that waits for its first client (`wait=on`) would start its VM.
fn is_free(address: &Address) -> bool {
    let Address::Unix(path) = address else {
        // Another host's QEMU does not show what it does; a program may do anything.
        return false;
    };
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let machines = list::machines();
    let serves = |monitor: &str| {
        std::path::Path::new(monitor)
            .canonicalize()
            .is_ok_and(|other| other == path)
    };
    let mut monitors = machines.iter().flat_map(|machine| {
        let monitors = machine.monitors.iter();
        monitors.map(move |(monitor, state)| (machine.pid, monitor, *state))
    });
    match monitors.find(|(_, monitor, _)| serves(monitor)) {
        Some((pid, monitor, state)) => {
            state == SocketState::Free && list::starts_without_client(pid, monitor)
        }
        None => true,
    }
}

/// A leading `~/` and a variable as a shell reads them.
fn expanded(word: &str) -> String {
    let variable = |name: &str| std::env::var(name).ok();
    if let Some(rest) = word.strip_prefix("~/") {
        return variable("HOME").map_or_else(|| word.to_owned(), |home| format!("{home}/{rest}"));
    }
    let name = word
        .strip_prefix('$')
        .map(|name| name.trim_matches(['{', '}']));
    name.and_then(variable).unwrap_or_else(|| word.to_owned())
}
