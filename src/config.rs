//! `config.toml`: what a user wants of every shell. And where `rc.qmp` is, the lines that every prompt starts with.
//!
//! Both are in the XDG configuration directory. What a key means is known where settings are; here is what the file
//! says, and on which line.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use toml_edit::{Array, Document, DocumentMut, Item, Table, value};

use crate::failure::Failure;
use crate::os::private;

/// The keys of `config.toml` that are not settings: the events that are muted, the aliases, and how things look.
pub const MUTE: &str = "mute";
pub const ALIAS: &str = "alias";
pub const THEME: &str = "theme";

/// The path of `rc.qmp`. `None` if there is no home directory.
pub fn rc() -> Option<PathBuf> {
    in_directory("rc.qmp")
}

/// The path of `config.toml`.
fn file() -> Option<PathBuf> {
    in_directory("config.toml")
}

fn in_directory(name: &str) -> Option<PathBuf> {
    let strategy = etcetera::base_strategy::Xdg::new().ok()?;
    Some(strategy.config_dir().join("qmpsh").join(name))
}

/// One thing that the file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub value: Value,
    /// The number of its line, from 1.
    pub line: usize,
}

/// A value in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Switch(bool),
    Number(f64),
    Text(String),
    Texts(Vec<String>),
    Table(Vec<Entry>),
    /// A date, a list of something else than texts, …
    Other,
}

/// What `config.toml` says.
#[derive(Debug, Default)]
pub struct Config {
    path: PathBuf,
    pub entries: Vec<Entry>,
    /// Why nothing of it could be read, if there is such a file.
    pub unreadable: Option<String>,
}

impl Config {
    /// Reads the file. It need not exist.
    pub fn read() -> Self {
        let Some(path) = file() else {
            return Self::default();
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self::of(path, text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => Self {
                unreadable: Some(format!("cannot read {}: {error}", path.display())),
                ..Self::default()
            },
        }
    }

    /// What a file with this text says.
    fn of(path: PathBuf, text: String) -> Self {
        match Document::parse(&*text) {
            Ok(document) => Self {
                entries: entries(document.iter(), &|key| document.key(key), &text),
                path,
                unreadable: None,
            },
            Err(error) => Self {
                unreadable: Some(format!(
                    "{}; nothing in the file applies until that is mended",
                    not_toml(&path, &text, &error)
                )),
                ..Self::default()
            },
        }
    }

    /// The same without the entries whose keys satisfy `is`.
    pub fn without(mut self, is: impl Fn(&str) -> bool) -> Self {
        self.entries.retain(|entry| !is(&entry.key));
        self
    }

    /// What precedes a message about this line.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// The entries of a table. `key` finds a key as it stands in the file.
fn entries<'a>(
    items: impl Iterator<Item = (&'a str, &'a Item)>,
    key: &dyn Fn(&str) -> Option<&'a toml_edit::Key>,
    text: &str,
) -> Vec<Entry> {
    let entry = |(name, item): (&str, &'a Item)| {
        let span = key(name).and_then(toml_edit::Key::span).or(item.span());
        Entry {
            key: name.to_owned(),
            value: value_of(item, text),
            line: line_of(text, span.map_or(0, |span| span.start)),
        }
    };
    items.map(entry).collect()
}

fn value_of(item: &Item, text: &str) -> Value {
    if let Some(table) = item.as_table_like() {
        return Value::Table(entries(table.iter(), &|key| table.key(key), text));
    }
    let texts = |array: &Array| {
        let texts = array.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()
    };
    match item.as_value() {
        Some(toml_edit::Value::Boolean(switch)) => Value::Switch(*switch.value()),
        Some(toml_edit::Value::Integer(number)) => Value::Number(*number.value() as f64),
        Some(toml_edit::Value::Float(number)) => Value::Number(*number.value()),
        Some(toml_edit::Value::String(text)) => Value::Text(text.value().clone()),
        Some(toml_edit::Value::Array(array)) => texts(array).map_or(Value::Other, Value::Texts),
        _ => Value::Other,
    }
}

/// The number of the line with this offset, from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn not_toml(path: &Path, text: &str, error: &toml_edit::TomlError) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let message = error.message().replace('\n', ", ");
    format!("{}:{}: {message}", path.display(), line_of(text, at))
}

/// `config.toml`, to be changed. What it says otherwise, and its comments, stay.
pub struct Change {
    path: PathBuf,
    document: DocumentMut,
}

impl Change {
    /// Reads the file; a missing one is empty.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not TOML.
    pub fn begin() -> Result<Self, Failure> {
        let path = file().ok_or_else(|| {
            Failure::Local("without a home directory, there is no config.toml".to_owned())
        })?;
        // The file may be kept elsewhere, with a link to it here.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                let why = format!("cannot read {}: {error}", path.display());
                return Err(Failure::Local(why));
            }
        };
        match text.parse() {
            Ok(document) => Ok(Self { path, document }),
            Err(error) => Err(Failure::Local(not_toml(&path, &text, &error))),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has this key.
    pub fn has(&self, key: &str) -> bool {
        self.document.contains_key(key)
    }

    /// Sets a key to a value.
    pub fn set(&mut self, key: &str, value: &Value) {
        set(self.document.as_table_mut(), key, value);
    }

    /// Makes the aliases, each a name and a line, those of the file.
    pub fn set_aliases<'a>(&mut self, aliases: impl Iterator<Item = (&'a str, &'a str)>) {
        let aliases: Vec<_> = aliases.collect();
        if aliases.is_empty() && !self.has(ALIAS) {
            return;
        }
        let table = self.document.entry(ALIAS).or_insert(Table::new().into());
        let Some(table) = table.as_table_like_mut() else {
            return;
        };
        let gone: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
        for name in gone {
            if !aliases.iter().any(|(other, _)| *other == name) {
                table.remove(&name);
            }
        }
        for (name, line) in aliases {
            set(table, name, &Value::Text(line.to_owned()));
        }
    }

    /// Writes the file, so that nobody ever sees a part of it. A new one is accessible only to its owner.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write(self) -> Result<(), Failure> {
        let write = || {
            private::create_parent(&self.path)?;
            let directory = self.path.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(self.document.to_string().as_bytes())?;
            if let Ok(old) = fs::metadata(&self.path) {
                file.as_file().set_permissions(old.permissions())?;
            }
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|error: io::Error| {
            Failure::Local(format!("cannot write {}: {error}", self.path.display()))
        })
    }
}

/// Sets a key of a table. A comment after its value stays.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, wanted: &Value) {
    let mut new = match wanted {
        Value::Switch(switch) => value(*switch),
        // As a person would write it.
        Value::Number(number) if number.fract() == 0.0 => value(*number as i64),
        Value::Number(number) => value(*number),
        Value::Text(text) => value(text),
        Value::Texts(texts) => value(texts.iter().collect::<Array>()),
        Value::Table(_) | Value::Other => return,
    };
    match table.get_mut(key) {
        // What is there may be written in another way.
        Some(old) if value_of(old, "") == *wanted => {}
        Some(old) => {
            if let (Some(old), Some(new)) = (old.as_value(), new.as_value_mut()) {
                *new.decor_mut() = old.decor().clone();
            }
            *old = new;
        }
        None => drop(table.insert(key, new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Config {
        Config::of("config.toml".into(), text.to_owned())
    }

    #[test]
    fn each_entry_has_its_line() {
        let config = read("# mine\nconfirm = false\n\ntimeout = 5\n\n[alias]\n# short\nst = 'x'\n");
        let lines = config.entries.iter();
        let lines = lines.map(|entry| (&*entry.key, entry.line));
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [("confirm", 2), ("timeout", 4), ("alias", 6)]
        );
        let Value::Table(aliases) = &config.entries[2].value else {
            panic!("{config:?}");
        };
        assert_eq!(aliases[0].line, 8);
        assert_eq!(aliases[0].value, Value::Text("x".to_owned()));
        let broken = read("confirm = false\ntimeout = = 5\n");
        let why = broken.unreadable.expect("it is not TOML");
        assert!(why.starts_with("config.toml:2: "), "{why}");
    }

    #[test]
    fn a_change_leaves_comments_and_everything_else_as_they_are() {
        let text = "# mine\ntimeout = 5 # seconds\nother = [1]\n\n[alias]\n# short\nst = 'x' # y\nold = 'z'\n";
        let mut change = Change {
            path: PathBuf::new(),
            document: text.parse().expect("TOML"),
        };
        change.set("timeout", &Value::Number(2.5));
        change.set("confirm", &Value::Switch(false));
        change.set_aliases([("st", "query-status"), ("b", "query-block")].into_iter());
        assert_eq!(
            change.document.to_string(),
            "# mine\ntimeout = 2.5 # seconds\nother = [1]\nconfirm = false\n\n[alias]\n# short\n\
             st = \"query-status\" # y\nb = \"query-block\"\n"
        );
    }
}
