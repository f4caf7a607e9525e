use qmpsh::lang::{self, escape_json};
use qmpsh::render;
use qmpsh::shell::complete::Candidate;

use super::{assert_harmless, is_json};

/// Somebody else's text: no harmful character gets past any of what stands before the terminal, and nothing that is
/// harmless is changed.
pub fn escape(text: &str) {
    let line = render::escape_line(text);
    assert_harmless(&line);
    assert!(!line.contains('\n'), "{line:?}");
    if !text.contains(lang::is_harmful) {
        assert_eq!(line, text);
    }
    assert_harmless(&render::escape(text).replace('\t', " "));
    assert_harmless(&render::clip(text));
    assert_harmless(&render::clip_text(text).replace('\t', " "));

    let json = lang::quote(text);
    let safe = escape_json(&json);
    assert_harmless(&safe);
    assert_eq!(
        serde_json::from_str::<String>(&safe).expect("a string"),
        text
    );
    let event = format!(r#"{{"a": [{json}], {json}: {json}}}"#);
    for shown in [&*render::compact(&event), &render::pretty(&event, false)] {
        assert_harmless(shown);
        assert!(is_json(shown));
    }

    let candidates = [
        Candidate::new(text, text, text),
        Candidate::new("b", "b", text),
    ];
    for width in [0, 1, 20, 80] {
        assert_harmless(&qmpsh::fuzzing::listing(&candidates, width));
    }
    let row = vec![text.to_owned(), "x".to_owned()];
    assert_harmless(&render::table(&[row.clone(), row]));
}
