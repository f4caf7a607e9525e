use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::Output;
use crate::dialect;
use crate::lang::{Aliases, FilterText, Variables};
use crate::render::{self, Style};

/// How long to wait for the server's schema when it is only needed to explain something.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a command returns that has nothing to say.
const EMPTY: &str = "{}";

/// How lines run and how their outcomes are shown. `:set` changes some of these.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How to print values.
    pub style: Style,
    /// Print whole replies instead of just the value.
    pub envelope: bool,
    /// How long to wait for each reply; `None` is no limit.
    pub timeout: Option<Duration>,
    /// Ask before `quit` ends the VM.
    pub confirm: bool,
    /// Show long values and help in a pager.
    pub pager: bool,
    /// Print the messages that would be sent, without sending them.
    pub dry_run: bool,
    /// Commands wait while the session is connecting.
    pub wait_for_connection: bool,
    /// The filter that replies run through if their line has none.
    pub filter: Option<FilterText>,
    /// Print no empty values.
    pub quiet: bool,
    /// What `$NAME` stands for in a line.
    pub variables: Arc<Variables>,
    /// The lines that names stand for.
    pub aliases: Arc<Aliases>,
    /// The names of the events that the user muted.
    pub muted: Arc<BTreeSet<String>>,
    /// What concerns only the prompt.
    pub prompt: PromptSettings,
}

/// Settings of the prompt.
#[derive(Debug, Clone, Default)]
pub struct PromptSettings {
    /// The keys that edit a line are vi's, not Emacs's.
    pub vi_keys: bool,
    /// What the prompt looks like, if not as usual: a text with `{name}`, `{state}`, `{address}` and `{version}`.
    pub text: Option<String>,
    /// Pasted lines go on after one that fails.
    pub keep_going: bool,
    /// `config.toml` was read, so that it can be written.
    pub configured: bool,
    /// The keys of `config.toml` whose values were changed since.
    pub changed: BTreeSet<&'static str>,
}

impl Settings {
    /// How long to wait for a reply that is only needed to explain something.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE).min(PATIENCE)
    }

    /// The text to print for an output; its last line break may be missing. `None` if there is nothing to
    /// print.
    pub fn text<'a>(&self, output: &'a Output) -> Option<Cow<'a, str>> {
        match output {
            Output::Text { text, .. } => (!text.is_empty()).then(|| text.into()),
            Output::List { text, .. } if self.style.is_for_a_person() => {
                (!text.is_empty()).then(|| text.into())
            }
            Output::List { json, .. } => Some(self.style.value(json).into()),
            Output::Event(event) => Some(self.style.event(event).into()),
            Output::Reply { reply, id, .. } if self.envelope || id.is_some() => {
                let whole = render::envelope(reply.raw(), reply.failed(), id.as_deref());
                Some(self.style.text(&whole).into_owned().into())
            }
            Output::Reply { reply, .. } if reply.failed() => None,
            Output::Values { lines, .. } => self.values(lines),
            Output::Reply { reply, .. } if self.quiet && reply.raw() == EMPTY => None,
            Output::Reply { reply, dialect, .. } => {
                let text = dialect::text(*dialect, reply.raw(), self.style);
                let text = text.unwrap_or_else(|| self.style.text(reply.raw()));
                (!text.is_empty()).then_some(text)
            }
            Output::Picture(picture) => self.style.picture(picture).map(Cow::from),
            Output::Program { .. }
            | Output::Piped(_)
            | Output::Connected
            | Output::Follow(_)
            | Output::Remark(_)
            | Output::Events(_)
            | Output::Console(_)
            | Output::Source(_)
            | Output::Watch(_)
            | Output::Quit(_) => None,
        }
    }

    /// The text to print for values that are JSON lines.
    fn values<'a>(&self, lines: &'a str) -> Option<Cow<'a, str>> {
        let compact = |line| matches!(self.style.text(line), Cow::Borrowed(text) if text == line);
        if !self.quiet && lines.lines().all(compact) {
            return (!lines.is_empty()).then(|| lines.into());
        }
        let mut text = String::with_capacity(lines.len());
        for line in lines.lines().filter(|line| !self.quiet || *line != EMPTY) {
            text.push_str(&self.style.value(line));
        }
        (!text.is_empty()).then(|| text.into())
    }
}
