//! What qmpsh makes of lines that people typed for qmp-shell, whose language it takes over.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::common::{Outcome, qmpsh};

/// Differences shown before a failure says no more.
const SHOWN: usize = 10;

/// How far ahead of a line its neighbours' messages are looked for, when its own is not there.
const LOOKAHEAD: usize = 20;

/// An object whose members keep the text they were written in.
type Object = BTreeMap<String, Box<RawValue>>;

struct Row {
    line: String,
    /// What the line means, or `None` if it is to be refused.
    message: Option<Box<RawValue>>,
}

#[test]
fn lines_without_quotes_build_the_message_qmp_shell_builds() {
    let (accepted, mut refused): (Vec<Row>, Vec<Row>) = rows("qmp_shell.jsonl")
        .into_iter()
        .partition(|row| row.message.is_some());
    assert_builds_its_messages(&accepted);

    // A transaction wrongly left open would hide what becomes of the lines that follow.
    refused.sort_by_key(|row| row.line.contains("transaction("));
    let outcome = dry_run(&refused);
    let stdout = outcome.stdout();
    assert!(
        stdout.is_empty(),
        "of {} lines to refuse, {} were accepted:\n{}",
        refused.len(),
        stdout.lines().count(),
        stdout.lines().take(SHOWN).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(outcome.status(), Some(2), "{}", stderr(&outcome));
}

#[test]
fn live_block_operations_lines_give_the_json_the_document_prints() {
    assert_builds_its_messages(&rows("live_block_operations.jsonl"));
}

/// The rows of a file in `tests/data`.
fn rows(file: &str) -> Vec<Row> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let rows: Vec<Row> = text.lines().map(row).collect();
    assert!(!rows.is_empty(), "{path} is empty");
    rows
}

fn row(text: &str) -> Row {
    let mut row: Object = serde_json::from_str(text).expect("a row is an object");
    let line = serde_json::from_str(row["line"].get()).expect("a line is a string");
    // qmp-shell puts the `c` of `a.b=1 c=2` inside `a`. That is a slip that is of no use to anybody
    // (`file.driver=file file.filename=a.img` cannot be written with it), so where it shows, what
    // counts is what it makes of the arguments one by one.
    if let Some(from_top) = row.remove("from_top") {
        row = serde_json::from_str(from_top.get()).expect("`from_top` is an object");
    }
    let message = row.remove("message");
    assert!(
        message.is_some() || row.contains_key("error"),
        "neither message nor error: {text}"
    );
    Row { line, message }
}

/// Runs the lines and compares what is printed with their messages, one to one.
fn assert_builds_its_messages(rows: &[Row]) {
    let outcome = dry_run(rows);
    let stdout = outcome.stdout();
    let mut printed = stdout.lines().peekable();
    let mut differences = Vec::new();

    for (index, row) in rows.iter().enumerate() {
        let got = match printed.peek() {
            Some(got) if is_message_of(row, got) => {
                printed.next();
                continue;
            }
            // A refused line prints nothing. If what stands in its place is a later line's, leave
            // it there, or every line from here on would seem to differ.
            Some(got)
                if rows[index + 1..]
                    .iter()
                    .take(LOOKAHEAD)
                    .any(|later| is_message_of(later, got)) =>
            {
                None
            }
            Some(_) => printed.next(),
            None => None,
        };
        differences.push(format!(
            "line     {:?}\nexpected {}\ngot      {}\n",
            row.line,
            row.message.as_deref().map_or("nothing", RawValue::get),
            got.unwrap_or("nothing")
        ));
    }
    differences.extend(printed.map(|got| format!("got      {got}, after the last line's\n")));

    assert!(
        differences.is_empty(),
        "{} of {} lines differ:\n\n{}\nexit status {:?}; {}",
        differences.len(),
        rows.len(),
        differences[..differences.len().min(SHOWN)].join("\n"),
        outcome.status(),
        stderr(&outcome)
    );
    assert_eq!(outcome.status(), Some(0), "{}", stderr(&outcome));
}

fn is_message_of(row: &Row, printed: &str) -> bool {
    let Ok(printed) = serde_json::from_str::<&RawValue>(printed) else {
        return false;
    };
    let message = row.message.as_deref().map(RawValue::get);
    // qmp-shell sends empty arguments, and qmpsh none.
    let message = message.map(|message| message.replacen(",\"arguments\":{}}", "}", 1));
    message
        .and_then(|message| RawValue::from_string(message).ok())
        .is_some_and(|message| same(&message, printed))
}

/// Whether two values are equal, integers beyond 64 bits included: as a `Value` those would be
/// rounded to floating point, so integers are compared by their digits.
fn same(left: &RawValue, right: &RawValue) -> bool {
    let (left, right) = (left.get(), right.get());
    if let (Ok(left), Ok(right)) = (
        serde_json::from_str::<Object>(left),
        serde_json::from_str::<Object>(right),
    ) {
        return left.len() == right.len()
            && left
                .iter()
                .zip(&right)
                .all(|((a, x), (b, y))| a == b && same(x, y));
    }
    if let (Ok(left), Ok(right)) = (
        serde_json::from_str::<Vec<&RawValue>>(left),
        serde_json::from_str::<Vec<&RawValue>>(right),
    ) {
        return left.len() == right.len() && left.iter().zip(&right).all(|(x, y)| same(x, y));
    }
    if is_integer(left) || is_integer(right) {
        return left == right;
    }
    let value = |text| serde_json::from_str::<Value>(text).expect("a raw value is valid JSON");
    value(left) == value(right)
}

fn is_integer(text: &str) -> bool {
    text.strip_prefix('-')
        .unwrap_or(text)
        .bytes()
        .all(|byte| byte.is_ascii_digit())
}

/// Runs all the lines as one script that sends nothing.
fn dry_run(rows: &[Row]) -> Outcome {
    let lines = rows.iter().flat_map(|row| [row.line.as_str(), "\n"]);
    qmpsh(
        &["-n", "-k", "-o", "json", "-f", "-"],
        lines.collect::<String>(),
    )
}

/// The beginning of what a run wrote to stderr.
fn stderr(outcome: &Outcome) -> String {
    let text = outcome.stderr();
    let lines: Vec<&str> = text.lines().take(SHOWN).collect();
    format!("stderr begins:\n{}", lines.join("\n"))
}
