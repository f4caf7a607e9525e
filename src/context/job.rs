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
    /// How much is done, in percent; 0 if the total is not known. A job that has nothing to do is done once it is ready.
    pub fn percent(&self) -> u64 {
        match self.total_progress {
            0 if self.is_done() => 100,
            0 => 0,
            total => self.current_progress.min(total).saturating_mul(100) / total,
        }
    }

    /// How many seconds the rest will take at the average speed since the start, given the seconds since then.
    /// `None` if the job is not running or that cannot be known.
    pub fn left(&self, since_start: f64) -> Option<f64> {
        let done = self.current_progress as f64;
        let rest = self.rest()?;
        (done > 0.0).then(|| since_start * rest / done)
    }

    /// How many seconds the rest takes at least if the job is limited to so much progress a second.
    pub fn left_at(&self, limit: f64) -> Option<f64> {
        let rest = self.rest()?;
        (limit > 0.0).then(|| rest / limit)
    }

    /// What a job that is running has still to do; `None` if it is not running or that cannot be known.
    fn rest(&self) -> Option<f64> {
        let rest = self.total_progress.saturating_sub(self.current_progress);
        let runs = matches!(&*self.status, "running" | "paused" | "created");
        (runs && rest > 0).then_some(rest as f64)
    }

    /// Whether it has done its work, with or without more to come on command.
    fn is_done(&self) -> bool {
        let is_done = matches!(
            &*self.status,
            "ready" | "standby" | "waiting" | "pending" | "concluded" | "null"
        );
        is_done && self.error.is_none()
    }

    /// What `:job complete` does to a job that is ready; `None` if it is not.
    pub fn when_completed(&self) -> Option<String> {
        if !matches!(&*self.status, "ready" | "standby") {
            return None;
        }
        let does = match &*self.kind {
            "mirror" => "switches to the target",
            "commit" => "makes the base the active image",
            _ => "ends it",
        };
        let cancel = match &*self.kind {
            "mirror" => format!(", `:job cancel {}` stays with the source", self.id),
            _ => String::new(),
        };
        Some(format!("`:job complete {}` {does}{cancel}", self.id))
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

/// Every `JobStatus` that a job can be waited for in, in the order in which jobs go through them.
pub const JOB_STATUSES: [&str; 10] = [
    "created",
    "running",
    "paused",
    "ready",
    "standby",
    "waiting",
    "pending",
    "aborting",
    "concluded",
    "null",
];

/// The jobs that can become ready: those that then follow their source until they are completed.
const BECOME_READY: [&str; 2] = ["mirror", "commit"];

/// Whether a job of type `kind` that has the status `from` can come to have the status `to`, which must be another: QEMU's
/// table of transitions (`JobSTT` in `job.c`), closed.
pub fn can_become(kind: &str, from: &str, to: &str) -> bool {
    let next = |from: &str| -> &[&str] {
        match from {
            "created" => &["running", "aborting", "null"],
            "running" => &["paused", "ready", "waiting", "aborting"],
            "paused" => &["running"],
            "ready" => &["standby", "waiting", "aborting"],
            "standby" => &["ready"],
            "waiting" => &["pending", "aborting"],
            "pending" => &["aborting", "concluded"],
            "aborting" => &["concluded"],
            "concluded" => &["null"],
            _ => &[],
        }
    };
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(status) = reached.get(at).copied() {
        at += 1;
        for new in next(status) {
            let can = *new != "ready" || BECOME_READY.contains(&kind);
            if can && *new == to {
                return true;
            }
            if can && !reached.contains(new) {
                reached.push(new);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_can_come_or_not() {
        for (kind, from, to, can) in [
            ("mirror", "running", "ready", true),
            ("mirror", "paused", "standby", true),
            ("backup", "running", "ready", false),
            ("backup", "running", "standby", false),
            ("backup", "running", "pending", true),
            ("backup", "running", "created", false),
            ("mirror", "ready", "running", false),
            ("mirror", "standby", "concluded", true),
            ("create", "created", "null", true),
            ("create", "concluded", "running", false),
        ] {
            assert_eq!(can_become(kind, from, to), can, "{kind}: {from} to {to}");
        }
        for status in JOB_STATUSES {
            let known = JOB_STATUSES.iter();
            let mut comes = known.filter(|from| can_become("mirror", from, status));
            assert!(comes.next().is_some() || status == "created", "{status}");
        }
    }
}
