//! What a line is run with: the shell's settings and agenda, and the VM it is for.

mod agenda;
mod inspector;
mod job;
mod outcome;
mod settings;
mod target;
pub mod traffic;
mod types;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::schema::Schema;

pub use agenda::{Agenda, Kind, Report, Row, Scheduled, Trigger};
pub use inspector::{DeviceType, Inspector};
pub use job::{Job, JobStatusChange};
pub use outcome::{Outcome, Output};
pub use settings::Settings;
pub use target::{Target, TargetPlan};

/// How many outcomes of listeners and timers may wait to be shown.
const REPORTS: usize = 16;

/// What belongs to the shell, and the target of its lines. A clone is the same one.
#[derive(Clone)]
pub struct Context {
    pub target: Target,
    /// What listeners and timers run.
    pub agenda: Arc<Agenda>,
    /// Takes what came of the lines that listeners and timers ran. It is bounded, so that they run no faster than
    /// their outcomes are shown.
    pub reports: mpsc::Sender<Report>,
    /// Shows how far something is, in place of what it showed before.
    pub progress: Option<Progress>,
    settings: Arc<Mutex<Settings>>,
}

/// Takes a line that stands until the next one does; an empty one takes it away.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

impl Context {
    /// A context without listeners and timers. Reports of those to come arrive at the first receiver; the lines to run
    /// at the second.
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
            settings: Arc::new(Mutex::new(settings)),
        };
        (context, reports, scheduled)
    }

    /// The same for lines that the user did not enter: they leave alone where the user's next `:wait` starts looking.
    pub fn apart(&self) -> Self {
        Self {
            target: self.target.apart(),
            ..self.clone()
        }
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        self.settings.lock().clone()
    }

    /// The settings, to be changed. They stay locked until this is dropped.
    pub fn settings_mut(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock()
    }

    /// Whether events of this name are not shown as they come.
    pub fn mutes(&self, event: &str) -> bool {
        self.settings_mut().muted.contains(event)
    }

    /// What the target accepts, if it says so in time.
    pub async fn schema(&self) -> Option<Arc<Schema>> {
        let inspector = self.target.inspector();
        let schema = timeout(self.settings().patience(), inspector.schema());
        schema.await.ok().flatten()
    }

    /// The names of the target's commands, if it says them in time.
    pub async fn commands(&self) -> Arc<[String]> {
        let inspector = self.target.inspector();
        let commands = timeout(self.settings().patience(), inspector.commands());
        commands.await.unwrap_or_default()
    }
}
