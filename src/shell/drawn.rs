use super::terminal::Rows;

/// The line as it was drawn last.
#[derive(Default)]
pub(super) struct Drawn {
    pub prompt: String,
    pub line: String,
    /// The cursor's offset in the line.
    pub at: usize,
    pub hint: String,
    /// How many columns the terminal had; 0 before the line was drawn.
    pub columns: usize,
}

impl Drawn {
    /// The rows of `line` with the cursor at `at`, between this prompt and this hint.
    pub fn rows(&self, line: &str, at: usize, columns: usize) -> Rows {
        let after = format!("{}{}", &line[at..], self.hint);
        Rows::of(&self.prompt, &line[..at], &after, columns)
    }

    /// The rows in a terminal that has broken the line anew for `columns`, and had drawn it with as many as it has here.
    pub fn broken_anew(&self, columns: usize) -> Rows {
        let (before, after) = self.line.split_at(self.at);
        let after = format!("{after}{}", self.hint);
        Rows::broken_anew(&self.prompt, before, &after, self.columns, columns)
    }
}
