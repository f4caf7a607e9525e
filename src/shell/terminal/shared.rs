//! What the threads share: the state of the terminal, what waits to be written, and what the writer is doing.
//!
//! Everything is kept under one lock, which nobody holds while writing.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::instruction::{Instruction, Task, To};
use super::state::{Attached, TerminalState};

/// What is printed above a line only so that the line is drawn again: a row up, a row down. In the topmost row there
/// is no row up, so that a line which Ctrl-L has put there moves down by one.
const NOTHING: &str = "\x1b[A\n";

/// What the writer thread is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Waiting,
    Writing(To),
    /// It is to write no more of what it is writing. So many bytes that were to come after that are dropped, too.
    Told(usize),
}

/// What the threads share.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// Anything in there has changed.
    changed: Condvar,
    /// A line that is edited has been drawn.
    pub drawn: Notify,
}

struct Inner {
    state: TerminalState,
    queue: VecDeque<Instruction>,
    writer: Writer,
    /// Hands over to rustyline what is to be shown above the line.
    above: Option<mpsc::Sender<String>>,
    /// rustyline has not taken yet what it was handed last.
    handing_over: bool,
    /// A progress bar is shown.
    progress: bool,
}

/// The transitions.
impl Shared {
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                state: TerminalState::Showing,
                queue: VecDeque::new(),
                writer: Writer::Waiting,
                above: None,
                handing_over: false,
                progress: false,
            }),
            changed: Condvar::new(),
            drawn: Notify::new(),
        }
    }

    /// To editing, or to searching if the prompt of a search is given: rustyline is about to draw. Returns when
    /// nobody else is writing. For the editor's thread.
    pub fn edit(&self, search: Option<&str>) {
        let mut inner = self.inner.lock();
        inner.state.edit(search);
        self.changed.notify_all();
        self.changed.wait_while(&mut inner, |inner| {
            inner.writer != Writer::Waiting && inner.state.is_edited()
        });
        drop(inner);
        self.drawn.notify_one();
    }

    /// Sets what stands after the prompt of a search, if one is shown.
    pub fn found(&self, line: &str, at: usize) {
        self.inner.lock().state.found(line, at);
    }

    /// From editing or searching to showing: the line has ended.
    pub fn edited(&self) {
        self.change(|inner| inner.state.edited());
    }

    pub fn is_edited(&self) -> bool {
        self.inner.lock().state.is_edited()
    }

    /// From showing to attached, unless something is still to be shown; whether it was done.
    pub fn attach(&self) -> bool {
        self.change(|inner| inner.is_idle() && inner.state.attach())
    }

    /// From attached to showing: what was held is shown.
    pub fn detach(&self) {
        self.change(|inner| {
            if let Some(Attached {
                lost: lost @ 1.., ..
            }) = inner.state.detach()
            {
                let text = format!("{lost} more outputs came than could be kept\n");
                inner.queue.push_back(Instruction::Complain(text));
            }
        });
    }

    /// From any state to leaving. What `last` returns, which is told whether a guest had the terminal, is shown before
    /// anything else.
    pub fn leave(&self, last: impl FnOnce(bool) -> &'static str) {
        self.change(|inner| {
            let attached = inner.state.leave();
            if attached {
                inner.stop_writing(0);
            }
            inner
                .queue
                .push_front(Instruction::Show(last(attached).to_owned()));
        });
    }

    pub fn is_leaving(&self) -> bool {
        matches!(self.inner.lock().state, TerminalState::Leaving)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock());
        self.changed.notify_all();
        result
    }
}

/// What those who have something to show do.
impl Shared {
    pub fn push(&self, instruction: Instruction) {
        self.change(|inner| {
            if let TerminalState::Attached(attached) = &mut inner.state {
                let keep = match &instruction {
                    Instruction::Show(text) | Instruction::Complain(text) => {
                        attached.hold(text.len())
                    }
                    Instruction::Progress(_) | Instruction::Repaint => false,
                    Instruction::Settle(_) => true,
                };
                if !keep {
                    return;
                }
            }
            match (inner.queue.back_mut(), instruction) {
                (Some(Instruction::Progress(old)), Instruction::Progress(new)) => *old = new,
                (Some(Instruction::Repaint), Instruction::Repaint) => {}
                (_, instruction) => inner.queue.push_back(instruction),
            }
        });
    }

    /// Writes a guest's `bytes`, if it has the terminal. What is returned resolves when that is done or will never be.
    pub fn push_console(&self, bytes: Vec<u8>) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.change(|inner| {
            if let TerminalState::Attached(attached) = &mut inner.state {
                attached.pieces.push_back((bytes, done));
            }
        });
        wait
    }

    /// Drops what a guest printed and is not written yet.
    pub fn drop_console(&self) {
        self.change(|inner| {
            if let TerminalState::Attached(attached) = &mut inner.state {
                attached.pieces.clear();
                inner.stop_writing(0);
            }
        });
    }

    /// Drops what is being shown and what was to be shown after that, and says so.
    pub fn drop_output(&self) {
        self.change(|inner| {
            let mut dropped = 0;
            inner.queue.retain(|instruction| match instruction {
                Instruction::Show(text) => {
                    dropped += text.len();
                    false
                }
                _ => true,
            });
            if !inner.stop_writing(dropped) {
                inner.say_dropped(dropped);
            }
        });
    }

    /// Waits until everything is written, but no longer than `limit`.
    pub fn wait_until_written(&self, limit: Duration) {
        let due = Instant::now() + limit;
        let mut inner = self.inner.lock();
        self.changed
            .wait_while_until(&mut inner, |inner| !inner.is_idle(), due);
    }
}

/// What the writer's threads do.
impl Shared {
    /// Waits for something to do; until it is [`Shared::finish`]ed, the terminal is the writer's.
    pub fn next(&self) -> Task {
        let mut inner = self.inner.lock();
        loop {
            if let Some(task) = inner.next() {
                inner.writer = Writer::Writing(task.to);
                return task;
            }
            self.changed.wait(&mut inner);
        }
    }

    /// Whether the writer is to go on with what it is writing.
    pub fn goes_on(&self) -> bool {
        matches!(self.inner.lock().writer, Writer::Writing(_))
    }

    /// Ends a task of which `rest` was not written.
    pub fn finish(&self, to: To, rest: usize) {
        self.change(|inner| {
            if let Writer::Told(dropped) = inner.writer
                && to != To::Console
            {
                inner.say_dropped(rest + dropped);
            }
            inner.writer = Writer::Waiting;
        });
    }

    /// Takes what hands over to rustyline what is to be shown above the line.
    pub fn use_above(&self, above: mpsc::Sender<String>) {
        self.change(|inner| inner.above = Some(above));
    }

    /// rustyline has taken what it was handed.
    pub fn handed_over(&self) {
        self.change(|inner| inner.handing_over = false);
    }
}

impl Inner {
    /// Whether nothing is to be written.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.writer == Writer::Waiting
    }

    /// Tells the writer to write no more of what it is writing; `dropped` bytes after that are dropped, too. Whether it
    /// was told: a complaint it writes to the end.
    fn stop_writing(&mut self, dropped: usize) -> bool {
        let stops = matches!(self.writer, Writer::Writing(To::Output | To::Console));
        if stops {
            self.writer = Writer::Told(dropped);
        }
        stops
    }

    fn say_dropped(&mut self, count: usize) {
        if count > 0 {
            // Colours end here, and a sequence that was cut off.
            let text = format!("\x1b[0m\n… {count} bytes are not shown\n");
            self.queue.push_front(Instruction::Complain(text));
        }
    }

    fn next(&mut self) -> Option<Task> {
        if let TerminalState::Attached(attached) = &mut self.state {
            let (text, done) = attached.pieces.pop_front()?;
            return Some(Task {
                text,
                to: To::Console,
                clear: false,
                done: Some(done),
            });
        }
        let edited = self.state.is_edited();
        loop {
            // rustyline takes one text at a time. When the line ends before that, it takes it once the next line is
            // edited, and nothing else waits for that.
            if edited && self.handing_over {
                return None;
            }
            let instruction = self.queue.pop_front()?;
            let clear = std::mem::take(&mut self.progress) && !edited;
            let (text, to, done) = match instruction {
                Instruction::Show(text) => (text, To::Output, None),
                Instruction::Complain(text) => (text, To::Error, None),
                Instruction::Progress(text) if !edited => {
                    self.progress = !text.is_empty();
                    (text, To::Output, None)
                }
                Instruction::Repaint if edited => (NOTHING.to_owned(), To::Output, None),
                Instruction::Progress(_) | Instruction::Repaint => {
                    (String::new(), To::Output, None)
                }
                Instruction::Settle(done) => (String::new(), To::Output, Some(done)),
            };
            if text.is_empty() && done.is_none() && !clear {
                continue;
            }
            let (text, to) = match (&self.state, &self.above) {
                _ if text.is_empty() => (text, to),
                (TerminalState::Searching(search), _)
                    if let Some(text) = search.show_above(&text) =>
                {
                    (text, To::Output)
                }
                (TerminalState::Editing | TerminalState::Searching(_), Some(above)) => {
                    self.handing_over = above.send(text).is_ok();
                    continue;
                }
                _ => (text, to),
            };
            return Some(Task {
                text: text.into_bytes(),
                to,
                clear,
                done,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(shared: &Shared, text: &str) {
        shared.push(Instruction::Show(text.to_owned()));
    }

    /// What is written next.
    fn written(shared: &Shared) -> String {
        let task = shared.next();
        shared.finish(task.to, 0);
        String::from_utf8(task.text).expect("text")
    }

    #[test]
    fn what_the_editor_has_not_taken_when_the_line_ends_keeps_nothing_else_waiting() {
        let shared = Shared::new();
        let (sender, above) = mpsc::channel();
        shared.use_above(sender);
        shared.edit(None);
        show(&shared, "first");
        show(&shared, "second");
        assert!(shared.inner.lock().next().is_none());
        assert_eq!(above.try_iter().collect::<Vec<_>>(), ["first"]);
        shared.edited();
        assert_eq!(written(&shared), "second");
        shared.edit(None);
        show(&shared, "third");
        assert!(shared.inner.lock().next().is_none());
        assert_eq!(above.try_iter().count(), 0);
        shared.handed_over();
        assert!(shared.inner.lock().next().is_none());
        assert_eq!(above.try_iter().collect::<Vec<_>>(), ["third"]);
    }

    #[test]
    fn what_is_dropped_is_counted_and_complaints_are_not() {
        let shared = Shared::new();
        show(&shared, "a long reply");
        let task = shared.next();
        show(&shared, "another");
        shared.push(Instruction::Complain("wrong".to_owned()));
        shared.drop_output();
        assert!(!shared.goes_on());
        shared.finish(task.to, 5);
        assert!(written(&shared).contains("… 12 bytes are not shown"));
        assert_eq!(written(&shared), "wrong");
    }

    #[test]
    fn while_a_guest_has_the_terminal_a_bounded_number_of_bytes_is_held() {
        let shared = Shared::new();
        assert!(shared.attach());
        for _ in 0..5 {
            show(&shared, &"x".repeat(1 << 20));
        }
        drop(shared.push_console(b"guest".to_vec()));
        assert_eq!(written(&shared), "guest");
        assert!(shared.inner.lock().next().is_none());
        shared.detach();
        for _ in 0..4 {
            assert_eq!(written(&shared).len(), 1 << 20);
        }
        assert!(written(&shared).starts_with("1 more output"));
        assert!(shared.inner.lock().is_idle());
    }

    #[test]
    fn nothing_leads_out_of_leaving() {
        let shared = Shared::new();
        shared.edit(None);
        shared.leave(|attached| if attached { "attached" } else { "a line" });
        shared.edit(None);
        shared.edited();
        assert!(!shared.attach());
        assert!(shared.is_leaving() && !shared.is_edited());
        assert_eq!(written(&shared), "a line");
    }
}
