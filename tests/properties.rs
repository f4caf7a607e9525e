//! What holds for any input that the fuzzer could find: `fuzz/` has the properties.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::{complete, escape, line, literal, mask, messages, schema, session};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Text in the words of all that is fuzzed, with anything between them.
fn text() -> impl Strategy<Value = String> {
    let words = include_str!("../fuzz/session/words.dict");
    let words = words.lines().map(|line| line.trim_matches('"').to_owned());
    let part = prop_oneof![
        4 => select(words.collect::<Vec<_>>()),
        4 => "[a-z0-9=.,:'\"{}\\[\\]()<>&|#@%\\\\ \n_-]{1,4}",
        1 => any::<char>().prop_map(String::from),
        1 => select(session::LINES.lines().map(str::to_owned).collect::<Vec<_>>()),
        1 => select(vec!['\0', '\u{1b}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{7f}']).prop_map(String::from),
    ];
    vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// A real session with some bytes of it lost, doubled or replaced.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let of = select(vec![session::MESSAGES, session::PRETTY_MESSAGES]);
    let damage = vec(
        (
            any::<prop::sample::Index>(),
            0..40_usize,
            vec(any::<u8>(), 0..3),
        ),
        0..3,
    );
    (of, 0..30_000_usize, 0..4000_usize, damage, any::<u8>()).prop_map(
        |(of, start, length, damage, size)| {
            let start = start.min(of.len());
            let mut bytes = of.as_bytes()[start..of.len().min(start + length)].to_vec();
            for (at, lost, new) in damage {
                let at = at.index(bytes.len() + 1);
                let end = bytes.len().min(at + lost);
                bytes.splice(at..end, new);
            }
            bytes.insert(0, size);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_script_is_read(text in text()) {
        line(&text);
    }

    #[test]
    fn any_literal_is_read_as_other_readers_of_json_do(text in text()) {
        literal(&text);
    }

    #[test]
    fn any_stream_is_read_the_same_however_it_is_split(bytes in stream()) {
        messages(&bytes);
    }

    #[test]
    fn no_secret_survives(text in text()) {
        mask(&text);
    }

    #[test]
    fn no_harmful_character_survives(text in text()) {
        escape(&text);
    }
}

proptest! {
    // These take longer.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn any_line_is_completed_at_every_place_of_the_cursor(text in text()) {
        complete(&text);
    }

    #[test]
    fn any_schema_is_refused_or_used(bytes in vec(any::<u8>(), 0..40)) {
        schema(&bytes);
    }
}

#[test]
fn a_real_session_has_every_property() {
    line(session::LINES);
    for text in session::LINES.lines() {
        literal(text);
        complete(text);
        mask(&format!("ab{text}"));
    }
    for stream in [session::MESSAGES, session::PRETTY_MESSAGES] {
        messages(format!("@{stream}").as_bytes());
    }
    for text in session::MESSAGES.lines() {
        literal(text);
        escape(text);
    }
    schema(session::SCHEMA.as_bytes());
}
