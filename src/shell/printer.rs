use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;

use rustyline::ExternalPrinter;
use tokio::sync::{Notify, oneshot};

/// Shows things on the terminal, in order, from a thread of its own: a terminal can be slow, and
/// rustyline takes what is shown above a line being edited one at a time.
#[derive(Clone)]
pub(super) struct Printer {
    queue: mpsc::Sender<Job>,
    screen: Arc<Mutex<Screen>>,
    /// The editing of a line has ended.
    edited: Arc<Notify>,
}

enum Job {
    Show(String),
    Complain(String),
    /// From now on, this shows things above the line being edited.
    Above(Above),
    /// Asks to be told when everything before it is on the terminal.
    Settle(oneshot::Sender<()>),
}

type Above = Box<dyn ExternalPrinter + Send>;

/// Who has the terminal.
#[derive(Default)]
struct Screen {
    /// A prompt stands there and a line is being edited: only rustyline may write.
    editing: bool,
    /// The printer is handing something over to rustyline, to be shown above that line.
    handing_over: bool,
}

impl Printer {
    pub fn start() -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let screen = Arc::<Mutex<Screen>>::default();
        let printer = Self {
            queue,
            screen: screen.clone(),
            edited: Arc::default(),
        };
        thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || work(&jobs, &screen))?;
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

    /// Resolves once everything so far is on the terminal.
    pub async fn settle(&self) {
        let (done, wait) = oneshot::channel();
        self.send(Job::Settle(done));
        let _ = wait.await;
    }

    /// Takes what shows things above the line being edited.
    pub fn use_above(&self, above: Above) {
        self.send(Job::Above(above));
    }

    /// Says whether a line is being edited. When this returns, nothing is half written.
    pub fn set_editing(&self, editing: bool) {
        lock(&self.screen).editing = editing;
        if !editing {
            self.edited.notify_one();
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

fn work(jobs: &mpsc::Receiver<Job>, shared: &Mutex<Screen>) {
    let mut above: Option<Above> = None;
    for job in jobs {
        let (text, wrong) = match job {
            Job::Show(text) => (text, false),
            Job::Complain(text) => (text, true),
            Job::Above(printer) => {
                above = Some(printer);
                continue;
            }
            Job::Settle(done) => {
                let _ = done.send(());
                continue;
            }
        };
        if text.is_empty() {
            continue;
        }
        let mut screen = lock(shared);
        // A terminal that is gone is no reason to stop: the shell is told by a signal.
        match &mut above {
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
            _ => {
                let mut stdout = io::stdout().lock();
                let _ = stdout
                    .write_all(text.as_bytes())
                    .and_then(|()| stdout.flush());
            }
        }
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().expect("no holder of this lock panics")
}
