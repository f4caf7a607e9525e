//! Checks lines one after another, before the first of them is run.

use std::mem;
use std::path::Path;
use std::sync::Arc;

use super::check::Check;
use super::entry::{Builtin, filter_of};
use crate::context::{Context, EVENT, SourcedLine, read_lines};
use crate::failure::Failure;
use crate::lang::{
    Aliases, BuiltinLine, FilterText, Language, Parser, Statement, Variables, Words,
};
use crate::schema::Schema;

/// How deep files that source each other may nest.
const DEEPEST: usize = 16;

/// Checks that lines parse, that their built-ins exist and have arguments that fit, that the files that they source are
/// right, too, and, if there is a schema, that events can be as they are waited for. Runs nothing, but knows which
/// variables and aliases the lines before have set.
pub struct Checker<'a> {
    table: &'static [Builtin],
    schema: Option<&'a Schema>,
    language: Language,
    parser: Parser,
    variables: Arc<Variables>,
    aliases: Arc<Aliases>,
    /// In how many files the current line is nested.
    depth: usize,
    about_events: bool,
    filters: Vec<(FilterText, Arc<Variables>)>,
}

impl<'a> Checker<'a> {
    /// Checks lines that are to run in `context`, whose built-ins are those of `table`.
    pub(super) fn new(
        table: &'static [Builtin],
        context: &Context,
        schema: Option<&'a Schema>,
    ) -> Self {
        let language = context.target.language();
        Self {
            table,
            schema,
            parser: Parser::of(language.clone()),
            language,
            variables: context.variables(),
            aliases: context.settings_mut().aliases.clone(),
            depth: 0,
            about_events: false,
            filters: Vec::new(),
        }
    }

    /// Whether some line so far has conditions on events, which only a schema can check.
    pub fn is_about_events(&self) -> bool {
        self.about_events
    }

    /// The filters of the lines since the last call, each with the variables that it may name. Whether they can be run is
    /// still to be checked.
    pub fn take_filters(&mut self) -> Vec<(FilterText, Arc<Variables>)> {
        mem::take(&mut self.filters)
    }

    /// Checks the next line.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn line(&mut self, words: Words) -> Result<(), Failure> {
        let words = words
            .with_variables(self.variables.clone())
            .with_aliases(self.aliases.clone());
        let line = self.parser.parse(&words);
        let line = line.map_err(|error| Failure::syntax_of(error, &words))?;
        if let Some((filter, of_event)) = filter_of(self.table, &line) {
            let mut variables = self.variables.clone();
            if of_event {
                Arc::make_mut(&mut variables).assume(EVENT);
            }
            self.filters.push((filter, variables));
        }
        let Statement::Builtin(line) = line.statement else {
            return Ok(());
        };
        self.about_events |= line.is_about_events();
        let check = Check {
            table: self.table,
            language: self.language.clone(),
            schema: self.schema,
        };
        check.line(&line)?;
        match &*line.name {
            "let" => {
                if let Some(name) = line.words.first() {
                    Arc::make_mut(&mut self.variables).assume(name);
                }
            }
            "alias" => {
                if let Some((name, text)) = line.words.split_at("=") {
                    let aliases = Arc::make_mut(&mut self.aliases);
                    let set = aliases.set(name.text(), text.text());
                    return set.map_err(Failure::Usage);
                }
            }
            "source" => return self.file(&line),
            _ => {}
        }
        Ok(())
    }

    /// Checks the end of the lines.
    ///
    /// # Errors
    ///
    /// A transaction is not closed.
    pub fn end(&self) -> Result<(), Failure> {
        match self.parser.in_transaction() {
            true => Err(Failure::unclosed()),
            false => Ok(()),
        }
    }

    /// Checks the lines of a file that a line sources.
    fn file(&mut self, line: &BuiltinLine) -> Result<(), Failure> {
        let args = line.args();
        let args = args.map_err(|error| Failure::syntax_of(error, &line.words))?;
        let [path] = &args[..] else {
            return Ok(());
        };
        // The value of a variable may not be known yet.
        if path.contains('$') && !Path::new(path).exists() {
            return Ok(());
        }
        if self.depth == DEEPEST {
            let why = format!("files source each other more than {DEEPEST} deep");
            return Err(Failure::Usage(why));
        }
        let lines = read_lines(Path::new(path), &self.language)?;
        self.depth += 1;
        let checked = self.all(&lines);
        self.depth -= 1;
        checked
    }

    /// Checks the lines of a whole file.
    ///
    /// # Errors
    ///
    /// What is wrong with each of the lines that are wrong.
    pub(super) fn all(&mut self, lines: &[SourcedLine]) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        for line in lines {
            if let Err(failure) = self.line(line.words.clone()) {
                wrong.push(format!("{}{failure}", line.origin.head(&failure)));
            }
        }
        if let Err(failure) = self.end() {
            let file = lines.last().and_then(|line| line.origin.file.clone());
            wrong.push(format!("{}: {failure}", file.unwrap_or_default()));
            self.parser.abandon_transaction();
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(Failure::Lines(wrong)),
        }
    }
}
