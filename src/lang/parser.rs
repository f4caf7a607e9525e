use std::ops::Range;
use std::path::PathBuf;

use super::arguments::Arguments;
use super::expansion::Expansion;
use super::tokens::{OPENS, PLAIN_BUILTINS, TEXT_BUILTINS, Word, plain};
use super::{
    BuiltinLine, Command, Descriptor, Dialect, Language, Line, Message, Object, Statement,
    SyntaxError, Value, Words, instead_of,
};
use super::{key_value, literal};

/// Parses lines. The only state that it keeps between lines is an open transaction.
#[derive(Debug, Default, Clone)]
pub struct Parser {
    language: Language,
    block: Option<Block>,
    /// Whether an invalid line leaves an open transaction as it was.
    forgiving: bool,
}

/// A `transaction(` that is not closed yet.
#[derive(Debug, Default, Clone)]
struct Block {
    /// The built-in that is to run it, if it does not run by itself.
    builtin: Option<BuiltinLine>,
    actions: Vec<Value>,
    /// The actions as typed.
    typed: Vec<String>,
    /// The number of actions so far, including invalid ones.
    count: usize,
    /// The number of the first invalid action, counted from 1. If there is one, nothing is sent,
    /// because the actions were meant to happen together.
    wrong: Option<usize>,
}

impl Parser {
    /// Parses lines in this language.
    pub fn of(language: Language) -> Self {
        Self {
            language,
            ..Self::default()
        }
    }

    /// The same parser for lines that a person types one after another: it refuses an invalid action, and the
    /// transaction goes on without it. A `transaction(` in an open transaction replaces that.
    pub fn forgiving(self) -> Self {
        Self {
            forgiving: true,
            ..self
        }
    }

    /// The open transaction as typed so far, one action per line.
    pub fn open_transaction(&self) -> Option<String> {
        let block = self.block.as_ref()?;
        let mut text = match &block.builtin {
            None => OPENS.to_owned(),
            Some(builtin) => format!(":{} {}", builtin.name, builtin.words.text()),
        };
        for action in &block.typed {
            text.push('\n');
            text.push_str(action);
        }
        Some(text)
    }

    /// Takes the last action back from the open transaction, and returns it as it was typed.
    pub fn undo(&mut self) -> Option<String> {
        let block = self.block.as_mut()?;
        block.actions.pop()?;
        block.count -= 1;
        block.typed.pop()
    }

    /// Whether a transaction is open, so that the next line is one of its actions.
    pub fn in_transaction(&self) -> bool {
        self.block.is_some()
    }

    /// Drops the open transaction.
    pub fn abandon_transaction(&mut self) {
        self.block = None;
    }

    /// Records a line that could not be read or split into words. An open transaction is then not
    /// sent.
    pub fn wrong_line(&mut self) {
        if let Some(block) = &mut self.block
            && !self.forgiving
        {
            block.count += 1;
            block.wrong.get_or_insert(block.count);
        }
    }

    /// Parses one line.
    ///
    /// # Errors
    ///
    /// What is wrong with the line. An open transaction is then not sent, unless this parser is forgiving.
    pub fn parse(&mut self, words: &Words) -> Result<Line, SyntaxError> {
        match self.expansion(words)? {
            Some(expansion) => {
                let line = self.parse_expanded(&expansion.words);
                line.map_err(|error| expansion.typed(error))
            }
            None => self.parse_expanded(words),
        }
    }

    /// Parses a line that will run later, when its variables may have other values. What its alias stands for now, it
    /// stands for then.
    ///
    /// # Errors
    ///
    /// As for [`Parser::parse`].
    pub fn parse_for_later(&mut self, words: &Words) -> Result<Line, SyntaxError> {
        let expanded = self.expansion(words)?.map(|expansion| expansion.words);
        let later = expanded.as_ref().unwrap_or(words);
        let later = later.has_variables().then(|| Box::new(later.clone()));
        Ok(Line {
            later,
            ..self.parse(words)?
        })
    }

    /// What the words are without their alias, if they begin with one.
    fn expansion(&self, words: &Words) -> Result<Option<Expansion>, SyntaxError> {
        match self.language {
            Language::Commands(_) if self.block.is_none() => Expansion::of(words),
            _ => Ok(None),
        }
    }

    /// The same for words whose alias is replaced.
    fn parse_expanded(&mut self, words: &Words) -> Result<Line, SyntaxError> {
        if !self.forgiving {
            return self.parse_line(words);
        }
        let before = self.block.clone();
        let list = words.list();
        if let (Some(first), Some(last)) = (list.first(), list.last())
            && (first.text == OPENS || (first.text.starts_with(':') && last.text == OPENS))
        {
            self.block = None;
        }
        let parsed = self.parse_line(words);
        if parsed.is_err() {
            self.block = before;
        }
        parsed
    }

    fn parse_line(&mut self, words: &Words) -> Result<Line, SyntaxError> {
        let (tail, background) = words.read_tail()?;
        let line = self.statement(words, tail.is_empty());
        let line = line.map_err(|error| match self.language {
            Language::Commands(dialect) => match instead_of(words.source(), dialect) {
                Some(help) => error.help(help),
                None => error,
            },
            Language::Text(_) | Language::Words(_) => error,
        })?;
        Ok(Line {
            background: line.background || background,
            tail: Box::new(tail),
            ..line
        })
    }

    /// Parses the words of a line, which `is_all` if nothing follows them.
    fn statement(&mut self, words: &Words, is_all: bool) -> Result<Line, SyntaxError> {
        let list = words.list();
        let Some(first) = list.first() else {
            return match is_all {
                true => Ok(Statement::Nothing.into()),
                false => Err(no_command(0..1)),
            };
        };
        let plain = PLAIN_BUILTINS.contains(&first.text).then_some(first.text);
        if let Some(name) = first.text.strip_prefix(':').or(plain) {
            let words = words.tail();
            let builtin = BuiltinLine {
                name: name.to_owned(),
                words,
                transaction: None,
            };
            // `help transaction(` asks about it.
            let opens = list.len() > 1 && list[list.len() - 1].text == OPENS && name != "help";
            if opens && self.block.is_none() && !TEXT_BUILTINS.contains(&first.text) {
                self.block = Some(Block {
                    builtin: Some(builtin),
                    ..Block::default()
                });
                return Ok(Statement::Nothing.into());
            }
            return Ok(Statement::Builtin(builtin).into());
        }
        let (background, list) = strip_last(&list, "&");
        if let Language::Text(read) | Language::Words(read) = &self.language {
            let line = read(&words.part(0..list.len()))?;
            return Ok(Line { background, ..line });
        }
        let is_open = self.block.is_some() || first.text == "transaction(";
        if is_open && !is_all && list.last().is_none_or(|last| last.text != ")") {
            self.wrong_line();
            let end = list.last().map_or(0, Word::end);
            return Err(SyntaxError::new(
                "a filter, `>` and `| !` may only follow the `)` of a transaction",
                end..end + 2,
            ));
        }
        if let Some(block) = self.block.take() {
            return self.transaction_line(block, words.source(), list, background);
        }
        match first.text {
            OPENS => {
                let block = Block::default();
                self.transaction_line(block, words.source(), &list[1..], background)
            }
            text if text.starts_with(OPENS) => Err(SyntaxError::new(
                "`transaction(` must be followed by a space",
                first.span(),
            )
            .help("write `transaction( ACTION KEY=VALUE … )`, or one action per line and `)` at the end")),
            _ => {
                let (statement, descriptors) = match first.text.starts_with('{') {
                    true => message(list)?,
                    false => {
                        let (command, descriptors) = command(list)?;
                        (Statement::Command(command), descriptors)
                    }
                };
                Ok(Line {
                    statement,
                    descriptors,
                    background,
                    ..Statement::Nothing.into()
                })
            }
        }
    }

    fn transaction_line(
        &mut self,
        mut block: Block,
        source: &str,
        list: &[Word<'_>],
        background: bool,
    ) -> Result<Line, SyntaxError> {
        let (closes, list) = strip_last(list, ")");
        let result = block.line(source, list);
        if !closes {
            self.block = Some(block);
            return result.map(|()| Statement::Nothing.into());
        }
        result?;
        if let Some(number) = block.wrong {
            return Err(SyntaxError::new(
                format!("the transaction was not sent, because its action {number} is invalid"),
                0..0,
            ));
        }
        let actions = Value::Array(block.actions);
        let command = Command {
            name: "transaction".to_owned(),
            arguments: Object::from([("actions".to_owned(), actions)]),
            oob: false,
        };
        let statement = match block.builtin {
            None => Statement::Command(command),
            Some(builtin) => Statement::Builtin(BuiltinLine {
                transaction: Some(Box::new(command)),
                ..builtin
            }),
        };
        Ok(Line {
            background,
            ..Line::from(statement)
        })
    }
}

impl Block {
    /// Keeps the action in `list`, words of `source`, unless `list` is empty.
    fn line(&mut self, source: &str, list: &[Word<'_>]) -> Result<(), SyntaxError> {
        let (Some(first), Some(last)) = (list.first(), list.last()) else {
            return Ok(());
        };
        self.count += 1;
        match action(list) {
            Ok(action) => {
                self.actions.push(action);
                self.typed
                    .push(source[first.start..last.span().end].to_owned());
            }
            Err(error) => {
                self.wrong.get_or_insert(self.count);
                return Err(error);
            }
        }
        Ok(())
    }
}

fn action(list: &[Word<'_>]) -> Result<Value, SyntaxError> {
    if list[0].text == ")" {
        return Err(SyntaxError::new(
            "nothing may follow the `)` that closes a transaction",
            // The closing `)` was taken off the list, so what follows may be the `)` that is left.
            list.get(1).unwrap_or(&list[0]).span(),
        ));
    }
    let (command, descriptors) = command(list)?;
    if !descriptors.is_empty() {
        return Err(SyntaxError::new(
            "an action of a transaction cannot pass a file descriptor",
            list[0].span(),
        ));
    }
    Ok(Value::Object(Object::from([
        ("type".to_owned(), Value::Text(command.name)),
        ("data".to_owned(), Value::Object(command.arguments)),
    ])))
}

/// Whether the last word is `word`, and the words without it.
fn strip_last<'a, 'b>(list: &'a [Word<'b>], word: &str) -> (bool, &'a [Word<'b>]) {
    match list.split_last() {
        Some((last, rest)) if last.text == word => (true, rest),
        _ => (false, list),
    }
}

fn command(list: &[Word<'_>]) -> Result<(Command, Vec<Descriptor>), SyntaxError> {
    let name = match list.first() {
        None => return Err(SyntaxError::new("a command is missing before `&`", 0..1)),
        Some(word) => word,
    };
    if name.text.contains('=') || name.text.starts_with(['"', '\'', '<', '&', '|', '>']) {
        return Err(no_command(name.span()));
    }
    let mut arguments = Arguments::default();
    let mut descriptors = Vec::new();
    for word in &list[1..] {
        if let Some(target) = word.text.strip_prefix('<') {
            descriptors.push(descriptor(target, word)?);
        } else {
            let (key, value) = key_value::read(word)?;
            arguments.set(key, value, word.start..word.start + key.len())?;
        }
    }
    let command = Command {
        name: name.text.to_owned(),
        arguments: arguments.finish()?,
        oob: false,
    };
    Ok((command, descriptors))
}

fn no_command(span: Range<usize>) -> SyntaxError {
    SyntaxError::new("expected a command first", span).help("write COMMAND KEY=VALUE …")
}

fn descriptor(target: &str, word: &Word<'_>) -> Result<Descriptor, SyntaxError> {
    if let Some(number) = target.strip_prefix('&') {
        return number.parse().map(Descriptor::Inherited).map_err(|_| {
            SyntaxError::new(
                format!("`{number}` is not the number of a file descriptor"),
                word.span(),
            )
            .help("<&N passes the descriptor N that qmpsh inherited")
        });
    }
    let (path, read_write) = match target.strip_prefix('>') {
        Some(path) => (path, true),
        None => (target, false),
    };
    let path_at = word.start + word.text.len() - path.len();
    let path = PathBuf::from(plain(path, path_at, word.variables)?);
    if path.as_os_str().is_empty() {
        return Err(SyntaxError::new("a path is missing", word.span())
            .help("<PATH passes a file opened for reading, <>PATH for reading and writing"));
    }
    Ok(if read_write {
        Descriptor::ReadWrite(path)
    } else {
        Descriptor::Read(path)
    })
}

/// Parses a line that starts with `{`.
fn message(list: &[Word<'_>]) -> Result<(Statement, Vec<Descriptor>), SyntaxError> {
    let object = &list[0];
    let mut descriptors = Vec::new();
    for word in &list[1..] {
        match word.text.strip_prefix('<') {
            Some(target) => descriptors.push(descriptor(target, word)?),
            None => {
                return Err(
                    SyntaxError::new("unexpected text after the message", word.span())
                        .help("a line that starts with `{` is one whole QMP message"),
                );
            }
        }
    }
    let value = literal::parse(object.text).map_err(|error| error.shifted(object.start))?;
    let Value::Object(members) = &value else {
        unreachable!("the word opens with a brace");
    };
    let id = members.get("id").map(Value::to_json);
    let name = members.get("execute").or(members.get("exec-oob"));
    let name = match name {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    // JSON is sent byte for byte as typed. The relaxed form is not JSON and is converted.
    let strict = serde_json::from_str::<serde::de::IgnoredAny>(object.text).is_ok();
    let text = match strict {
        true => object.text.to_owned(),
        false => value.to_json(),
    };
    let message = Message {
        text,
        id,
        name,
        dialect: Dialect::Qmp,
    };
    Ok((Statement::Message(message), descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
