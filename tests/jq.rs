//! Filters give what jq gives: those of `jq/filters`, each on real replies.

use std::process::Command;

use serde_json::Value;

use crate::common::fake::{Fake, success};
use crate::common::{Qemu, run};

const SAME: &str = include_str!("jq/filters");
const DIFFERENT: &str = include_str!("jq/differences");

/// The filters of a file, a line each.
fn filters(text: &'static str) -> Vec<&'static str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// What the commands of a q35 return that need no arguments.
fn replies() -> Vec<(String, Value)> {
    let qemu = Qemu::with_args(&["-machine", "q35", "-S", "-device", "virtio-balloon"]);
    let names = qemu.qmpsh(&["-o", "raw", "-j", ".[].name", "query-commands"]);
    let mut names = names.assert_status(0).lines();
    // The schema has many names, but nothing that other replies have not, and takes jq long.
    names.retain(|name| name.starts_with("query-") && name != "query-qmp-schema");
    let outcome = qemu.script(&["-k", "--envelope"], names.join("\n"));
    let replies = names.into_iter().zip(outcome.json());
    let mut replies: Vec<(String, Value)> = replies
        .filter_map(|(name, mut reply)| Some((name, reply.get_mut("return")?.take())))
        .collect();
    replies.sort_by(|(one, _), (other, _)| one.cmp(other));
    replies
}

/// Whether two values are the same to jq, for which all numbers are floating-point.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |(key, value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}

/// Where the filters differ from jq on the replies: the filter, and what both gave.
fn differences(filters: &[&'static str]) -> Vec<(&'static str, String)> {
    let replies = replies();
    assert!(replies.len() >= 30, "{} replies", replies.len());
    // Each gives a list of what it gives, so that one run is enough.
    let lists = filters
        .iter()
        .map(|filter| format!("[try ({filter}) catch \"error\"]"));
    let program = format!("[{}]", lists.collect::<Vec<_>>().join(", "));
    let input: String = replies
        .iter()
        .map(|(_, reply)| format!("{reply}\n"))
        .collect();
    let mut jq = Command::new("jq");
    jq.args(["-c", &program]);
    let theirs = run(jq, input.as_bytes());
    let theirs = theirs.assert_status(0).json();
    let values = replies.clone();
    let fake = Fake::answering(move |command| {
        let name = command["execute"].as_str().unwrap_or_default();
        let value = values.iter().find(|(other, _)| other == name);
        success(command, value.expect("it was asked for").1.clone())
    });
    let lines = replies
        .iter()
        .map(|(name, _)| format!("{name} | {program}\n"));
    let ours = fake.script(&[], lines.collect::<String>());
    let ours = ours.assert_status(0).json();
    let mut different = Vec::new();
    for (((name, _), theirs), ours) in replies.iter().zip(theirs).zip(ours) {
        for (at, filter) in filters.iter().enumerate() {
            if !is_same(&theirs[at], &ours[at]) {
                let (jq, we) = (&theirs[at], &ours[at]);
                let what = format!("{name} | {filter}\n  jq: {jq:.200}\n  we: {we:.200}");
                different.push((*filter, what));
            }
        }
    }
    different
}

#[test]
fn filters_on_real_replies_give_what_jq_gives() {
    let filters = filters(SAME);
    assert!(filters.len() >= 300);
    let different = differences(&filters);
    let what: Vec<String> = different.into_iter().map(|(_, what)| what).collect();
    assert!(what.is_empty(), "{}", what.join("\n"));
}

#[test]
fn filters_that_are_said_to_differ_from_jq_do() {
    let filters = filters(DIFFERENT);
    let different = differences(&filters);
    for filter in filters {
        assert!(
            different.iter().any(|(other, _)| *other == filter),
            "{filter}"
        );
    }
}

#[test]
fn what_a_filter_gives_is_json() {
    let fake = Fake::answering(|command| success(command, Value::Null));
    let outcome = fake.script(
        &["-k"],
        "q | nan, infinite, -infinite\nq | {(1, \"a\"): 2}\n",
    );
    outcome.assert_stdout("null\n1.7976931348623157e308\n-1.7976931348623157e308\n");
    outcome.assert_fails(1, "1 is the key of an object; only strings can be");
}
