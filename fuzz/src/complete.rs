use std::sync::LazyLock;

use qmpsh::fuzzing;
use qmpsh::lang::{Aliases, Dialect, Variables};
use qmpsh::schema::Schema;
use qmpsh::shell::complete::{Answer, Question, Sources, complete as candidates, expected};

use super::{assert_harmless, beginning, session};

/// Longer lines take long: every place in them is tried.
const LONGEST: usize = 100;

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::read(session::SCHEMA).expect("a schema"));

/// A line that is being typed: at each place of the cursor there is something to offer or not, and the list of it is
/// harmless.
pub fn complete(line: &str) {
    let line = beginning(line, LONGEST);
    for at in (0..line.len()).filter(|at| line.is_char_boundary(*at)) {
        at_place(line, at, line.len().is_multiple_of(4), Some(&SCHEMA));
    }
    at_end(line, &SCHEMA);
}

pub(super) fn at_end(line: &str, schema: &Schema) {
    for in_transaction in [false, true] {
        at_place(line, line.len(), in_transaction, Some(schema));
        at_place(line, line.len(), in_transaction, None);
    }
    for in_transaction in [false, true] {
        for columns in [0, 10, 200] {
            if let Some(hint) = fuzzing::hint(line, in_transaction, schema, columns) {
                assert_harmless(&hint);
            }
        }
    }
}

fn at_place(line: &str, at: usize, in_transaction: bool, schema: Option<&Schema>) {
    let commands = ["query-status".to_owned(), "\u{1b}[31m".to_owned()];
    let aliases = Aliases::default();
    let sources = &Sources {
        aliases: &aliases,
        schema,
        commands: &commands,
        dialect: Dialect::default(),
        variables: &Variables::default(),
        seen: &|_| None,
        verbs: &|| None,
        ask: &answers,
    };
    let found = candidates(line, at, in_transaction, sources);
    assert!(found.start <= at, "{line:?} at {at}: {found:?}");
    assert!(
        line.is_char_boundary(found.start),
        "{line:?} at {at}: {found:?}"
    );
    let few = &found.candidates[..found.candidates.len().min(5)];
    assert_harmless(&fuzzing::listing(few, 80));
    if let Some(expected) = expected(line, at, in_transaction, sources) {
        assert_harmless(&fuzzing::listing(&[expected], 80));
    }
}

/// Names as nobody would choose them.
fn answers(_: &Question) -> Vec<Answer> {
    let names = [
        "",
        "a b",
        "it's",
        "\"",
        "\\",
        "\u{1b}]0;x\u{7}",
        "\u{9b}é",
        "a/b",
    ];
    let mut answers: Vec<Answer> = names.map(|name| Answer::new(name, name)).into();
    answers[7].partial = true;
    answers
}
