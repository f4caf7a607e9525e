//! The keys that rustyline does not have as readline and fish have them.
//!
//! A key that changes the whole line asks the completer to do it, because only that may replace text in a way that
//! can be undone.

use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, KeyCode, KeyEvent, Modifiers,
    RepeatCount,
};

use super::graphics::Inquiry;
use super::helper::Helper;
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
    let mut bind = |keys: Vec<KeyEvent>, handler: Handler| {
        editor.bind_sequence(
            Event::KeySeq(keys),
            rustyline::EventHandler::Conditional(Box::new(handler)),
        );
    };
    let while_editing = |handle: Handle| {
        let terminal = terminal.clone();
        Handler(Box::new(move |context| match terminal.is_searching() {
            true => None,
            false => handle(context),
        }))
    };
    // In a search of the history, these would do nothing, and leave its prompt there.
    let ends_search = || {
        let terminal = terminal.clone();
        Handler(Box::new(move |_| match terminal.is_searching() {
            true => Some(Cmd::Repaint),
            false => None,
        }))
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
    let asked = requests.clone();
    bind(
        vec![KeyEvent::alt('.')],
        while_editing(Box::new(move |_| Some(asked.ask(Request::LastWord)))),
    );
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
    bind(
        vec![KeyEvent(KeyCode::Enter, Modifiers::ALT)],
        while_editing(Box::new(|_| Some(Cmd::Newline))),
    );
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
    bind(vec![KeyEvent(KeyCode::Esc, Modifiers::NONE)], ends_search());
    bind(vec![KeyEvent(KeyCode::Tab, Modifiers::NONE)], ends_search());
    let asked = requests.clone();
    bind(
        vec![KeyEvent(KeyCode::BackTab, Modifiers::NONE)],
        while_editing(Box::new(move |_| Some(asked.ask(Request::StepBack)))),
    );
    let ended = requests.clone();
    bind(
        vec![KeyEvent::ctrl('C')],
        Handler(Box::new(move |_| {
            ended.set_end(End::Cancelled);
            Some(Cmd::AcceptLine)
        })),
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
    let late = LateAnswers(inquiry);
    editor.bind_sequence(
        Event::Any,
        rustyline::EventHandler::Conditional(Box::new(late)),
    );
}

/// Takes the terminal's late answers out of the keys that have no binding.
struct LateAnswers(Inquiry);

impl ConditionalEventHandler for LateAnswers {
    fn handle(&self, event: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        let is_answer = event.get(0).is_some_and(|key| self.0.is_answer(*key));
        is_answer.then_some(Cmd::Noop)
    }
}

type Handle = Box<dyn Fn(&EventContext<'_>) -> Option<Cmd> + Send + Sync>;

struct Handler(Handle);

impl ConditionalEventHandler for Handler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        (self.0)(context)
    }
}
