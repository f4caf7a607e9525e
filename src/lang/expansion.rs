//! Replaces the alias that a line begins with.

use std::ops::Range;

use super::{SyntaxError, Words};

/// A line whose alias was replaced by what it stands for.
pub(super) struct Expansion {
    /// The words of the line that results.
    pub words: Words,
    /// Where the alias is on the line that was typed.
    alias: Range<usize>,
    /// How much of the result is not on the line that was typed.
    expanded: usize,
    /// What the alias stands for, for messages.
    line: String,
}

impl Expansion {
    /// The expansion of the alias that `words` begin with, if they do.
    ///
    /// # Errors
    ///
    /// The line that results cannot be split into words.
    pub fn of(words: &Words) -> Result<Option<Self>, SyntaxError> {
        let list = words.list();
        let (Some(first), Some(aliases)) = (list.first(), words.aliases()) else {
            return Ok(None);
        };
        let Some((text, left)) = aliases.expand(first.text) else {
            return Ok(None);
        };
        let alias = first.span();
        let rest = &words.text()[first.text.len()..];
        let expansion = |words| Self {
            words,
            alias,
            expanded: text.len(),
            line: text.clone(),
        };
        match Words::split(&format!("{text}{rest}")) {
            Ok(expanded) => Ok(Some(expansion(expanded.named_as(words, left)))),
            Err(error) => Err(expansion(words.clone()).typed(error)),
        }
    }

    /// An error of the expanded line as one of the line that was typed.
    pub fn typed(&self, error: SyntaxError) -> SyntaxError {
        let at = |offset: usize| offset - self.expanded + self.alias.end;
        if error.span.start >= self.expanded {
            let span = at(error.span.start)..at(error.span.end);
            return SyntaxError { span, ..error };
        }
        let message = format!("{}, in what it stands for: {}", error.message, self.line);
        SyntaxError {
            help: error.help,
            ..SyntaxError::new(message, self.alias.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lang::{Aliases, Parser, Statement};

    fn aliases(given: &[(&str, &str)]) -> Arc<Aliases> {
        let mut aliases = Aliases::default();
        for (name, line) in given {
            aliases.set(name, line).expect("an alias");
        }
        Arc::new(aliases)
    }

    /// The message of the command that the line is.
    fn message(line: &str, given: &[(&str, &str)]) -> Result<String, SyntaxError> {
        let words = Words::split(line)?.with_aliases(aliases(given));
        match Parser::default().parse(&words)?.statement {
            Statement::Command(command) => Ok(command.to_wire()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alias_stands_for_the_beginning_of_a_line() {
        let given = [("st", "query-status"), ("q", "query-status"), ("c", "cont")];
        let wire = message("st", &given).expect("a command");
        assert_eq!(wire, r#"{"execute":"query-status"}"#);
        let given = [("da", "device_add driver=e1000")];
        let wire = message("da id='a b'", &given).expect("a command");
        assert!(wire.ends_with(r#""arguments":{"driver":"e1000","id":"a b"}}"#));
        // Only as the first word.
        let wire = message("x a=da", &given).expect("a command");
        assert!(wire.contains("\"da\""), "{wire}");
    }

    #[test]
    fn aliases_stand_for_aliases_but_never_for_themselves() {
        let given = [("a", "b x=1"), ("b", "a y=2")];
        let wire = message("a", &given).expect("a command");
        assert!(wire.starts_with(r#"{"execute":"a""#), "{wire}");
        let given = [("job-cancel", "job-cancel id=j")];
        let wire = message("job-cancel", &given).expect("a command");
        assert!(wire.contains(r#""id":"j""#), "{wire}");
    }

    #[test]
    fn a_line_in_a_line_has_aliases_too() {
        let given = aliases(&[("st", ":watch st"), ("b", "query-block | .[0]")]);
        let words = Words::split("st")
            .expect("words")
            .with_aliases(given.clone());
        let line = Parser::default().parse(&words).expect("a line");
        let Statement::Builtin(watch) = line.statement else {
            panic!("{line:?}");
        };
        let inner = Parser::default().parse(&watch.words).expect("a line");
        assert_eq!(inner.command_name(), Some("st"));
        let words = Words::split("b | .id").expect("words").with_aliases(given);
        let line = Parser::default().parse(&words).expect("a line");
        let filter = line.tail.filter.expect("a filter");
        assert_eq!(filter.text.trim(), ".[0] | .id");
    }

    #[test]
    fn an_error_is_shown_where_it_was_typed() {
        let given = [("da", "device_add driver=e1000"), ("bad", "x y z=1")];
        let error = message("  da id", &given).expect_err("no value");
        assert_eq!(error.span, 5..7);
        let error = message(" bad a=1", &given).expect_err("no value");
        assert_eq!(error.span, 1..4);
        assert!(error.message.ends_with("x y z=1"), "{}", error.message);
    }
}
