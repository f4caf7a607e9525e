//! rustyline's helper: completion, hints, colours and validation while a line is edited.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use parking_lot::Mutex;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::History;
use rustyline::line_buffer::LineBuffer;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Changeset, Context};
use unicode_width::UnicodeWidthStr;

use super::colors::Painter;
use super::complete::{
    Answer, Candidate, Completion, Live, Question, Replacement, Sources, complete, expected,
    to_come,
};
use super::continued::Continued;
use super::drawn::Drawn;
use super::hint::{Shown, missing};
use super::listing;
use super::paste::Paste;
use super::prompt_symbol::PromptSymbol;
use super::recall::{Recall, ghost};
use super::requests::{Request, Requests};
use super::terminal::{Terminal, breaks_lines_anew};
use super::walk::Walk;
use crate::context::{self, Agenda, Kind, Row, unasked_patience};
use crate::lang::{Aliases, SplitLine, is_harmful, lines};
use crate::render::{Role, height, width};

/// How many columns stay free on the right of a hint.
const MARGIN: usize = 3;

/// What ends a line that the user cancelled.
const CANCELLED: &str = "^C";

pub(super) struct Helper {
    terminal: Terminal,
    context: context::Context,
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
    /// The aliases that the line may begin with.
    aliases: Arc<Aliases>,
    recall: RefCell<Recall>,
    walk: RefCell<Walk>,
    /// What [`Completer::update`] makes of the line, and the cursor in it.
    changed: RefCell<Option<(String, usize)>>,
    drawn: RefCell<Drawn>,
    /// The line was cleared, and has to be drawn as a whole.
    is_cleared: Cell<bool>,
    breaks_lines_anew: bool,
    /// The rows that the kernel has edited.
    pub continued: Continued,
    /// The text that was entered last, and its lines, so that it is split only once.
    entered: RefCell<Option<(String, Vec<SplitLine>)>>,
}

impl Helper {
    pub fn new(
        terminal: Terminal,
        context: context::Context,
        live: Live,
        paste: Paste,
        state: PromptSymbol,
        color: bool,
    ) -> Self {
        Self {
            terminal,
            context,
            live,
            paste,
            state,
            color,
            keys: Requests::default(),
            transaction: Arc::default(),
            in_transaction: false,
            aliases: Arc::default(),
            recall: RefCell::default(),
            walk: RefCell::default(),
            changed: RefCell::default(),
            drawn: RefCell::default(),
            is_cleared: Cell::default(),
            breaks_lines_anew: breaks_lines_anew(),
            continued: Continued::default(),
            entered: RefCell::default(),
        }
    }

    /// Prepares for another line. `transaction` is the open transaction.
    pub fn begin_line(&mut self, transaction: Option<String>, aliases: Arc<Aliases>) {
        self.aliases = aliases;
        self.in_transaction = transaction.is_some();
        *self.transaction.lock() = transaction;
        self.recall.take();
        self.walk.take();
        self.drawn.take();
        self.continued.begin();
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
        let changed = match self.keys.take() {
            None => self.tab(line, at)?,
            Some(Request::StepBack) => self.walk.borrow_mut().step(line, at, false),
            Some(request) => {
                let text = self.carry_out(request, line, context.history());
                text.map(|text| {
                    let end = text.len();
                    (text, end)
                })
            }
        };
        let is_change = changed.is_some();
        self.changed.replace(changed);
        Ok((0, if is_change { vec![NOTHING] } else { Vec::new() }))
    }

    fn update(&self, line: &mut LineBuffer, _: usize, _: &str, changes: &mut Changeset) {
        if let Some((text, at)) = self.changed.take() {
            if text == line.as_str() {
                line.set_pos(at);
            } else {
                line.update(&text, at, changes);
            }
        }
    }
}

/// What rustyline is to insert and to show: [`Helper::update`] and [`Terminal::list`] do both. With one candidate it
/// draws the line again, with none it beeps.
const NOTHING: Pair = Pair {
    display: String::new(),
    replacement: String::new(),
};

impl Helper {
    /// The line after what a key asks for. `None` if there is nothing.
    fn carry_out(&self, request: Request, line: &str, history: &dyn History) -> Option<String> {
        let mut recall = self.recall.borrow_mut();
        match request {
            Request::Older => recall.older(line, history),
            Request::Newer => recall.newer(line, history),
            Request::LastWord => recall.last_word(line, history),
            Request::Replace(text) => Some(text),
            Request::StepBack => None,
        }
    }

    /// The line after TAB, and the cursor in it: with the only candidate, or with what all of them have in common, in
    /// which case they are listed, and further TABs walk through them. `None` if there is no candidate.
    fn tab(&self, line: &str, at: usize) -> rustyline::Result<Option<(String, usize)>> {
        if let Some(step) = self.walk.borrow_mut().step(line, at, true) {
            return Ok(Some(step));
        }
        let (Completion { start, candidates }, expected) = self.candidates(line, at);
        match (&candidates[..], expected) {
            ([], None) => Ok(None),
            ([], Some(expected)) => {
                // Only the user knows the value, so show at least its type.
                self.list(&[expected], line, at)?;
                Ok(Some((line.to_owned(), at)))
            }
            ([only], _) => {
                let change = Replacement::of_word(line, start, at, &only.text);
                Ok(Some(change.applied_to(line)))
            }
            _ => {
                self.list(&candidates, line, at)?;
                let (common, typed) = (common_prefix(&candidates), &line[start..at]);
                let common = if common.starts_with(typed) {
                    common
                } else {
                    typed
                };
                let words = candidates.iter();
                let words =
                    words.map(|candidate| Replacement::of_word(line, start, at, &candidate.text));
                let first = Replacement::of_prefix(line, start, at, common);
                let steps = std::iter::once(first).chain(words).collect();
                let walk = Walk::new(line, steps);
                let now = walk.now();
                self.walk.replace(walk);
                Ok(now)
            }
        }
    }

    /// The candidates for the word at the cursor; if there are none, what is expected there.
    fn candidates(&self, line: &str, at: usize) -> (Completion, Option<Candidate>) {
        let inspector = self.context.target.inspector();
        let schema = inspector.known_schema();
        let commands = inspector.known_commands();
        let patience = Cell::new(unasked_patience());
        let sources = Sources {
            aliases: &self.aliases,
            variables: &self.context.variables(),
            seen: &|name| self.context.seen(name),
            schema: schema.as_deref(),
            commands: &commands,
            dialect: self.context.target.dialect,
            verbs: &|| {
                let known = || inspector.known_verbs();
                known().or_else(|| {
                    self.live.ask(&inspector, &Question::HmpVerbs, &patience);
                    known()
                })
            },
            ask: &|question| {
                let ours = of_agenda(&self.context.agenda, question);
                ours.unwrap_or_else(|| self.live.ask(&inspector, question, &patience))
            },
        };
        let mut found = complete(line, at, self.in_transaction, &sources);
        // What is inserted is drawn as it is. Values spell such characters as `\u`; a name cannot.
        let is_harmless = |candidate: &Candidate| !candidate.text.contains(is_harmful);
        found.candidates.retain(is_harmless);
        let expected = match found.candidates.is_empty() {
            true => expected(line, at, self.in_transaction, &sources),
            false => None,
        };
        (found, expected)
    }

    /// Lists candidates above the line, with the cursor at `at`.
    fn list(&self, candidates: &[Candidate], line: &str, at: usize) -> rustyline::Result<()> {
        let rows = height().saturating_sub(2);
        let list = listing::list(candidates, width(), rows, self.color);
        let rows = self.drawn.borrow().rows(line, at, width());
        Ok(self.terminal.list(&list, candidates.len(), rows)?)
    }
}

/// The answers to a question that is about our own listeners and timers.
fn of_agenda(agenda: &Agenda, question: &Question) -> Option<Vec<Answer>> {
    let listeners = matches!(question, Question::Listeners);
    if !listeners && !matches!(question, Question::Timers) {
        return None;
    }
    let rows = agenda.list(|kind| match kind {
        Kind::Listener(condition) => listeners.then(|| format!("on {condition} do")),
        timer => timer.schedule().filter(|_| !listeners),
    });
    let answer = |row: Row| Answer::new(row.id.to_string(), format!("{} {}", row.when, row.line));
    Some(rows.into_iter().map(answer).collect())
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
        // rustyline calls this before it clears the line that was drawn last.
        self.follow_resize();
        let hint = self.shown_after(line, at, context);
        let text = hint.as_ref().map_or("", |hint| hint.display());
        text.clone_into(&mut self.drawn.borrow_mut().hint);
        hint
    }
}

impl Helper {
    /// Prepares for the line to be drawn if the terminal has been resized since it was drawn last.
    fn follow_resize(&self) {
        let mut drawn = self.drawn.borrow_mut();
        let columns = width();
        if drawn.columns == 0 || drawn.columns == columns || !self.breaks_lines_anew {
            return;
        }
        let before = drawn.rows(&drawn.line, drawn.at, drawn.columns);
        let now = drawn.broken_anew(columns);
        if before != now {
            // If the terminal is gone, the shell learns that from a signal.
            let _ = Terminal::follow_resize(before, now);
            self.is_cleared.set(true);
        }
        drawn.columns = columns;
    }

    /// What to show after the line.
    fn shown_after(&self, line: &str, at: usize, context: &Context<'_>) -> Option<Shown> {
        if self.paste.character(line) || at < line.len() || line.contains('\n') || !self.color {
            return None;
        }
        if let Some(rest) = ghost(line, context.history())
            && !rest.contains(is_harmful)
        {
            return Some(Shown::Ghost(rest));
        }
        let columns = self.drawn.borrow().prompt.width() + line.width() + MARGIN;
        let columns = width().checked_sub(columns)?;
        let text = line.trim_start();
        let text = match self.context.target.dialect.has_verbs() {
            false => text.strip_prefix(":hmp "),
            true => (!text.starts_with(':')).then_some(text),
        };
        if let Some(text) = text {
            let verbs = self.context.target.inspector().known_verbs()?;
            return Shown::note(&to_come(text, &verbs)?, columns);
        }
        let schema = self.context.target.inspector().known_schema()?;
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
        let mut drawn = self.drawn.borrow_mut();
        now.as_ref().clone_into(&mut drawn.prompt);
        drawn.columns = width();
        drop(drawn);
        if !self.color {
            return now;
        }
        let role = if self.in_transaction {
            Role::TransactionPrompt
        } else {
            Role::Prompt
        };
        Cow::Owned(role.style().paint(now).to_string())
    }

    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        self.terminal.set_found(line, at);
        if !self.color || self.paste.goes_on() {
            return Cow::Borrowed(line);
        }
        let inspector = self.context.target.inspector();
        let schema = inspector.known_schema();
        let painter = Painter {
            inspector: &inspector,
            schema: schema.as_deref(),
            in_transaction: self.in_transaction,
            aliases: &self.aliases,
            dialect: self.context.target.dialect,
        };
        Cow::Owned(painter.paint(line, at))
    }

    fn highlight_char(&self, line: &str, at: usize, _: CmdKind) -> bool {
        // rustyline calls this whenever the line or the cursor is another.
        let mut drawn = self.drawn.borrow_mut();
        line.clone_into(&mut drawn.line);
        drawn.at = at;
        if self.is_cleared.take() {
            return true;
        }
        // rustyline would draw a cancelled line once more, without what marks it.
        self.color && !self.paste.goes_on() && !self.keys.is_cancelled()
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.keys.is_cancelled() {
            return Cow::Borrowed(hint);
        }
        Cow::Owned(Role::Aside.style().paint(hint).to_string())
    }
}

impl Validator for Helper {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        if self.keys.is_cancelled() {
            return Ok(ValidationResult::Valid(Some(CANCELLED.to_owned())));
        }
        let text = self.continued.rest(context.input());
        let lines = lines(text, &self.context.target.language());
        // An unclosed quote or bracket continues on the next line.
        if lines.last().is_some_and(SplitLine::is_unclosed) {
            self.continued.goes_on(context.input());
            return Ok(ValidationResult::Incomplete);
        }
        self.entered.replace(Some((text.to_owned(), lines)));
        Ok(ValidationResult::Valid(None))
    }
}

impl rustyline::Helper for Helper {}
