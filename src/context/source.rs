//! The lines of a file, and where a line comes from.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::failure::Failure;
use crate::lang::{Language, SplitLine, Words, conceal, lines};
use crate::render::escape_line;

/// How many characters of a line an error message quotes.
const QUOTE: usize = 60;

/// Where a line comes from. Displays as the place and the quoted line, to precede an error message.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    pub file: Option<Arc<str>>,
    /// The line's number, from 1; 0 if the line comes from the command line.
    pub number: usize,
    /// The line as typed; empty if errors do not quote it.
    pub text: String,
}

impl Origin {
    /// What precedes the message of this failure: the place, and the line unless the failure quotes it itself.
    pub fn head(&self, failure: &Failure) -> String {
        match failure {
            Failure::Syntax { .. } => self.place(),
            _ => self.to_string(),
        }
    }

    /// The place without the line.
    fn place(&self) -> String {
        match (&self.file, self.number) {
            (_, 0) => String::new(),
            (Some(file), number) => format!("{}:{number}: ", escape_line(file)),
            (None, number) => format!("line {number}: "),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        let text = conceal(self.text.trim());
        match text.char_indices().nth(QUOTE) {
            _ if text.is_empty() => Ok(()),
            None => write!(f, "`{}`: ", escape_line(&text)),
            Some((end, _)) => write!(f, "`{}…`: ", escape_line(&text[..end])),
        }
    }
}

/// A line of a file that another line runs.
#[derive(Debug, Clone)]
pub struct SourcedLine {
    pub words: Words,
    pub origin: Origin,
}

/// Reads a file of lines in `language`. Leaves out blank lines and comments.
///
/// # Errors
///
/// The file cannot be read, or some of its lines cannot be split into words.
pub fn read_lines(path: &Path, language: &Language) -> Result<Vec<SourcedLine>, Failure> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::Local(format!("cannot read {shown}: {error}")))?;
    let file: Arc<str> = shown.into();
    let mut number = 1;
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for SplitLine { text, words } in lines(&text.replace("\r\n", "\n"), language) {
        let origin = Origin {
            file: Some(file.clone()),
            number,
            text,
        };
        number += 1 + origin.text.matches('\n').count();
        match words {
            Ok(words) if words.is_empty() => {}
            Ok(words) => found.push(SourcedLine { words, origin }),
            Err(error) => {
                let failure = Failure::syntax(error, &origin.text);
                wrong.push(format!("{}{failure}", origin.head(&failure)));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(found),
        false => Err(Failure::Lines(wrong)),
    }
}
