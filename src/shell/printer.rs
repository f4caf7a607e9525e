use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;

use rustyline::ExternalPrinter;
use tokio::sync::{Notify, oneshot};
use unicode_width::UnicodeWidthStr;

use super::terminal;
use crate::render::width;

/// Shows things on the terminal, in order, from a thread of its own: a terminal can be slow, and
/// rustyline takes what is shown above a line being edited one at a time.
#[derive(Clone)]
pub(super) struct Printer {
    queue: mpsc::Sender<Job>,
    screen: Arc<Mutex<Screen>>,
    /// A line that is edited has been drawn.
    drawn: Arc<Notify>,
    /// The editing of a line has ended.
    edited: Arc<Notify>,
}

enum Job {
    Show(String),
    Complain(String),
    /// Shows how far something is, until anything else is shown.
    Progress(String),
    /// Draws the line being edited anew.
    Repaint,
    /// From now on, this shows things above the line being edited.
    Above(Above),
    /// From now on, what is to be shown waits: the terminal is somebody else's.
    Hold,
    /// Shows what waited.
    Release,
    /// Asks to be told when everything before it is on the terminal.
    Settle(oneshot::Sender<()>),
}

/// How many bytes are kept back at most.
const MOST_HELD: usize = 4 << 20;

/// What is shown above a line to no other end than that the line is drawn anew: a row up, a row down. There is no
/// row up from the topmost, so the line that Ctrl-L has put there comes to stand one lower.
const NOTHING: &str = "\x1b[A\n";

/// Takes away the line the cursor is in.
const CLEAR_LINE: &str = "\r\x1b[K";

type Above = Box<dyn ExternalPrinter + Send>;

/// Who has the terminal.
#[derive(Default)]
struct Screen {
    /// A prompt stands there and a line is being edited: only rustyline may write.
    editing: bool,
    /// The printer is handing something over to rustyline, to be shown above that line.
    handing_over: bool,
    /// The history is being searched: rustyline shows nothing above that.
    search: Option<Search>,
}

/// A search of the history, as it stands on the terminal.
#[derive(Default)]
struct Search {
    prompt: String,
    line: String,
    /// Where in the line the cursor is, in bytes.
    at: usize,
}

impl Search {
    /// What shows `text` above the search and leaves that as it was; nothing if it takes more than a row, so
    /// that only rustyline knows where the cursor is.
    fn show_above(&self, text: &str) -> Option<String> {
        let Self { prompt, line, at } = self;
        let column = prompt.width() + line[..*at].width();
        let fits = prompt.width() + line.width() < width() && !line.contains('\n');
        let behind = if text.ends_with('\n') { "" } else { "\n" };
        fits.then(|| format!("\r\x1b[J{text}{behind}{prompt}{line}\r\x1b[{column}C"))
    }
}

impl Printer {
    pub fn start() -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let screen = Arc::<Mutex<Screen>>::default();
        let printer = Self {
            queue,
            screen: screen.clone(),
            drawn: Arc::default(),
            edited: Arc::default(),
        };
        let output = terminal::output()?;
        thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || work(&jobs, &screen, &output))?;
        Ok(printer)
    }

    /// Shows `text`, which ends in a line break.
    pub fn show(&self, text: String) {
        self.send(Job::Show(text));
    }

    /// Shows `text`, which ends in a line break, as what went wrong.
    pub fn complain(&self, text: &str) {
        self.send(Job::Complain(text.to_owned()));
    }

    /// Shows a line that stands until anything else is shown; an empty one takes it away.
    pub fn progress(&self, text: &str) {
        self.send(Job::Progress(text.to_owned()));
    }

    /// Draws the line being edited anew, if one is, with the prompt as it looks by now.
    pub fn repaint(&self) {
        self.send(Job::Repaint);
    }

    /// Resolves once everything so far is on the terminal.
    pub async fn settle(&self) {
        let (done, wait) = oneshot::channel();
        self.send(Job::Settle(done));
        let _ = wait.await;
    }

    /// Keeps back what is to be shown from now on.
    pub fn hold(&self) {
        self.send(Job::Hold);
    }

    /// Shows what was kept back.
    pub fn release(&self) {
        self.send(Job::Release);
    }

    /// Takes what shows things above the line being edited.
    pub fn use_above(&self, above: Above) {
        self.send(Job::Above(above));
    }

    /// Says whether a line is being edited. When this returns, nothing is half written.
    pub fn set_editing(&self, editing: bool) {
        lock(&self.screen).editing = editing;
        match editing {
            true => self.drawn.notify_one(),
            false => self.edited.notify_one(),
        }
    }

    /// Whether a line is being edited.
    pub fn is_editing(&self) -> bool {
        lock(&self.screen).editing
    }

    /// Resolves when a line that is edited has been drawn since this last did.
    pub async fn drawn(&self) {
        self.drawn.notified().await;
    }

    /// Says that the prompt of a search of the history is shown, or any other.
    pub fn set_search(&self, prompt: Option<&str>) {
        lock(&self.screen).search = prompt.map(|prompt| Search {
            prompt: prompt.to_owned(),
            ..Search::default()
        });
    }

    /// Says what stands behind the prompt of a search, if one is shown.
    pub fn set_found(&self, line: &str, at: usize) {
        if let Some(search) = &mut lock(&self.screen).search {
            (search.line, search.at) = (line.to_owned(), at);
        }
    }

    /// The same, but for when the next line is about to be edited.
    ///
    /// rustyline takes what is to be shown above a line one thing at a time, and only while a line is
    /// edited. When one line has ended, the printer may be left with something it can hand over only
    /// once the next line is edited, which therefore must not wait for it.
    pub async fn settle_for_editing(&self) {
        let settled = self.settle();
        tokio::pin!(settled);
        loop {
            {
                let screen = lock(&self.screen);
                if screen.handing_over && !screen.editing {
                    return;
                }
            }
            tokio::select! {
                () = &mut settled => return,
                () = self.edited.notified() => {}
            }
        }
    }

    fn send(&self, job: Job) {
        self.queue
            .send(job)
            .expect("the printer's thread lives as long as there are printers");
    }
}

fn work(jobs: &mpsc::Receiver<Job>, shared: &Mutex<Screen>, output: &File) {
    // A terminal that is gone takes nothing.
    let write = |bytes: &[u8]| {
        let mut output = output;
        let _ = output.write_all(bytes);
    };
    let mut above: Option<Above> = None;
    let mut in_progress = false;
    let mut held = VecDeque::new();
    while let Some(job) = held.pop_front().or_else(|| jobs.recv().ok()) {
        if in_progress {
            write(CLEAR_LINE.as_bytes());
            in_progress = false;
        }
        let (text, wrong) = match job {
            Job::Show(text) => (text, false),
            Job::Complain(text) => (text, true),
            Job::Progress(text) => {
                if !text.is_empty() && !lock(shared).editing {
                    in_progress = true;
                    write(text.as_bytes());
                }
                continue;
            }
            Job::Repaint if above.is_some() && lock(shared).editing => (NOTHING.to_owned(), false),
            Job::Repaint => continue,
            Job::Above(printer) => {
                above = Some(printer);
                continue;
            }
            Job::Settle(done) => {
                let _ = done.send(());
                continue;
            }
            Job::Hold => {
                held.extend(hold(jobs));
                continue;
            }
            Job::Release => continue,
        };
        if text.is_empty() {
            continue;
        }
        let mut screen = lock(shared);
        // A terminal that is gone is no reason to stop: the shell is told by a signal.
        match &mut above {
            Some(_) if let Some(text) = screen.above_search(&text) => write(text.as_bytes()),
            Some(above) if screen.editing => {
                // It may wait for the editor, which in turn may wait for the screen.
                screen.handing_over = true;
                drop(screen);
                let _ = above.print(text);
                lock(shared).handing_over = false;
            }
            _ if wrong => {
                let _ = io::stderr().write_all(text.as_bytes());
            }
            _ => write(text.as_bytes()),
        }
    }
}

/// Waits until nothing is kept back any more; what was until then.
fn hold(jobs: &mpsc::Receiver<Job>) -> Vec<Job> {
    let (mut held, mut bytes, mut dropped) = (Vec::new(), 0, 0_u64);
    for job in jobs {
        match job {
            Job::Release => break,
            Job::Progress(_) | Job::Repaint => {}
            Job::Show(text) | Job::Complain(text) if bytes + text.len() > MOST_HELD => dropped += 1,
            job => {
                if let Job::Show(text) | Job::Complain(text) = &job {
                    bytes += text.len();
                }
                held.push(job);
            }
        }
    }
    if dropped > 0 {
        held.push(Job::Complain(format!(
            "{dropped} more outputs came than could be kept\n"
        )));
    }
    held
}

impl Screen {
    /// What is to be written for `text`, if the history is being searched.
    fn above_search(&self, text: &str) -> Option<String> {
        let search = self.search.as_ref().filter(|_| self.editing)?;
        search.show_above(text)
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().expect("no holder of this lock panics")
}
