use serde::Deserialize;

/// A job as `query-jobs` describes it (`qapi/job.json`). Progress has no fixed unit; block jobs count bytes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    pub id: String,
    /// A `JobType`, such as `backup`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A `JobStatus`, such as `running`.
    pub status: String,
    pub current_progress: u64,
    pub total_progress: u64,
    /// The error that made it fail.
    pub error: Option<String>,
}

impl Job {
    /// How much is done, in percent; 0 if the total is not known.
    pub fn percent(&self) -> u64 {
        match self.total_progress {
            0 => 0,
            total => self.current_progress.min(total).saturating_mul(100) / total,
        }
    }

    /// How many seconds the rest will take at the average speed since the start, given the seconds since then.
    /// `None` if the job is not running or that cannot be known.
    pub fn left(&self, since_start: f64) -> Option<f64> {
        let done = self.current_progress as f64;
        let rest = self.total_progress.saturating_sub(self.current_progress) as f64;
        let runs = matches!(&*self.status, "running" | "paused" | "created");
        (runs && done > 0.0 && rest > 0.0).then(|| since_start * rest / done)
    }

    /// Whether the job has concluded.
    pub fn has_ended(&self) -> bool {
        matches!(&*self.status, "concluded" | "null")
    }
}

/// The data of the event `JOB_STATUS_CHANGE` (`qapi/job.json`).
#[derive(Debug, Deserialize)]
pub struct JobStatusChange {
    /// The job's id.
    pub id: String,
    /// The job's new `JobStatus`.
    pub status: String,
}

impl JobStatusChange {
    /// Reads the event's data, given as JSON.
    pub fn read(data: &str) -> Option<Self> {
        serde_json::from_str(data).ok()
    }
}
