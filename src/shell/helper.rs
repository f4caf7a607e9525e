//! rustyline's helper: completion, hints, colours and validation while a line is edited.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use nu_ansi_term::{Color, Style};
use parking_lot::Mutex;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::History;
use rustyline::line_buffer::LineBuffer;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Changeset, Context};
use unicode_width::UnicodeWidthStr;

use super::colors::Painter;
use super::complete::{Candidate, Live, PATIENCE, Question, Sources, complete, expected, to_come};
use super::hint::{Shown, missing};
use super::listing;
use super::paste::Paste;
use super::prompt_symbol::PromptSymbol;
use super::recall::{Recall, ghost};
use super::requests::{Request, Requests};
use super::terminal::Terminal;
use crate::context::Target;
use crate::lang::{SplitLine, is_harmful, lines};
use crate::render::width;

/// How many columns are not available for the line: the prompt, and a margin on the right.
const PROMPT_COLUMNS: usize = 12;

/// What ends a line that the user cancelled.
const CANCELLED: &str = "^C";

pub(super) struct Helper {
    terminal: Terminal,
    target: Target,
    live: Live,
    paste: Paste,
    state: PromptSymbol,
    color: bool,
    /// What keys ask the completer for.
    pub keys: Requests,
    /// The open transaction, as typed so far.
    pub transaction: Arc<Mutex<Option<String>>>,
    /// Whether the line is an action of a transaction.
    in_transaction: bool,
    recall: RefCell<Recall>,
    /// Up to where [`Completer::update`] replaces the line.
    end: Cell<usize>,
    /// The text that was entered last, and its lines, so that it is split only once.
    entered: RefCell<Option<(String, Vec<SplitLine>)>>,
}

impl Helper {
    pub fn new(
        terminal: Terminal,
        target: Target,
        live: Live,
        paste: Paste,
        state: PromptSymbol,
        color: bool,
    ) -> Self {
        Self {
            terminal,
            target,
            live,
            paste,
            state,
            color,
            keys: Requests::default(),
            transaction: Arc::default(),
            in_transaction: false,
            recall: RefCell::default(),
            end: Cell::default(),
            entered: RefCell::default(),
        }
    }

    /// Prepares for another line. `transaction` is the open transaction.
    pub fn begin_line(&mut self, transaction: Option<String>) {
        self.in_transaction = transaction.is_some();
        *self.transaction.lock() = transaction;
        self.recall.take();
    }

    /// The lines of `text`, if it was entered last.
    pub fn take_lines(&self, text: &str) -> Option<Vec<SplitLine>> {
        let (entered, lines) = self.entered.take()?;
        (entered == text).then_some(lines)
    }
}

impl Completer for Helper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        if let Some(request) = self.keys.take() {
            let text = self.carry_out(request, line, context.history());
            self.end.set(line.len());
            return Ok((0, text.as_deref().map(pair).into_iter().collect()));
        }
        self.end.set(at);
        let inspector = self.target.inspector();
        let schema = inspector.known_schema();
        let commands = inspector.known_commands();
        let patience = Cell::new(PATIENCE);
        let sources = Sources {
            schema: schema.as_deref(),
            commands: &commands,
            dialect: self.target.dialect,
            verbs: &|| {
                let known = || inspector.known_verbs();
                known().or_else(|| {
                    self.live.ask(&inspector, &Question::HmpVerbs, &patience);
                    known()
                })
            },
            ask: &|question| self.live.ask(&inspector, question, &patience),
        };
        let mut found = complete(line, at, self.in_transaction, &sources);
        // What is inserted is drawn as it is. Values spell such characters as `\u`; a name cannot.
        let is_harmless = |candidate: &Candidate| !candidate.text.contains(is_harmful);
        found.candidates.retain(is_harmless);
        if found.candidates.is_empty()
            && let Some(expected) = expected(line, at, self.in_transaction, &sources)
        {
            // Only the user knows the value, so show at least its type.
            self.list(&[expected]);
        }
        Ok((
            found.start,
            self.offer(found.candidates, &line[found.start..at]),
        ))
    }

    fn update(&self, line: &mut LineBuffer, start: usize, elected: &str, changes: &mut Changeset) {
        line.replace(start..self.end.get(), elected, changes);
    }
}

/// A candidate that rustyline inserts. It shows none, because we do.
fn pair(text: &str) -> Pair {
    Pair {
        display: String::new(),
        replacement: text.to_owned(),
    }
}

impl Helper {
    /// The line after what a key asks for. `None` if there is nothing.
    fn carry_out(&self, request: Request, line: &str, history: &dyn History) -> Option<String> {
        let mut recall = self.recall.borrow_mut();
        match request {
            Request::Older => recall.older(line, history),
            Request::Newer => recall.newer(line, history),
            Request::LastWord => recall.last_word(line, history),
            Request::Replace(text) => Some(text),
        }
    }

    /// Reduces the candidates to one replacement: the only one, or their common prefix. We show the list above
    /// the line ourselves, because rustyline's own list asks, pages, and is disturbed by events.
    fn offer(&self, candidates: Vec<Candidate>, typed: &str) -> Vec<Pair> {
        match &candidates[..] {
            [] => Vec::new(),
            [only] => vec![pair(&only.text)],
            _ => {
                self.list(&candidates);
                let common = common_prefix(&candidates);
                vec![pair(if common.starts_with(typed) {
                    common
                } else {
                    typed
                })]
            }
        }
    }

    fn list(&self, candidates: &[Candidate]) {
        let list = listing::list(candidates, width(), self.color);
        self.terminal.show(list);
    }
}

/// The common prefix of the candidates' texts.
fn common_prefix(candidates: &[Candidate]) -> &str {
    let (first, others) = candidates.split_first().expect("at least one");
    let length = others.iter().fold(first.text.len(), |length, other| {
        let common = first.text[..length].char_indices().zip(other.text.chars());
        let common = common.take_while(|((_, a), b)| a == b);
        common.last().map_or(0, |((at, c), _)| at + c.len_utf8())
    });
    &first.text[..length]
}

impl Hinter for Helper {
    type Hint = Shown;

    fn hint(&self, line: &str, at: usize, context: &Context<'_>) -> Option<Shown> {
        if self.paste.character(line) || at < line.len() || line.contains('\n') || !self.color {
            return None;
        }
        if let Some(rest) = ghost(line, context.history())
            && !rest.contains(is_harmful)
        {
            return Some(Shown::Ghost(rest));
        }
        let columns = width().saturating_sub(PROMPT_COLUMNS + line.width());
        let text = line.trim_start();
        let text = match self.target.dialect.has_verbs() {
            false => text.strip_prefix(":hmp "),
            true => (!text.starts_with(':')).then_some(text),
        };
        if let Some(text) = text {
            let verbs = self.target.inspector().known_verbs()?;
            return Shown::note(&to_come(text, &verbs)?, columns);
        }
        let schema = self.target.inspector().known_schema()?;
        missing(line, self.in_transaction, &schema, columns)
    }
}

impl Highlighter for Helper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, ours: bool) -> Cow<'b, str> {
        // rustyline calls this whenever it is about to draw.
        self.terminal.begin_editing((!ours).then_some(prompt));
        let now = match self.state.renew(prompt) {
            Some(prompt) => Cow::Owned(prompt),
            None => Cow::Borrowed(prompt),
        };
        if !self.color {
            return now;
        }
        let style = if self.in_transaction {
            Color::Yellow.bold()
        } else {
            Style::new().bold()
        };
        Cow::Owned(style.paint(now).to_string())
    }

    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        self.terminal.set_found(line, at);
        if !self.color || self.paste.goes_on() {
            return Cow::Borrowed(line);
        }
        let inspector = self.target.inspector();
        let schema = inspector.known_schema();
        let painter = Painter {
            inspector: &inspector,
            schema: schema.as_deref(),
            in_transaction: self.in_transaction,
            dialect: self.target.dialect,
        };
        Cow::Owned(painter.paint(line, at))
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        // rustyline would draw a cancelled line once more, without what marks it.
        self.color && !self.paste.goes_on() && !self.keys.is_cancelled()
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.keys.is_cancelled() {
            return Cow::Borrowed(hint);
        }
        Cow::Owned(Style::new().dimmed().paint(hint).to_string())
    }
}

impl Validator for Helper {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        if self.keys.is_cancelled() {
            return Ok(ValidationResult::Valid(Some(CANCELLED.to_owned())));
        }
        let text = context.input();
        let lines = lines(text, &self.target.language());
        // An unclosed quote or bracket continues on the next line.
        if lines.last().is_some_and(SplitLine::is_unclosed) {
            return Ok(ValidationResult::Incomplete);
        }
        self.entered.replace(Some((text.to_owned(), lines)));
        Ok(ValidationResult::Valid(None))
    }
}

impl rustyline::Helper for Helper {}
