//! What rustyline asks while a line is edited.

use std::borrow::Cow;
use std::sync::{Arc, RwLock};

use nu_ansi_term::{Color, Style};
use rustyline::completion::{Completer, FilenameCompleter, Pair, longest_common_prefix};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context};

use super::printer::Printer;
use super::{TRANSACTION_PROMPT, listing};
use crate::builtin::{self, BUILTINS, Completes};
use crate::lang::is_unclosed;

/// How many candidates are left to rustyline to list.
const FEW: usize = 40;

pub(super) struct Helper {
    printer: Printer,
    commands: Arc<RwLock<Vec<String>>>,
    files: FilenameCompleter,
    color: bool,
}

impl Helper {
    pub fn new(printer: Printer, commands: Arc<RwLock<Vec<String>>>, color: bool) -> Self {
        Self {
            printer,
            commands,
            files: FilenameCompleter::new(),
            color,
        }
    }

    /// The candidates for the word that starts `line` and goes up to the cursor.
    fn first_word(&self, word: &str) -> Vec<Pair> {
        match word.strip_prefix(':') {
            Some(name) => builtins(name, ":"),
            None => self.commands(word),
        }
    }

    fn commands(&self, word: &str) -> Vec<Pair> {
        let commands = self.commands.read().expect("no writer panics");
        matching(commands.iter().map(String::as_str), word)
    }

    fn argument(&self, completes: Completes, before: &[&str], word: &str) -> Vec<Pair> {
        match (completes, before) {
            (Completes::Commands, []) => self.commands(word),
            (Completes::Topics, []) => builtins(word.trim_start_matches(':'), ""),
            (Completes::Words(words), []) => matching(words.iter().map(|(name, _)| *name), word),
            (Completes::Words(words), [name]) => {
                let values = words.iter().find(|(other, _)| other == name);
                matching(values.iter().flat_map(|(_, values)| *values).copied(), word)
            }
            _ => Vec::new(),
        }
    }
}

fn builtins(name: &str, colon: &str) -> Vec<Pair> {
    BUILTINS
        .iter()
        .filter(|builtin| builtin.name.starts_with(name))
        .map(|builtin| Pair {
            display: format!("{colon}{}", builtin.name),
            replacement: format!("{colon}{} ", builtin.name),
        })
        .collect()
}

fn matching<'a>(words: impl Iterator<Item = &'a str>, prefix: &str) -> Vec<Pair> {
    let mut found: Vec<Pair> = words
        .filter(|word| word.starts_with(prefix))
        .map(|word| Pair {
            display: word.to_owned(),
            replacement: format!("{word} "),
        })
        .collect();
    found.sort_by(|a, b| a.display.cmp(&b.display));
    found
}

impl Completer for Helper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let start = line[..at]
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_whitespace())
            .map_or(0, |(space, c)| space + c.len_utf8());
        let word = &line[start..at];
        let before: Vec<&str> = line[..start].split_whitespace().collect();
        let candidates = match before.split_first() {
            _ if word.starts_with('<') && !before.is_empty() => {
                let path_at = start + word.len() - word.trim_start_matches(['<', '>']).len();
                return self.path(line, at, path_at);
            }
            None => self.list_many(self.first_word(word)),
            Some((first, before)) => match builtin::find(first) {
                Some(builtin) if builtin.completes == Completes::Files => {
                    return self.path(line, at, start);
                }
                Some(builtin) => self.argument(builtin.completes, before, word),
                None => Vec::new(),
            },
        };
        Ok((start, candidates))
    }
}

impl Helper {
    /// Lists very many candidates itself, and leaves what they have in common: rustyline would first
    /// ask whether to list them, and then page, and neither can be left with Ctrl-C.
    fn list_many(&self, candidates: Vec<Pair>) -> Vec<Pair> {
        if candidates.len() <= FEW {
            return candidates;
        }
        self.printer.show(listing::columns(&candidates));
        let common = longest_common_prefix(&candidates).unwrap_or_default();
        vec![Pair {
            display: String::new(),
            replacement: common.to_owned(),
        }]
    }

    /// Completes the path that starts at `start`.
    fn path(&self, line: &str, at: usize, start: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (offset, candidates) = self.files.complete_path(&line[start..at], at - start)?;
        Ok((start + offset, candidates))
    }
}

impl Hinter for Helper {
    type Hint = String;
}

impl Highlighter for Helper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        // Called with every repaint, so the prompt is about to stand there: from now on only the
        // editor may write.
        self.printer.set_editing(true);
        if !self.color {
            return Cow::Borrowed(prompt);
        }
        let style = match prompt {
            TRANSACTION_PROMPT => Color::Yellow.bold(),
            _ => Style::new().bold(),
        };
        Cow::Owned(style.paint(prompt).to_string())
    }

    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        Cow::Borrowed(candidate)
    }
}

impl Validator for Helper {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        // An unclosed quote or bracket goes on in the next line.
        Ok(if is_unclosed(context.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl rustyline::Helper for Helper {}
