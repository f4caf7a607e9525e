//! What holds for every line, however odd.

use proptest::collection::vec;
use proptest::prelude::*;
use qmpsh::lang::{
    Language, Object, Parser, SplitLine, Statement, SyntaxError, Value, Words, argument,
    line_has_secret, lines, literal, mask_secrets, quote,
};
use qmpsh::schema::Schema;

/// Any text at all.
fn any_text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..40).prop_map(String::from_iter)
}

/// Text that comes near to being a line.
fn line() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-c=.:{}\\[\\]'\"\\\\|><&#,0-9()_ \n\t-]",
        1 => any::<char>().prop_map(String::from),
        1 => Just("\u{9b}".to_owned()),
        2 => prop::sample::select(vec![
            "transaction( ", " )", ":oob ", "a=", "a:=", " | ", " > ", " &", "{'a': ", "\\u", "True",
            "null", "0x", "1e", "{\"execute\": \"", "\"id\": ", "<>", "<&", " a.0=", " a.1=", "''",
        ])
        .prop_map(str::to_owned),
    ];
    vec(part, 0..30).prop_map(|parts| parts.concat())
}

/// Any JSON value, in the spelling of the program.
fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("JSON has finite numbers", |n| n.is_finite())
            .prop_map(|n| serde_json::Value::from(n).to_string()),
    ];
    let leaf = prop_oneof![
        any_text().prop_map(Value::Text),
        line().prop_map(Value::Text),
        "(true|FALSE|null|[-+]?[0-9_]{1,4}|[{\\[]|)".prop_map(Value::Text),
        number.prop_map(Value::Number),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((any_text(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Object>())),
        ]
    })
}

/// The value as any JSON parser sees it.
fn json(value: &Value) -> serde_json::Value {
    serde_json::from_str(&value.to_json()).expect("what it prints is JSON")
}

fn parse(line: &str) -> Result<Statement, SyntaxError> {
    let line = Parser::default().parse(&Words::split(line)?)?;
    Ok(line.statement)
}

/// A command `c` that has a member of every kind of type: `s` is a string, and so is `i` when `u` is `b`.
const SCHEMA: &str = r#"[
    {"meta-type": "command", "name": "c", "arg-type": "0", "ret-type": "0"},
    {"meta-type": "object", "name": "0", "tag": "u", "members": [
        {"name": "u", "type": "1"}, {"name": "s", "type": "str"}, {"name": "n", "type": "number", "default": null},
        {"name": "x", "type": "2"}, {"name": "l", "type": "[2]"}, {"name": "o", "type": "0"},
        {"name": "any", "type": "any"}],
     "variants": [{"case": "a", "type": "3"}, {"case": "b", "type": "4"}]},
    {"meta-type": "enum", "name": "1", "values": ["a", "b", "c"]},
    {"meta-type": "alternate", "name": "2", "members": [
        {"type": "str"}, {"type": "0"}, {"type": "int"}, {"type": "null"}, {"type": "[int]"}]},
    {"meta-type": "object", "name": "3", "members": [{"name": "i", "type": "int"}, {"name": "t", "type": "bool"}]},
    {"meta-type": "object", "name": "4", "members": [{"name": "i", "type": "str"}, {"name": "t", "type": "null"}]},
    {"meta-type": "array", "name": "[2]", "element-type": "2"},
    {"meta-type": "array", "name": "[int]", "element-type": "int"},
    {"meta-type": "builtin", "name": "str", "json-type": "string"},
    {"meta-type": "builtin", "name": "int", "json-type": "int"},
    {"meta-type": "builtin", "name": "number", "json-type": "number"},
    {"meta-type": "builtin", "name": "bool", "json-type": "boolean"},
    {"meta-type": "builtin", "name": "null", "json-type": "null"},
    {"meta-type": "builtin", "name": "any", "json-type": "value"}]"#;

/// A key that the schema knows, or comes near to one.
fn key() -> impl Strategy<Value = String> {
    let segment = "(u|s|n|x|l|o|i|t|any|0|1|z)";
    vec(segment, 1..5).prop_map(|segments| segments.join("."))
}

/// A bare word that could be of any type, or of none.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "(a|b|c|null|on|OFF|yes|True|)",
        "[-+]?(0x)?[0-9a-fA-F_]{1,30}",
        "[-+]?[0-9]{0,25}[.]?[0-9]{0,20}[kKmMgGtTpPeE]?",
        "[0-9]{1,3}e[-+]?[0-9]{1,5}",
        "[^ \\s'\"{\\[\\\\]{0,8}",
    ]
}

/// Lines for the command of the schema.
fn known_line() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => word(),
        1 => value().prop_map(|value| value.to_json()),
        1 => (word(), word()).prop_map(|(a, b)| format!("{{'i': {a}, 'x': [{b}, 'q'], 'u': a}}")),
    ];
    let pair = (key(), value).prop_map(|(key, value)| format!(" {key}={value}"));
    vec(pair, 0..6).prop_map(|pairs| format!("c{}", pairs.concat()))
}

/// Every bare word of `before` is a word or has become one of what its text can be; nothing else has changed.
fn only_words_changed(before: &Value, after: &Value) -> Result<(), TestCaseError> {
    match (before, after) {
        (Value::Word(word), Value::Word(same) | Value::Text(same)) => prop_assert_eq!(word, same),
        (Value::Word(word), Value::Number(_)) => {
            prop_assert!(word.contains(|c: char| c.is_ascii_digit()), "{:?}", word);
        }
        (Value::Word(word), Value::Bool(truth)) => {
            let spellings = if *truth {
                ["true", "on", "yes"]
            } else {
                ["false", "off", "no"]
            };
            prop_assert!(spellings.contains(&&*word.to_lowercase()), "{:?}", word);
        }
        (Value::Word(word), Value::Null) => prop_assert_eq!(word, "null"),
        (Value::Array(before), Value::Array(after)) => {
            prop_assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(after) {
                only_words_changed(before, after)?;
            }
        }
        (Value::Object(before), Value::Object(after)) => {
            prop_assert!(before.keys().eq(after.keys()));
            for (before, after) in before.values().zip(after.values()) {
                only_words_changed(before, after)?;
            }
        }
        _ => prop_assert_eq!(before, after),
    }
    Ok(())
}

/// The report on an error can be shown.
fn is_harmless(error: &SyntaxError, line: &str) -> Result<(), TestCaseError> {
    let report = error.report(line);
    let harmful = report.chars().find(|c| c.is_control() && *c != '\n');
    prop_assert_eq!(harmful, None, "{:?}", report);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![any_text(), line()]) {
        let _ = parse(&text);
        let _ = literal::parse(&text);
        let _ = line_has_secret(&text);
        let _ = mask_secrets(&text);
    }

    #[test]
    fn no_words_of_a_command_line_make_the_parser_panic(
        args in vec(prop_oneof![any_text(), line()], 0..5)
    ) {
        let words = Words::from_args(&args);
        match Parser::default().parse(&words).map(|line| line.statement) {
            Ok(Statement::Builtin(builtin)) => drop(builtin.args()),
            Ok(_) => {}
            Err(error) => is_harmless(&error, words.source())?,
        }
    }

    #[test]
    fn no_sequence_of_lines_makes_the_parser_panic(
        script in vec(prop_oneof![line(), Just("transaction(".to_owned()), Just(")".to_owned())], 0..8)
    ) {
        let mut parser = Parser::default();
        for line in &script {
            let result = Words::split(line).and_then(|words| parser.parse(&words));
            if let Err(error) = result {
                is_harmless(&error, line)?;
            }
        }
    }

    #[test]
    fn a_report_shows_no_control_characters(text in prop_oneof![any_text(), line()]) {
        if let Err(error) = parse(&text) {
            is_harmless(&error, &text)?;
        }
        if let Err(error) = literal::parse(&text) {
            is_harmless(&error, &text)?;
        }
    }

    #[test]
    fn an_argument_that_was_printed_reads_back_as_the_same_value(value in value()) {
        let line = format!("command before=1 {} after=2", argument("key", &value));
        let Ok(Statement::Command(command)) = parse(&line) else {
            panic!("{line:?}: {:?}", parse(&line));
        };
        let keys: Vec<&str> = command.arguments.keys().map(String::as_str).collect();
        prop_assert_eq!(keys, ["before", "key", "after"], "{:?}", line);
        prop_assert_eq!(json(&command.arguments["key"]), json(&value), "{:?}", line);
    }

    #[test]
    fn a_word_that_was_printed_reads_back_as_the_same_value(text in prop_oneof![any_text(), line()]) {
        // Only what can be typed bare is a word.
        let typed = format!("command key={text}");
        if let Ok(Statement::Command(command)) = parse(&typed)
            && let Some(value) = command.arguments.get("key")
        {
            let line = format!("command {}", argument("key", value));
            let Ok(Statement::Command(again)) = parse(&line) else {
                panic!("{line:?}: {:?}", parse(&line));
            };
            prop_assert_eq!(json(&again.arguments["key"]), json(value), "{:?}", line);
        }
    }

    #[test]
    fn every_message_that_is_sent_is_json(text in line()) {
        let message = match parse(&text) {
            Ok(Statement::Command(command)) => command.to_message(),
            Ok(Statement::Message(message)) => message.text,
            _ => return Ok(()),
        };
        let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&message);
        prop_assert!(parsed.is_ok(), "{:?} became {:?}", text, message);
    }

    #[test]
    fn json_that_was_printed_reads_back_as_it_was(value in value()) {
        let text = value.to_json();
        let again = literal::parse(&text).expect("it is JSON");
        prop_assert_eq!(again.to_json(), text);
    }

    #[test]
    fn lines_lose_nothing_and_only_the_last_may_be_open(text in line()) {
        let lines = lines(&text, &Language::default());
        let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
        prop_assert_eq!(texts.join("\n"), text);
        if let Some((_, complete)) = lines.split_last() {
            prop_assert!(!complete.iter().any(SplitLine::is_unclosed));
        }
    }

    #[test]
    fn a_secret_never_survives_masking(
        before in value(), after in value(), key in "(password|secret|key|data)",
        secret in prop_oneof![any_text().prop_map(Value::Text), Just(Value::Number("-407110704".into()))],
        levels in 0..4,
    ) {
        let secret = match secret {
            Value::Text(text) => Value::Text(format!("hunter2{text}")),
            other => other,
        };
        let mut arguments = Object::from([
            ("before".to_owned(), before),
            (key, secret.clone()),
            ("qom-type".to_owned(), Value::Text("secret".to_owned())),
            ("after".to_owned(), after),
        ]);
        for _ in 0..levels {
            arguments = Object::from([("inside".to_owned(), Value::Object(arguments))]);
        }
        let message = Value::Object(arguments).to_json();
        let masked = mask_secrets(&message).expect("there is a secret");
        prop_assert!(!masked.contains("hunter2"), "{}", masked);
        prop_assert!(!masked.contains(&format!(":{}", secret.to_json())), "{}", masked);
    }

    #[test]
    fn typing_changes_only_bare_words_and_every_message_is_json(text in prop_oneof![known_line(), line()]) {
        let schema = Schema::read(SCHEMA).expect("it is one");
        let Ok(Statement::Command(before)) = parse(&text) else {
            return Ok(());
        };
        let mut after = before.clone();
        schema.type_words(&mut after);
        let (was, is) = (Value::Object(before.arguments), Value::Object(after.arguments.clone()));
        only_words_changed(&was, &is)?;
        let message = after.to_message();
        let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&message);
        prop_assert!(parsed.is_ok(), "{:?} became {:?}", text, message);
        let once = after.clone();
        schema.type_words(&mut after);
        prop_assert_eq!(once, after);
    }

    #[test]
    fn a_quoted_value_is_that_string_whatever_the_schema_says(key in key(), text in any_text(), case in "[abcz]") {
        let schema = Schema::read(SCHEMA).expect("it is one");
        let tag = if key.starts_with('u') { "z" } else { "u" };
        let line = format!("c {key}={} {tag}={case}", quote(&text));
        let Ok(Statement::Command(mut command)) = parse(&line) else {
            // An array that begins with its second item, and the like.
            return Ok(());
        };
        schema.type_words(&mut command);
        let mut value = &Value::Object(command.arguments);
        for segment in key.split('.') {
            value = match value {
                Value::Object(members) => &members[segment],
                Value::Array(items) => &items[segment.parse::<usize>().expect("an index")],
                other => panic!("{other:?}: {line}"),
            };
        }
        prop_assert_eq!(value, &Value::Text(text), "{}", line);
    }

    #[test]
    fn a_string_is_the_word_that_was_typed(word in word()) {
        let schema = Schema::read(SCHEMA).expect("it is one");
        for line in [format!("c s={word}"), format!("c i={word} u=b"), format!("c u=c o.s={word}")] {
            let Ok(Statement::Command(mut command)) = parse(&line) else {
                panic!("{line:?}: {:?}", parse(&line));
            };
            schema.type_words(&mut command);
            let message = command.to_message();
            prop_assert!(message.contains(&quote(&word)), "{:?} became {:?}", line, message);
        }
    }
}
