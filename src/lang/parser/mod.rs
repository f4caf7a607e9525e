//! Reads a line's words: a command, a whole message, an action of a transaction, or a built-in.

mod command;
#[cfg(test)]
mod tests;
mod transaction;

use super::expansion::Expansion;
use super::tokens::{OPENS, PLAIN_BUILTINS, TEXT_BUILTINS, Word};
use super::{BuiltinLine, Language, Line, Statement, SyntaxError, Words, instead_of};

use command::{command, message, no_command};
use transaction::Transaction;

/// Parses lines. The only state that it keeps between lines is an open transaction.
#[derive(Debug, Default, Clone)]
pub struct Parser {
    language: Language,
    transaction: Option<Transaction>,
    /// Whether an invalid line leaves an open transaction as it was.
    forgiving: bool,
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
        self.transaction.as_ref().map(Transaction::text)
    }

    /// Takes the last action back from the open transaction, and returns it as it was typed.
    pub fn undo(&mut self) -> Option<String> {
        self.transaction.as_mut()?.undo()
    }

    /// Whether a transaction is open, so that the next line is one of its actions.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Drops the open transaction.
    pub fn abandon_transaction(&mut self) {
        self.transaction = None;
    }

    /// Records a line that could not be read or split into words. An open transaction is then not
    /// sent.
    pub fn wrong_line(&mut self) {
        if let Some(transaction) = &mut self.transaction
            && !self.forgiving
        {
            transaction.wrong_line();
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
            Language::Commands(_) if self.transaction.is_none() => Expansion::of(words),
            _ => Ok(None),
        }
    }

    /// The same for words whose alias is replaced.
    fn parse_expanded(&mut self, words: &Words) -> Result<Line, SyntaxError> {
        if !self.forgiving {
            return self.parse_line(words);
        }
        let before = self.transaction.clone();
        let list = words.list();
        if let (Some(first), Some(last)) = (list.first(), list.last())
            && (first.text == OPENS || (first.text.starts_with(':') && last.text == OPENS))
        {
            self.transaction = None;
        }
        let parsed = self.parse_line(words);
        if parsed.is_err() {
            self.transaction = before;
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
            if opens && self.transaction.is_none() && !TEXT_BUILTINS.contains(&first.text) {
                self.transaction = Some(Transaction::of(builtin));
                return Ok(Statement::Nothing.into());
            }
            return Ok(Statement::Builtin(builtin).into());
        }
        let (background, list) = strip_last(&list, "&");
        if let Language::Text(read) | Language::Words(read) = &self.language {
            let line = read(&words.part(0..list.len()))?;
            return Ok(Line { background, ..line });
        }
        let is_open = self.transaction.is_some() || first.text == "transaction(";
        if is_open && !is_all && list.last().is_none_or(|last| last.text != ")") {
            self.wrong_line();
            let end = list.last().map_or(0, Word::end);
            return Err(SyntaxError::new(
                "a filter, `>` and `| !` may only follow the `)` of a transaction",
                end..end + 2,
            ));
        }
        if let Some(transaction) = self.transaction.take() {
            return self.transaction_line(transaction, words.source(), list, background);
        }
        match first.text {
            OPENS => {
                let transaction = Transaction::default();
                self.transaction_line(transaction, words.source(), &list[1..], background)
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
        mut transaction: Transaction,
        source: &str,
        list: &[Word<'_>],
        background: bool,
    ) -> Result<Line, SyntaxError> {
        let (closes, list) = strip_last(list, ")");
        let result = transaction.action(source, list);
        if !closes {
            self.transaction = Some(transaction);
            return result.map(|()| Statement::Nothing.into());
        }
        result?;
        let statement = transaction.close()?;
        Ok(Line {
            background,
            ..Line::from(statement)
        })
    }
}

/// Whether the last word is `word`, and the words without it.
fn strip_last<'a, 'b>(list: &'a [Word<'b>], word: &str) -> (bool, &'a [Word<'b>]) {
    match list.split_last() {
        Some((last, rest)) if last.text == word => (true, rest),
        _ => (false, list),
    }
}
