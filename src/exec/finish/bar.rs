use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::context::{Context, Progress};
use crate::render::span;

/// The width of a bar, in columns.
const WIDTH: u64 = 30;

/// How many characters of what it is about stand before the bar, so that everything fits on one row.
const TITLE: usize = 20;

/// A progress bar, if there is a terminal to show it. Dropping it removes it from the screen.
pub(in crate::exec) struct Bar {
    shown: Option<Progress>,
    /// When the waiting ends in any case.
    due: Option<Instant>,
}

impl Bar {
    pub fn new(context: &Context) -> Self {
        Self {
            shown: context.progress.clone(),
            due: None,
        }
    }

    /// Shows as well how much of this limit is left.
    pub fn until(mut self, limit: Option<Duration>) -> Self {
        self.due = limit.map(|limit| Instant::now() + limit);
        self
    }

    /// Shows how much of what `title` names is done, in percent if that is known, and more text after the bar.
    pub fn show(&self, title: &str, percent: Option<u64>, more: &str) {
        let Some(show) = &self.shown else {
            return;
        };
        let title: String = title.chars().take(TITLE).collect();
        let mut text = title;
        if let Some(percent) = percent {
            let done = percent * WIDTH / 100;
            text.push_str(" [");
            for at in 0..WIDTH {
                text.push(if at < done { '#' } else { '.' });
            }
            let _ = write!(text, "] {percent:3}%");
        }
        let _ = write!(text, " {more}");
        if let Some(due) = self.due {
            let left = due.saturating_duration_since(Instant::now());
            let _ = write!(text, "; waits {} more", span(left.as_secs_f64()));
        }
        show(&text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(show) = &self.shown {
            show("");
        }
    }
}
