use crate::lang::{Descriptor, Line, Parser, Statement, SyntaxError, Words};

fn parse(line: &str) -> Result<Line, SyntaxError> {
    Parser::default().parse(&Words::split(line)?)
}

fn sent(line: &str) -> String {
    message_of(parse(line).expect(line))
}

fn message_of(line: Line) -> String {
    match line.statement {
        Statement::Command(command) => command.to_message(),
        Statement::Message(message) => message.text,
        other => panic!("{other:?}"),
    }
}

fn error(line: &str) -> SyntaxError {
    parse(line).expect_err(line)
}

#[test]
fn a_line_becomes_a_message() {
    assert_eq!(
        sent("query-status"),
        r#"{"execute":"query-status","arguments":{}}"#
    );
    assert_eq!(
        sent(r#"c a=1 b="2" c='3' d:="4" e=x=y f="#),
        r#"{"execute":"c","arguments":{"a":1,"b":"2","c":"3","d":"4","e":"x=y","f":""}}"#
    );
}

#[test]
fn a_quoted_value_is_a_string_and_its_quotes_are_not_sent() {
    assert_eq!(
        sent(r#"c a="1\"\u00e9\n" b='x\y "z"'"#),
        r#"{"execute":"c","arguments":{"a":"1\"é\n","b":"x\\y \"z\""}}"#
    );
    let error = error("c a='x'y");
    assert_eq!(
        (error.message.as_str(), error.span),
        ("unexpected text after the closing quote", 7..8)
    );
}

#[test]
fn quotes_inside_a_word_are_part_of_it() {
    assert_eq!(
        sent(r#"c filename=json:{"driver": "null-co"}"#),
        r#"{"execute":"c","arguments":{"filename":"json:{\"driver\": \"null-co\"}"}}"#
    );
}

#[test]
fn arguments_of_the_command_line_are_not_split_again() {
    let words = Words::from_args(&["c", "filename=my disk.img", "j={'a': 1}"]);
    let line = Parser::default().parse(&words).expect("a command");
    assert_eq!(
        message_of(line),
        r#"{"execute":"c","arguments":{"filename":"my disk.img","j":{"a":1}}}"#
    );
}

#[test]
fn a_whole_message_is_sent_as_typed() {
    let typed = r#"{"execute":"query-status","id":  [1,"x"]}"#;
    match parse(typed).map(|line| line.statement) {
        Ok(Statement::Message(message)) => {
            assert_eq!(message.text, typed);
            assert_eq!(message.id.as_deref(), Some(r#"[1,"x"]"#));
            assert_eq!(message.name.as_deref(), Some("query-status"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(sent("{'execute': 'stop'}"), r#"{"execute":"stop"}"#);
    assert_eq!(error(r#"{"execute": "stop"} x"#).span, 20..21);
}

#[test]
fn descriptors_and_the_ampersand_are_parsed() {
    let line = "getfd fdname=t <>/dev/net/tun <a.img <'b c' <&7 &";
    let line = parse(line).expect("a command");
    assert!(line.background);
    assert_eq!(
        line.descriptors,
        [
            Descriptor::ReadWrite("/dev/net/tun".into()),
            Descriptor::Read("a.img".into()),
            Descriptor::Read("b c".into()),
            Descriptor::Inherited(7),
        ]
    );
}

#[test]
fn an_error_says_what_is_wrong_and_where() {
    for (line, span, message) in [
        ("c foo", 2..5, "expected KEY=VALUE, found `foo`"),
        ("c a=1 a=2", 6..7, "`a` is set twice"),
        ("c a:=nope", 5..9, "`nope` is not JSON"),
        ("c a=[1 2]", 7..8, "expected `,` or `]`, found `2`"),
        ("a=1", 0..3, "expected a command first"),
        ("c & a=1", 2..3, "`&` is only allowed at the end of a line"),
        ("c <&x", 2..5, "`x` is not the number of a file descriptor"),
        ("c <", 2..3, "a path is missing"),
        (
            "transaction(a)",
            0..14,
            "`transaction(` must be followed by a space",
        ),
    ] {
        let error = error(line);
        assert_eq!(
            (error.span, error.message.as_str()),
            (span, message),
            "{line}"
        );
    }
}

#[test]
fn a_forgiving_parser_refuses_a_wrong_action_and_takes_one_back() {
    let mut parser = Parser::default().forgiving();
    let words = |line| Words::split(line).expect(line);
    for (line, is_right, open) in [
        ("transaction(", true, "transaction("),
        ("a x=1", true, "transaction(\na x=1"),
        ("b x", false, "transaction(\na x=1"),
        ("b x=1 # why", true, "transaction(\na x=1\nb x=1"),
        ("c y )", false, "transaction(\na x=1\nb x=1"),
    ] {
        assert_eq!(parser.parse(&words(line)).is_ok(), is_right, "{line}");
        assert_eq!(parser.open_transaction().as_deref(), Some(open), "{line}");
    }
    assert_eq!(parser.undo().as_deref(), Some("b x=1"));
    let line = parser.parse(&words(")")).expect("it closes");
    assert!(message_of(line).contains(r#"[{"type":"a","data":{"x":1}}]"#));
    // It does not open one only to refuse its first action.
    assert!(parser.parse(&words("transaction( a x")).is_err());
    assert!(!parser.in_transaction());
}

#[test]
fn a_transaction_closed_twice_is_an_error() {
    let mut parser = Parser::default();
    let mut parse = |line| parser.parse(&Words::split(line).expect("words"));
    assert!(parse("transaction(").is_ok());
    assert!(parse(") )").is_err());
}

#[test]
fn a_transaction_spans_several_lines_or_one() {
    let mut parser = Parser::default();
    let mut line = |text: &str| parser.parse(&Words::split(text).expect(text));
    for text in ["transaction(", "a x=1", "", "b # comment"] {
        let statement = line(text).expect(text).statement;
        assert!(matches!(statement, Statement::Nothing), "{text}");
    }
    let expected = r#"{"execute":"transaction","arguments":{"actions":[{"type":"a","data":{"x":1}},{"type":"b","data":{}}]}}"#;
    assert_eq!(message_of(line(")").expect("it closes")), expected);
    assert_eq!(
        sent("transaction( a x=1 )"),
        r#"{"execute":"transaction","arguments":{"actions":[{"type":"a","data":{"x":1}}]}}"#
    );
}

#[test]
fn a_transaction_with_an_invalid_line_is_not_sent() {
    let mut parser = Parser::default();
    let mut line = |text: &str| parser.parse(&Words::split(text).expect(text));
    assert!(line("transaction(").is_ok());
    assert!(line("a x").is_err());
    assert!(line("b x=1").is_ok());
    assert_eq!(
        line(")").expect_err("refused").message,
        "the transaction was not sent, because its action 1 is invalid"
    );
    assert!(!parser.in_transaction());

    assert!(
        parser
            .parse(&Words::split("transaction( a").expect("words"))
            .is_ok()
    );
    parser.wrong_line();
    assert_eq!(
        parser
            .parse(&Words::split(")").expect("words"))
            .expect_err("refused")
            .message,
        "the transaction was not sent, because its action 2 is invalid"
    );
}

#[test]
fn the_words_of_a_built_in_are_not_parsed() {
    match parse(":set output 'a b'").map(|line| line.statement) {
        Ok(Statement::Builtin(builtin)) => {
            assert_eq!(builtin.name, "set");
            assert_eq!(builtin.args().expect("plain words"), ["output", "a b"]);
        }
        other => panic!("{other:?}"),
    }
}
