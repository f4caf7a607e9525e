use std::env;
use std::time::Duration;

/// The variable that says how long to wait, in seconds.
const VARIABLE: &str = "QMPSH_PATIENCE";

/// How long to wait unless it says otherwise.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long to wait for the answers to questions that the user did not ask: those of one completion, of a prompt, of a
/// banner.
pub fn unasked_patience() -> Duration {
    let set = env::var(VARIABLE).ok();
    set.and_then(|seconds| Duration::try_from_secs_f64(seconds.parse().ok()?).ok())
        .unwrap_or(PATIENCE)
}
