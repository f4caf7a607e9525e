//! Computes when a timer is due.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::context::Pace;

/// Waits until a timer that was last due at `last` is due again, and returns that time. Follows changes of its pace.
pub(super) async fn wait(mut last: Instant, pace: &mut watch::Receiver<Pace>) -> Instant {
    loop {
        let Pace { interval, paused } = *pace.borrow_and_update();
        let due = next(last, interval, Instant::now());
        let due = async {
            match paused {
                true => pending().await,
                false => sleep_until(due).await,
            }
            due
        };
        tokio::select! {
            biased;
            changed = pace.changed() => if changed.is_err() {
                pending::<()>().await;
            },
            due = due => return due,
        }
        if paused {
            last = Instant::now();
        }
    }
}

/// When a timer that was last due at `last` is due again. Missed ticks are skipped, and the others keep their
/// rhythm, so the timer never drifts.
fn next(last: Instant, length: Duration, now: Instant) -> Instant {
    if length.is_zero() {
        return now;
    }
    let passed = now.saturating_duration_since(last).as_nanos() / length.as_nanos();
    let nanos = length.as_nanos().saturating_mul(passed + 1);
    last + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times within an hour at which a timer runs its line, when run number `n` takes `takes(n)`.
    fn hour(length: Duration, takes: impl Fn(u32) -> Duration) -> Vec<Duration> {
        let start = Instant::now();
        let (mut due, mut now, mut runs) = (start, start, Vec::new());
        while now - start < Duration::from_secs(3600) {
            runs.push(now - start);
            now += takes(u32::try_from(runs.len()).expect("fewer than 2^32 runs"));
            due = next(due, length, now);
            // The runtime's clock has millisecond steps, and wakes late, never early.
            now = due.max(now) + Duration::from_micros(700);
        }
        runs
    }

    #[test]
    fn an_hour_of_seconds_has_3600_ticks_and_the_last_is_on_time() {
        let runs = hour(Duration::from_secs(1), |run| {
            Duration::from_millis(u64::from(run * 7 % 990))
        });
        assert_eq!(runs.len(), 3600);
        for (tick, at) in runs.iter().enumerate() {
            let late = *at - Duration::from_secs(tick as u64);
            assert!(late < Duration::from_millis(1), "{tick}: {late:?}");
        }
    }

    #[test]
    fn missed_ticks_are_skipped_and_the_rhythm_stays() {
        // Every tenth run takes three and a half seconds.
        let runs = hour(Duration::from_secs(1), |run| match run % 10 {
            0 => Duration::from_millis(3500),
            _ => Duration::ZERO,
        });
        // Ten runs take 13 seconds.
        assert_eq!(runs.len(), 3600 / 13 * 10 + 10);
        for at in runs {
            assert!(at.subsec_millis() < 2, "{at:?}");
        }
    }

    #[test]
    fn with_no_interval_a_timer_is_due_at_once_and_never_before() {
        let start = Instant::now();
        let mut due = start;
        for run in 1..100_000 {
            let now = start + Duration::from_micros(36 * run);
            due = next(due, Duration::ZERO, now);
            assert_eq!(due, now);
        }
    }
}
