//! How a number changes over time.

use std::collections::VecDeque;

use crate::render::bytes;

/// How many rates are remembered and drawn.
const LENGTH: usize = 10;

/// The heights of a sparkline's columns.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A number that is looked at again and again.
#[derive(Default)]
pub struct Series {
    last: Option<f64>,
    /// The newest rates per second, the oldest first.
    rates: VecDeque<f64>,
}

impl Series {
    /// Adds the number as it is now, `seconds` after the last time. Returns whether it has changed.
    pub fn push(&mut self, value: f64, seconds: f64) -> bool {
        let Some(last) = self.last.replace(value) else {
            return false;
        };
        if value < last {
            // It does not only grow, so it is no counter; or that was reset.
            self.rates.clear();
            return true;
        }
        if self.rates.len() == LENGTH {
            self.rates.pop_front();
        }
        self.rates.push_back((value - last) / seconds.max(1e-3));
        value > last
    }

    /// The rate, and a sparkline of the last ones; `None` if the number has not grown of late. The text is always
    /// as wide.
    pub fn text(&self, is_bytes: bool) -> Option<String> {
        let most = self.rates.iter().copied().fold(0.0, f64::max);
        let now = *self.rates.back()?;
        if most <= 0.0 {
            return None;
        }
        let bar = |rate: &f64| {
            let height = rate / most * (BARS.len() - 1) as f64;
            // Anything is more than nothing.
            BARS[if *rate > 0.0 {
                height.round().max(1.0) as usize
            } else {
                0
            }]
        };
        let line: String = self.rates.iter().map(bar).collect();
        let rate = rate(now, is_bytes);
        Some(format!("{rate:>12} {line:>LENGTH$}"))
    }
}

fn rate(rate: f64, is_bytes: bool) -> String {
    if is_bytes {
        return format!("{}/s", bytes(rate.round() as u64));
    }
    let mut rate = rate;
    let mut unit = "";
    for larger in ["k", "M", "G", "T"] {
        if rate < 1000.0 {
            break;
        }
        rate /= 1000.0;
        unit = larger;
    }
    match rate < 10.0 && rate.fract() != 0.0 {
        true => format!("{rate:.1}{unit}/s"),
        false => format!("{rate:.0}{unit}/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_grows_has_a_rate_and_others_have_none() {
        let mut series = Series::default();
        assert!(!series.push(100.0, 1.0));
        assert!(!series.push(100.0, 1.0));
        assert_eq!(series.text(false), None);
        assert!(series.push(1600.0, 1.0));
        assert_eq!(
            series.text(false).as_deref(),
            Some("      1.5k/s         ▁█")
        );
        assert!(series.push(2350.0, 0.5));
        assert!(series.push(2450.0, 1.0));
        assert_eq!(
            series.text(false).as_deref(),
            Some("       100/s       ▁██▂")
        );
        assert_eq!(
            series.text(true).as_deref(),
            Some("     100 B/s       ▁██▂")
        );
        assert!(series.push(7.0, 1.0));
        assert_eq!(series.text(false), None);
    }
}
