use serde::Deserialize;

/// A job as `query-jobs` tells it (`qapi/job.json`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub current_progress: u64,
    pub total_progress: u64,
    pub error: Option<String>,
}

impl Job {
    /// How much is done, in percent.
    pub fn percent(&self) -> u64 {
        match self.total_progress {
            0 => 0,
            total => self.current_progress.min(total).saturating_mul(100) / total,
        }
    }

    /// How long the rest takes, if it goes on as in the time since its start.
    pub fn left(&self, since_start: f64) -> Option<f64> {
        let done = self.current_progress as f64;
        let rest = self.total_progress.saturating_sub(self.current_progress) as f64;
        let runs = matches!(&*self.status, "running" | "paused" | "created");
        (runs && done > 0.0 && rest > 0.0).then(|| since_start * rest / done)
    }

    pub fn has_ended(&self) -> bool {
        matches!(&*self.status, "concluded" | "null")
    }
}

/// What a `JOB_STATUS_CHANGE` says (`qapi/job.json`).
#[derive(Debug, Deserialize)]
pub struct JobStatusChange {
    pub id: String,
    pub status: String,
}

impl JobStatusChange {
    /// Reads the data of the event.
    pub fn read(data: &str) -> Option<Self> {
        serde_json::from_str(data).ok()
    }
}
