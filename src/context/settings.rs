use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::Output;
use crate::render::{self, Style};

/// How long the server may take to say what it accepts, where that only explains something.
const PATIENCE: Duration = Duration::from_secs(5);

/// How lines are run, and how their outcomes are shown. `:set` changes some of it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub style: Style,
    /// Print whole replies.
    pub envelope: bool,
    /// How long to wait for a reply; without a limit, as long as it takes.
    pub timeout: Option<Duration>,
    /// Ask before `quit` ends the VM.
    pub confirm: bool,
    /// Print the messages that would be sent, and send nothing.
    pub dry_run: bool,
    /// A command waits for a connection that is being sought.
    pub wait_for_connection: bool,
    /// The names of events that are not shown as they come.
    pub muted: Arc<BTreeSet<String>>,
}

impl Settings {
    /// How long to wait for an explanation.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE).min(PATIENCE)
    }

    /// What is printed of an output; its last line break may be missing.
    pub fn text<'a>(&self, output: &'a Output) -> Option<Cow<'a, str>> {
        match output {
            Output::Text { text, .. } => (!text.is_empty()).then(|| text.into()),
            Output::Event(event) => Some(self.style.event(event).into()),
            Output::Reply { reply, id } if self.envelope || id.is_some() => {
                let whole = render::envelope(reply.raw(), reply.failed(), id.as_deref());
                Some(self.style.text(&whole).into_owned().into())
            }
            Output::Reply { reply, .. } if reply.failed() => None,
            Output::Reply { reply, .. } => Some(self.style.text(reply.raw())),
            Output::Connected | Output::Follow(_) | Output::Console(_) | Output::Quit => None,
        }
    }
}
