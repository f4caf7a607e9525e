//! What the threads share: the state of the terminal, the queue of output, and what the writer is doing.
//!
//! One lock protects all of it, and nobody holds it while writing.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::instruction::{Instruction, Task, To};
use super::state::{Attached, TerminalState};

/// Printed above a line only to have the line redrawn: moves a row up and a row down. In the topmost row, where
/// the cursor cannot move up, the line moves down by one instead.
const NOTHING: &str = "\x1b[A\n";

/// What the writer's thread is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Waiting,
    Writing(To),
    /// It was told to stop writing. The number counts bytes that were queued after its text and dropped as
    /// well.
    Told(usize),
}

/// The state shared by the threads.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// Signalled when anything in `inner` has changed.
    changed: Condvar,
    /// Signalled when the line being edited has been drawn.
    pub drawn: Notify,
}

struct Inner {
    state: TerminalState,
    queue: VecDeque<Instruction>,
    writer: Writer,
    /// Hands over to rustyline what to show above the line.
    above: Option<mpsc::Sender<String>>,
    /// Whether rustyline has yet to take the last text that was handed over.
    handing_over: bool,
    /// Whether a progress bar is shown.
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

    /// To editing, or to searching if `search` gives the prompt of a search: rustyline is about to draw.
    /// Returns once the writer has finished its current write. Only for the editor's thread.
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

    /// Sets the line after the prompt of a search, and the cursor's offset in it in bytes. Ignored outside a
    /// search.
    pub fn found(&self, line: &str, at: usize) {
        self.inner.lock().state.found(line, at);
    }

    /// From editing or searching to showing, when the line has ended.
    pub fn edited(&self) {
        self.change(|inner| inner.state.edited());
    }

    /// Whether rustyline has the terminal.
    pub fn is_edited(&self) -> bool {
        self.inner.lock().state.is_edited()
    }

    /// Whether rustyline searches the history.
    pub fn is_searching(&self) -> bool {
        matches!(self.inner.lock().state, TerminalState::Searching(_))
    }

    /// From showing to attached, unless output is still queued. Returns whether it changed the state.
    pub fn attach(&self) -> bool {
        self.change(|inner| inner.is_idle() && inner.state.attach())
    }

    /// From editing to attached.
    pub fn lend(&self) {
        self.change(|inner| inner.state.lend());
    }

    /// From attached to what was before. Shows the output that was held back.
    pub fn detach(&self) {
        self.change(|inner| {
            if let Some(Attached {
                lost: lost @ 1.., ..
            }) = inner.state.detach()
            {
                let text = format!(
                    "{lost} more outputs were dropped while another program had the terminal\n"
                );
                inner.queue.push_back(Instruction::Complain(text));
            }
        });
    }

    /// From any state to leaving. Calls `last` with whether a guest had the terminal, and shows its result
    /// before anything else.
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

    /// Whether the terminal has been left.
    pub fn is_leaving(&self) -> bool {
        matches!(self.inner.lock().state, TerminalState::Leaving)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock());
        self.changed.notify_all();
        result
    }
}

/// For all who show something.
impl Shared {
    /// Adds to the queue. While a guest has the terminal, output is held back up to a limit.
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

    /// Writes a guest's output, if a guest has the terminal. The receiver resolves when the output is written
    /// or dropped.
    pub fn push_console(&self, bytes: Vec<u8>) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.change(|inner| {
            if let TerminalState::Attached(attached) = &mut inner.state {
                attached.pieces.push_back((bytes, done));
            }
        });
        wait
    }

    /// Drops the guest's output that is not written yet.
    pub fn drop_console(&self) {
        self.change(|inner| {
            if let TerminalState::Attached(attached) = &mut inner.state {
                attached.pieces.clear();
                inner.stop_writing(0);
            }
        });
    }

    /// Drops the output that is being written and the output in the queue, and shows how much that was.
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

    /// Blocks until everything is written, for at most `limit`.
    pub fn wait_until_written(&self, limit: Duration) {
        let due = Instant::now() + limit;
        let mut inner = self.inner.lock();
        self.changed
            .wait_while_until(&mut inner, |inner| !inner.is_idle(), due);
    }
}

/// For the writer's threads.
impl Shared {
    /// Blocks until there is a task, and returns it. The terminal is the writer's until it calls
    /// [`Shared::finish`].
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

    /// Whether the writer should continue with its current task.
    pub fn goes_on(&self) -> bool {
        matches!(self.inner.lock().writer, Writer::Writing(_))
    }

    /// Ends a task, of which the last `rest` bytes were not written.
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

    /// Sets the channel that hands text over to rustyline.
    pub fn use_above(&self, above: mpsc::Sender<String>) {
        self.change(|inner| inner.above = Some(above));
    }

    /// Notes that rustyline has taken the last text that was handed over.
    pub fn handed_over(&self) {
        self.change(|inner| inner.handing_over = false);
    }
}

impl Inner {
    /// Whether there is nothing to write.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.writer == Writer::Waiting
    }

    /// Tells the writer to stop writing, unless it is writing an error message. `dropped` is how many queued
    /// bytes were dropped as well. Returns whether it was told.
    fn stop_writing(&mut self, dropped: usize) -> bool {
        let stops = matches!(self.writer, Writer::Writing(To::Output | To::Console));
        if stops {
            self.writer = Writer::Told(dropped);
        }
        stops
    }

    fn say_dropped(&mut self, count: usize) {
        if count > 0 {
            // Resets colours, and ends a control sequence that was cut off.
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
            // rustyline takes one text at a time. If the line ends first, rustyline takes the text when the
            // next line is edited; meanwhile, the writer continues with other output.
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

    /// Takes the next task, and returns its text.
    fn written(shared: &Shared) -> String {
        let task = shared.next();
        shared.finish(task.to, 0);
        String::from_utf8(task.text).expect("text")
    }

    #[test]
    fn a_text_that_the_editor_did_not_take_delays_no_other_output() {
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
    fn dropped_output_is_counted_and_error_messages_are_kept() {
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
    fn the_output_held_back_while_a_guest_has_the_terminal_is_bounded() {
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
    fn no_transition_leads_out_of_leaving() {
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
