//! The keys that rustyline does not have as readline and fish have them.
//!
//! A key that changes the whole line asks the completer to do it, because only that may replace text in a way that
//! can be undone.

use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, EditMode, Editor, Event, EventContext, EventHandler, KeyCode,
    KeyEvent, Modifiers, RepeatCount,
};

use super::graphics::Inquiry;
use super::helper::Helper;
use super::meta::{self, Meta};
use super::requests::{End, Request, Requests};
use super::terminal::Terminal;

/// Binds the keys. `edit` lets the user edit a text in a program of theirs, and returns the result.
pub(super) fn bind(
    editor: &mut Editor<Helper, MemHistory>,
    requests: &Requests,
    terminal: &Terminal,
    inquiry: Inquiry,
    edit: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) {
    let meta = Meta::default();
    let mut bind = |keys: Vec<KeyEvent>, handle: Handle| {
        let handler = Handler(meta.clone(), handle);
        editor.bind_sequence(
            Event::KeySeq(keys),
            EventHandler::Conditional(Box::new(handler)),
        );
    };
    let while_editing = |handle: Handle| -> Handle {
        let terminal = terminal.clone();
        Box::new(move |context| match terminal.is_searching() {
            true => None,
            false => handle(context),
        })
    };
    // In a search of the history, these would do nothing, and leave its prompt there.
    let ends_search = || {
        let terminal = terminal.clone();
        move || terminal.is_searching().then_some(Cmd::Repaint)
    };
    let up = KeyEvent(KeyCode::Up, Modifiers::NONE);
    let asked = requests.clone();
    bind(
        vec![up],
        while_editing(Box::new(move |context| {
            let is_first_row = !context.line()[..context.pos()].contains('\n');
            is_first_row.then(|| asked.ask(Request::Older))
        })),
    );
    let down = KeyEvent(KeyCode::Down, Modifiers::NONE);
    let asked = requests.clone();
    bind(
        vec![down],
        while_editing(Box::new(move |context| {
            let is_last_row = !context.line()[context.pos()..].contains('\n');
            is_last_row.then(|| asked.ask(Request::Newer))
        })),
    );
    for code in [KeyCode::Char('.'), KeyCode::Enter] {
        let asked = requests.clone();
        bind(
            vec![KeyEvent(code, Modifiers::ALT)],
            while_editing(Box::new(move |_| {
                meta::command(KeyEvent(code, Modifiers::NONE), 1, &asked)
            })),
        );
    }
    let right = KeyEvent(KeyCode::Right, Modifiers::NONE);
    for key in [right, KeyEvent::ctrl('F')] {
        bind(
            vec![key],
            while_editing(Box::new(|context| {
                let accepts =
                    context.pos() == context.line().len() && context.hint_text().is_some();
                accepts.then_some(Cmd::CompleteHint)
            })),
        );
    }
    let asked = requests.clone();
    bind(
        vec![KeyEvent::ctrl('X'), KeyEvent::ctrl('E')],
        while_editing(Box::new(move |context| {
            let edited = edit(context.line());
            Some(match edited {
                Some(text) => asked.ask(Request::Replace(text)),
                None => Cmd::Repaint,
            })
        })),
    );
    let (ends, begun) = (ends_search(), meta.clone());
    bind(
        vec![KeyEvent(KeyCode::Esc, Modifiers::NONE)],
        Box::new(move |context| {
            ends().or_else(|| {
                let is_prefix = context.mode() == EditMode::Emacs;
                is_prefix.then(|| {
                    begun.begin();
                    Cmd::Noop
                })
            })
        }),
    );
    let ends = ends_search();
    bind(
        vec![KeyEvent(KeyCode::Tab, Modifiers::NONE)],
        Box::new(move |_| ends()),
    );
    let asked = requests.clone();
    bind(
        vec![KeyEvent(KeyCode::BackTab, Modifiers::NONE)],
        while_editing(Box::new(move |_| Some(asked.ask(Request::StepBack)))),
    );
    let ended = requests.clone();
    bind(
        vec![KeyEvent::ctrl('C')],
        Box::new(move |_| {
            ended.set_end(End::Cancelled);
            Some(Cmd::AcceptLine)
        }),
    );
    let ended = requests.clone();
    bind(
        vec![KeyEvent::ctrl('D')],
        while_editing(Box::new(move |context| {
            context.line().is_empty().then(|| {
                ended.set_end(End::Leave);
                Cmd::AcceptLine
            })
        })),
    );
    let unbound = Unbound {
        inquiry,
        meta,
        requests: requests.clone(),
    };
    editor.bind_sequence(Event::Any, EventHandler::Conditional(Box::new(unbound)));
}

type Handle = Box<dyn Fn(&EventContext<'_>) -> Option<Cmd> + Send + Sync>;

/// Handles a key that is bound.
struct Handler(Meta, Handle);

impl ConditionalEventHandler for Handler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        self.0.end();
        (self.1)(context)
    }
}

/// Handles all other keys: those after Esc, and what are no keys, but late answers of the terminal.
struct Unbound {
    inquiry: Inquiry,
    meta: Meta,
    requests: Requests,
}

impl ConditionalEventHandler for Unbound {
    fn handle(&self, event: &Event, count: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        let key = *event.get(0)?;
        if self.inquiry.is_answer(key) {
            return Some(Cmd::Noop);
        }
        match self.meta.end() {
            true => meta::command(key, count, &self.requests),
            false => None,
        }
    }
}
