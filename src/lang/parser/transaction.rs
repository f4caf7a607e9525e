//! Transactions.

use super::command::command;
use crate::lang::tokens::{OPENS, Word};
use crate::lang::{BuiltinLine, Command, Object, Statement, SyntaxError, Value};

/// A `transaction(` that is not closed yet.
#[derive(Debug, Default, Clone)]
pub(super) struct Transaction {
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

impl Transaction {
    /// One that this built-in is to run.
    pub fn of(builtin: BuiltinLine) -> Self {
        Self {
            builtin: Some(builtin),
            ..Self::default()
        }
    }

    /// The transaction as typed so far, one action per line.
    pub fn text(&self) -> String {
        let mut text = match &self.builtin {
            None => OPENS.to_owned(),
            Some(builtin) => format!(":{} {}", builtin.name, builtin.words.text()),
        };
        for action in &self.typed {
            text.push('\n');
            text.push_str(action);
        }
        text
    }

    /// Keeps the action in `list`, words of `source`, unless `list` is empty.
    ///
    /// # Errors
    ///
    /// It is no action. The transaction can then not be closed any more.
    pub fn action(&mut self, source: &str, list: &[Word<'_>]) -> Result<(), SyntaxError> {
        let (Some(first), Some(last)) = (list.first(), list.last()) else {
            return Ok(());
        };
        match action(list) {
            Ok(action) => {
                self.count += 1;
                self.actions.push(action);
                self.typed
                    .push(source[first.start..last.span().end].to_owned());
                Ok(())
            }
            Err(error) => {
                self.wrong_line();
                Err(error)
            }
        }
    }

    /// Counts a line that is no action.
    pub fn wrong_line(&mut self) {
        self.count += 1;
        self.wrong.get_or_insert(self.count);
    }

    /// Takes the last action back, and returns it as it was typed.
    pub fn undo(&mut self) -> Option<String> {
        self.actions.pop()?;
        self.count -= 1;
        self.typed.pop()
    }

    /// The command that sends all actions, or the built-in that runs it.
    ///
    /// # Errors
    ///
    /// One of the lines is no action.
    pub fn close(self) -> Result<Statement, SyntaxError> {
        if let Some(number) = self.wrong {
            return Err(SyntaxError::new(
                format!("the transaction was not sent, because its action {number} is invalid"),
                0..0,
            ));
        }
        let actions = Value::Array(self.actions);
        let command = Command {
            name: "transaction".to_owned(),
            arguments: Object::from([("actions".to_owned(), actions)]),
            oob: false,
        };
        Ok(match self.builtin {
            None => Statement::Command(command),
            Some(builtin) => Statement::Builtin(BuiltinLine {
                transaction: Some(Box::new(command)),
                ..builtin
            }),
        })
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
