use crate::context::Context;

/// The progress of a copy, on a terminal if there is one. Dropping it removes it from the screen.
pub(super) struct Progress<'a> {
    context: &'a Context,
    name: &'a str,
}

impl<'a> Progress<'a> {
    /// The progress of what has this name.
    pub fn new(context: &'a Context, name: &'a str) -> Self {
        Self { context, name }
    }

    /// Shows how many bytes are copied, and of how many if that is known.
    pub fn show(&self, total: u64, of: Option<u64>) {
        let Some(show) = &self.context.progress else {
            return;
        };
        let percent = of.filter(|of| *of > 0).map(|of| total * 100 / of);
        let percent = percent.map_or(String::new(), |percent| format!(", {percent}%"));
        show(&format!("{}: {} MiB{percent}", self.name, total >> 20));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(show) = &self.context.progress {
            show("");
        }
    }
}
