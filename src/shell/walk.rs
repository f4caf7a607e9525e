//! Walks through the candidates that TAB has found.

use super::complete::Replacement;

/// The candidates of the last TAB, which the next ones put into the line, one after the other.
#[derive(Default)]
pub(super) struct Walk {
    /// The line in which TAB was pressed first.
    line: String,
    /// What each step puts into it: at first what the candidates have in common, then each of them.
    steps: Vec<Replacement>,
    at: usize,
}

impl Walk {
    pub fn new(line: &str, steps: Vec<Replacement>) -> Self {
        let line = line.to_owned();
        Self { line, steps, at: 0 }
    }

    /// The line of the next step or the one before, and the cursor in it. `None` if the user has left the walk: `line`
    /// and the cursor, `at`, are not where the last step has left them.
    pub fn step(&mut self, line: &str, at: usize, forward: bool) -> Option<(String, usize)> {
        let count = self.steps.len();
        if self.now()? != (line.to_owned(), at) {
            return None;
        }
        self.at = (self.at + if forward { 1 } else { count - 1 }) % count;
        self.now()
    }

    /// The line of the present step, and the cursor in it.
    pub fn now(&self) -> Option<(String, usize)> {
        Some(self.steps.get(self.at)?.applied_to(&self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk() -> Walk {
        let step = |text: &str, end| Replacement {
            start: 2,
            end,
            text: text.to_owned(),
        };
        Walk::new(
            "x abz y",
            vec![step("ab", 4), step("abz ", 6), step("abc ", 6)],
        )
    }

    #[test]
    fn the_steps_follow_each_other_in_both_directions_and_come_round() {
        let mut walk = walk();
        let (mut line, mut at) = walk.now().expect("a step");
        assert_eq!((&*line, at), ("x abz y", 4));
        for (forward, expected) in [
            (true, "x abz y"),
            (true, "x abc y"),
            (true, "x abz y"),
            (false, "x abc y"),
            (false, "x abz y"),
        ] {
            (line, at) = walk.step(&line, at, forward).expect("a step");
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn a_line_that_was_changed_ends_the_walk() {
        let mut walk = walk();
        assert_eq!(walk.step("x abzz y", 4, true), None);
        assert_eq!(walk.step("x abz y", 5, true), None);
        assert_eq!(Walk::default().step("", 0, true), None);
    }
}
