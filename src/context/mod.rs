//! The environment in which a line runs: the shell's settings and agenda, and the target VM.

mod agenda;
mod buses;
mod inspector;
mod job;
pub mod log;
pub mod names;
mod outcome;
mod qom;
mod seen;
mod server_kind;
mod settings;
mod source;
mod target;
pub mod traffic;
mod types;
mod unasked;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::filter::Filters;
use crate::lang::{Value, Variables, Words, literal};
use crate::qmp::Event;
use crate::schema::Schema;

pub use agenda::{Agenda, Kind, Pace, Report, Row, Scheduled, Trigger};
pub use buses::Bus;
pub use inspector::Inspector;
pub use job::{JOB_STATUSES, Job, JobStatusChange, can_become};
pub use outcome::{Outcome, Output, Piped, Watch};
pub use qom::DeviceType;
pub use seen::Seen;
pub use server_kind::ServerKind;
pub use settings::{PromptSettings, Settings};
pub use source::{Origin, SourcedLine, read_lines};
pub use target::{Target, TargetPlan};
pub use unasked::unasked_patience;

/// How many outcomes of listeners and timers can wait to be shown.
const REPORTS: usize = 16;

/// The name of the variable that is the event in a listener's line.
pub const EVENT: &str = "event";

/// The shell's state, and the target of its lines. Clones share the same state.
#[derive(Clone)]
pub struct Context {
    /// The server that lines are for.
    pub target: Target,
    /// The listeners and timers.
    pub agenda: Arc<Agenda>,
    /// Takes the outcomes of listeners and timers. It is bounded, so that they run no faster than their
    /// outcomes are shown.
    pub reports: mpsc::Sender<Report>,
    /// Shows progress on the terminal, if there is one.
    pub progress: Option<Progress>,
    /// What the user's lines showed, for completion; only the prompt keeps it.
    pub seen: Option<Seen>,
    /// Runs filters.
    pub filters: Arc<Filters>,
    /// What the user's last line showed, as JSON.
    last: Arc<Mutex<Option<Bytes>>>,
    /// The event that a listener's line runs for.
    event: Option<Arc<Event>>,
    settings: Arc<Mutex<Settings>>,
}

/// Takes a line of text that replaces the line shown before; an empty one removes it.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

impl Context {
    /// Creates a context without listeners and timers. Later, their reports arrive at the first receiver, and
    /// the lines to run at the second.
    pub fn new(
        settings: Settings,
        target: Target,
    ) -> (
        Self,
        mpsc::Receiver<Report>,
        mpsc::UnboundedReceiver<Scheduled>,
    ) {
        let (sender, reports) = mpsc::channel(REPORTS);
        let (agenda, scheduled) = Agenda::new();
        let context = Self {
            target,
            agenda: Arc::new(agenda),
            reports: sender,
            progress: None,
            seen: None,
            filters: Arc::default(),
            last: Arc::default(),
            event: None,
            settings: Arc::new(Mutex::new(settings)),
        };
        (context, reports, scheduled)
    }

    /// The same context, for lines that the user did not enter: they do not change where the user's next
    /// `:wait` starts looking, nor what `:last` shows and completion knows.
    pub fn apart(&self) -> Self {
        Self {
            target: self.target.apart(),
            seen: None,
            last: Arc::default(),
            ..self.clone()
        }
    }

    /// The same context, for a line that runs because of `event`.
    pub fn of_event(&self, event: Arc<Event>) -> Self {
        Self {
            event: Some(event),
            ..self.clone()
        }
    }

    /// What `$NAME` stands for in a line that runs now. For a listener's line, `$event` is the event.
    pub fn variables(&self) -> Arc<Variables> {
        let mut variables = self.settings_mut().variables.clone();
        if let Some(event) = &self.event
            && let Ok(event) = literal::parse(event.text())
        {
            Arc::make_mut(&mut variables).set(EVENT, event);
        }
        variables
    }

    /// Words with what their variables and their alias stand for now.
    pub fn named(&self, words: Words) -> Words {
        let aliases = self.settings_mut().aliases.clone();
        words.with_variables(self.variables()).with_aliases(aliases)
    }

    /// What the user's last line that showed a value showed, as JSON.
    pub fn last(&self) -> Option<Bytes> {
        self.last.lock().clone()
    }

    /// What completion knows of the values that lines showed: the last that a line showed whose first word is this, or the
    /// last of all.
    pub fn seen(&self, name: Option<&str>) -> Option<Arc<Value>> {
        match name {
            Some(name) => self.seen.as_ref()?.of(name),
            None => seen::read(&self.last()?),
        }
    }

    /// Sets what the user's last line showed, as JSON.
    pub fn set_last(&self, value: Bytes) {
        *self.last.lock() = Some(value);
    }

    /// A copy of the current settings.
    pub fn settings(&self) -> Settings {
        self.settings.lock().clone()
    }

    /// The settings, to change or to look at briefly. They stay locked until the guard is dropped.
    pub fn settings_mut(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock()
    }

    /// Whether the user muted events of this name.
    pub fn mutes(&self, event: &str) -> bool {
        self.settings_mut().muted.contains(event)
    }

    /// The target's schema, if it has one and sends it in time.
    pub async fn schema(&self) -> Option<Arc<Schema>> {
        let inspector = self.target.inspector();
        let schema = timeout(self.settings().patience(), inspector.schema());
        schema.await.ok().flatten()
    }

    /// The names of the target's commands, if it sends them in time; otherwise none.
    pub async fn commands(&self) -> Arc<[String]> {
        let inspector = self.target.inspector();
        let commands = timeout(self.settings().patience(), inspector.commands());
        commands.await.unwrap_or_default()
    }
}
