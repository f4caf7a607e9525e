use qmpsh::lang::{
    CursorContext, Language, Parser, SplitLine, Statement, Value, Words, argument, lines, literal,
    spans,
};

use super::{assert_harmless, is_json};

/// A script: nothing of it is lost, what is wrong can be shown, and what is sent is JSON that reads back as it was.
pub fn line(text: &str) {
    let split = lines(text, &Language::default());
    let texts: Vec<&str> = split.iter().map(|line| &*line.text).collect();
    assert_eq!(texts.join("\n"), text);
    if let Some((_, complete)) = split.split_last() {
        assert!(!complete.iter().any(SplitLine::is_unclosed));
    }
    let mut parser = Parser::default();
    for SplitLine { text, words } in &split {
        let mut end = 0;
        for span in spans(text) {
            assert!(end <= span.range.start && span.range.start <= span.range.end);
            assert!(text.get(span.range.clone()).is_some());
            end = span.range.end;
        }
        let context = CursorContext::whole(text, parser.in_transaction());
        let parsed = words
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|words| parser.parse(words));
        match parsed.map(|line| line.statement) {
            Ok(Statement::Command(command)) => {
                assert!(is_json(&command.to_message()), "{text:?}");
                assert!(is_json(&command.to_wire()), "{text:?}");
                for (key, value) in &command.arguments {
                    assert_reads_back(key, value);
                }
                if !context.action && command.name != "transaction" {
                    assert_eq!(context.command.as_ref(), Some(&command.name), "{text:?}");
                }
            }
            Ok(Statement::Message(message)) => assert!(is_json(&message.text), "{text:?}"),
            Ok(Statement::Builtin(builtin)) => drop(builtin.args()),
            Ok(Statement::Nothing) => {}
            Err(error) => assert_harmless(&error.report(text)),
        }
    }
}

/// An argument that is printed is the same argument when it is read. (`key` may be one that cannot be typed.)
fn assert_reads_back(key: &str, value: &Value) {
    let line = format!("command {}", argument("key", value));
    let words = Words::split(&line).unwrap_or_else(|error| panic!("{}", error.report(&line)));
    let parsed = Parser::default().parse(&words);
    let Ok(Statement::Command(command)) = parsed.map(|line| line.statement) else {
        panic!("{key:?}: {line:?}");
    };
    let again = command.arguments.get("key").map(Value::to_json);
    assert_eq!(again, Some(value.to_json()), "{key:?}: {line:?}");
}

/// A value: what other readers of JSON accept is read as they read it, and what is read is printed as JSON.
pub fn literal(text: &str) {
    let json = serde_json::from_str::<serde_json::Value>(text);
    match literal::parse(text) {
        Ok(value) => {
            let printed = value.to_json();
            let again = literal::parse(&printed).expect("what was printed can be read");
            assert_eq!(again.to_json(), printed);
            assert!(is_json(&printed), "{text:?} became {printed:?}");
            if let Ok(json) = json {
                let same: serde_json::Value = serde_json::from_str(&printed).expect("it is JSON");
                // To others `-0` is no integer.
                let json = json.to_string().replace("-0.0", "0");
                let same = same.to_string().replace("-0.0", "0");
                assert_eq!(same, json, "{text:?} became {printed:?}");
            }
        }
        Err(error) => {
            assert_harmless(&error.report(text));
            // Only a key that is set twice is taken by others and not by us.
            assert!(
                json.is_err() || error.message.contains("twice"),
                "{text:?}: {error}"
            );
        }
    }
}
