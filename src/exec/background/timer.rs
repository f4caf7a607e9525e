//! When a timer is due.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Waits until a timer that was due at `last` is due again, and says when that was.
pub(super) async fn wait(last: Instant, interval: &mut watch::Receiver<Duration>) -> Instant {
    loop {
        let length = *interval.borrow_and_update();
        let due = next(last, length, Instant::now());
        tokio::select! {
            biased;
            changed = interval.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            },
            () = sleep_until(due) => return due,
        }
    }
}

/// When a timer that was due at `last` is due again. Ticks that were missed are left out, and the others keep
/// their rhythm, so that it never drifts.
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

    /// The times at which a timer runs its line, of which the `n`th run takes `takes(n)`.
    fn hour(length: Duration, takes: impl Fn(u32) -> Duration) -> Vec<Duration> {
        let start = Instant::now();
        let (mut due, mut now, mut runs) = (start, start, Vec::new());
        while now - start < Duration::from_secs(3600) {
            runs.push(now - start);
            now += takes(u32::try_from(runs.len()).expect("fewer"));
            due = next(due, length, now);
            // A runtime's clock ticks in milliseconds, and never too soon.
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
    fn ticks_that_were_missed_are_left_out_and_the_rhythm_stays() {
        // Every tenth takes three and a half seconds.
        let runs = hour(Duration::from_secs(1), |run| match run % 10 {
            0 => Duration::from_millis(3500),
            _ => Duration::ZERO,
        });
        // Of 13 seconds ten have a run.
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
