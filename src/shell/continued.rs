//! A line of several rows on a terminal where the kernel edits each row (a dumb one).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which rows of the line that is being entered still count. Ctrl-C is a signal there: it clears what the kernel has,
/// but rustyline keeps the rows before, and goes on. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Continued {
    /// The length of the rows that have been entered and that are not the end of the line, in bytes.
    entered: Arc<AtomicUsize>,
    /// The length of those that Ctrl-C has cancelled.
    cancelled: Arc<AtomicUsize>,
}

impl Continued {
    /// Notes that the line goes on after `text`, all that rustyline has of it.
    pub fn goes_on(&self, text: &str) {
        self.entered.store(text.len(), Ordering::Relaxed);
    }

    /// Cancels all rows that have been entered.
    pub fn cancel(&self) {
        let entered = self.entered.load(Ordering::Relaxed);
        self.cancelled.store(entered, Ordering::Relaxed);
    }

    /// Begins another line.
    pub fn begin(&self) {
        self.entered.store(0, Ordering::Relaxed);
        self.cancelled.store(0, Ordering::Relaxed);
    }

    /// What still counts of `text`, all that rustyline has of the line.
    pub fn rest<'t>(&self, text: &'t str) -> &'t str {
        match self.cancelled.load(Ordering::Relaxed) {
            0 => text,
            cancelled => text.get(cancelled..).unwrap_or_default().trim_start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_after_the_last_cancellation_count() {
        let line = Continued::default();
        line.goes_on("a '");
        assert_eq!(line.rest("a '\nb"), "a '\nb");
        line.cancel();
        assert_eq!(line.rest("a '\nc \""), "c \"");
        line.goes_on("a '\nc \"");
        assert_eq!(line.rest("a '\nc \"\nd"), "c \"\nd");
        line.cancel();
        assert_eq!(line.rest("a '\nc \"\ne"), "e");
        line.begin();
        assert_eq!(line.rest("a '\nc"), "a '\nc");
    }
}
