use std::borrow::Cow;
use std::path::PathBuf;

use super::value::members_to_json;
use super::{Dialect, Object, SyntaxError, Tail, Value, Words, literal, quote};

/// A parsed line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What the line asks for.
    pub statement: Statement,
    /// The descriptors to pass with the message, in the order written.
    pub descriptors: Vec<Descriptor>,
    /// What becomes of what it shows.
    pub tail: Box<Tail>,
    /// The line ends in `&`: do not wait for the reply.
    pub background: bool,
    /// The words to parse again when the line runs, if that is later and they may name variables.
    pub later: Option<Box<Words>>,
}

/// What a line asks for.
#[derive(Debug, Clone)]
pub enum Statement {
    /// A blank line, a comment, or an action kept for its transaction.
    Nothing,
    /// `COMMAND KEY=VALUE …`
    Command(Command),
    /// `{"execute": …}`
    Message(Message),
    /// `:NAME …`
    Builtin(BuiltinLine),
}

impl Line {
    /// The name of the command that the line sends, if known.
    pub fn command_name(&self) -> Option<&str> {
        match &self.statement {
            Statement::Command(command) => Some(&command.name),
            Statement::Message(message) => message.name.as_deref(),
            Statement::Nothing | Statement::Builtin(_) => None,
        }
    }

    /// What the line runs: the name of the command that it sends, or of a built-in, with its colon.
    pub fn first_word(&self) -> Option<Cow<'_, str>> {
        match &self.statement {
            Statement::Builtin(builtin) => Some(format!(":{}", builtin.name).into()),
            _ => self.command_name().map(Cow::from),
        }
    }

    /// The command that the line sends, whether written as `cmd key=value` or as a whole message.
    pub fn command(&self) -> Option<Cow<'_, Command>> {
        match &self.statement {
            Statement::Command(command) => Some(Cow::Borrowed(command)),
            Statement::Message(message) => message.command().map(Cow::Owned),
            Statement::Nothing | Statement::Builtin(_) => None,
        }
    }
}

impl From<Statement> for Line {
    fn from(statement: Statement) -> Self {
        Self {
            statement,
            descriptors: Vec::new(),
            tail: Box::default(),
            background: false,
            later: None,
        }
    }
}

/// A QMP command, as written in `cmd key=value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its name in the schema.
    pub name: String,
    /// Its arguments; a bare word among them has no type yet.
    pub arguments: Object,
    /// Send it out of band (`exec-oob`).
    pub oob: bool,
}

impl Command {
    /// Returns the QMP message, without an id. Bare words are typed by their looks.
    pub fn to_message(&self) -> String {
        let mut message = self.head();
        message.push_str(",\"arguments\":");
        members_to_json(&self.arguments, &mut message);
        message.push('}');
        message
    }

    /// Like [`Command::to_message`], but leaves out an empty `arguments`. QEMU's monitor reads one
    /// byte at a time, so every byte costs it a few microseconds.
    pub fn to_wire(&self) -> String {
        if self.arguments.is_empty() {
            self.head() + "}"
        } else {
            self.to_message()
        }
    }

    fn head(&self) -> String {
        let execute = if self.oob { "exec-oob" } else { "execute" };
        format!(r#"{{"{execute}":{}"#, quote(&self.name))
    }
}

/// A whole QMP message, to be sent as typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// A JSON object.
    pub text: String,
    /// Its `id`, as JSON.
    pub id: Option<String>,
    /// The value of `execute` or `exec-oob`, to name the command in messages to the user.
    pub name: Option<String>,
    /// What it was written in.
    pub dialect: Dialect,
}

impl Message {
    /// The command in the message, if it holds one.
    fn command(&self) -> Option<Command> {
        let Ok(Value::Object(mut members)) = literal::parse(&self.text) else {
            return None;
        };
        let arguments = match members.swap_remove("arguments") {
            None => Object::new(),
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return None,
        };
        Some(Command {
            name: self.name.clone()?,
            arguments,
            oob: members.contains_key("exec-oob"),
        })
    }
}

/// A line that calls a built-in.
#[derive(Debug, Clone)]
pub struct BuiltinLine {
    /// The built-in's name, without the colon.
    pub name: String,
    /// The words after the name.
    pub words: Words,
    /// The transaction that the words end in the opening of (`:finish transaction(`), once it is closed.
    pub transaction: Option<Box<Command>>,
}

impl BuiltinLine {
    /// Whether it has conditions on events, or may run a line that has.
    pub fn is_about_events(&self) -> bool {
        let name = |name: &str| matches!(name.trim_start_matches(':'), "wait" | "on");
        let mut inner = (0..self.words.len()).filter_map(|at| self.words.word(at));
        name(&self.name) || inner.any(|word| word.starts_with(':') && name(word))
    }

    /// Returns the arguments as plain text, with quotes removed.
    ///
    /// # Errors
    ///
    /// A closing quote is followed by more text.
    pub fn args(&self) -> Result<Vec<String>, SyntaxError> {
        self.words.plain()
    }
}

/// A file descriptor to pass along (SCM_RIGHTS, `unix(7)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Descriptor {
    /// `<PATH`: a file opened for reading.
    Read(PathBuf),
    /// `<>PATH`: a file opened for reading and writing.
    ReadWrite(PathBuf),
    /// `<&N`: a descriptor this process inherited.
    Inherited(i32),
}
