//! `:wait`.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::conditions::{check, filter, read_named, take_option};
use super::entry::{Builtin, Call, Effect, Part, time};
use crate::context::{Context, Outcome, Output};
use crate::exec::holds;
use crate::failure::Failure;
use crate::lang::{FilterText, Match, Words};
use crate::qmp::{Event, Filter, Notice, State};

pub(super) const WAIT: Builtin = Builtin {
    name: "wait",
    forms: &[&[
        Part::Events,
        Part::Match,
        Part::Repeated(&[Part::Word(&[OR, FAIL]), Part::Events, Part::Match]),
        Part::Flag("--timeout", "SECS"),
        Part::Condition { required: false },
    ]],
    summary: "wait for an event, and print it",
    help: "NAME is an event, `*` any event, `connected` or `disconnected` a change of the connection.\n\
           KEY=VALUE selects events whose data contains it, KEY alone those that have the key at all;\n\
           status=completed|failed is either value. --or adds an alternative; an event that --fail names is\n\
           printed and ends the wait with exit status 1. With FILTER, an event counts if the filter's output is true.\n\
           Without --timeout, the limit for replies applies.\n\
           Events that arrived since the last command that changes something was sent count too, so that none\n\
           is missed: a query between a command and `:wait` makes no difference. Each event ends one wait.",
    run: |call| Box::pin(wait(call)),
};

/// How long the conditions may take to be checked, however short the wait is.
const CHECK: Duration = Duration::from_secs(1);

const OR: &str = "--or";
const FAIL: &str = "--fail";

/// The events that are sent only with the migration capability `events`.
const OF_MIGRATION: [&str; 2] = ["MIGRATION", "MIGRATION_PASS"];

/// The events that a line waits for.
struct Wanted {
    /// The conditions; each with whether it makes the wait fail.
    alternatives: Vec<(Match, bool)>,
    /// A further condition.
    filter: Option<FilterText>,
    limit: Option<Duration>,
}

impl Wanted {
    /// Parses `NAME[,NAME…] [KEY=VALUE | KEY]… [--or …] [--fail …] [--timeout SECS]`.
    fn read(call: &Call<'_>) -> Result<Self, Failure> {
        let mut words = call.line.words.clone();
        let limit = limit(call, &mut words)?;
        let filter = words.filter();
        let filter = filter.map_err(|error| Failure::syntax_of(error, &words))?;
        let (first, others) = words.split_all(&[OR, FAIL]);
        let mut alternatives = vec![(read_named(&first, call.usage())?, false)];
        for (marker, words) in others {
            alternatives.push((read_named(&words, call.usage())?, marker == FAIL));
        }
        Ok(Self {
            alternatives,
            filter,
            limit,
        })
    }

    fn matches(&mut self) -> impl Iterator<Item = &mut Match> {
        self.alternatives.iter_mut().map(|(wanted, _)| wanted)
    }

    /// All names, for messages.
    fn names(&self) -> String {
        let all = self
            .alternatives
            .iter()
            .flat_map(|(wanted, _)| &wanted.names);
        all.map(String::as_str).collect::<Vec<_>>().join(",")
    }

    /// Whether this event, which one of the conditions selects, makes the wait fail.
    fn fails(&self, event: &Event) -> bool {
        let mut all = self.alternatives.iter();
        all.find(|(wanted, _)| wanted.takes(event.name(), event.data()))
            .is_some_and(|(_, fails)| *fails)
    }
}

/// Removes `--timeout SECS` from the words of a wait, and returns its limit; without it, that for replies.
pub(super) fn limit(call: &Call<'_>, words: &mut Words) -> Result<Option<Duration>, Failure> {
    match take_option(words, "--timeout")? {
        Some(text) => time(&text).map(Some),
        None => Ok(call.context.settings_mut().timeout),
    }
}

async fn wait(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut wanted = Wanted::read(call)?;
    // Not part of the time to wait, so that an event that is there already is found within any limit.
    let patience = wanted.limit.map(|limit| limit.max(CHECK));
    within(patience, check(call.context, wanted.matches()))
        .await
        .unwrap_or(Ok(()))?;
    let waited = within(wanted.limit, async {
        let all = wanted.matches().map(|wanted| wanted.clone()).collect();
        let (hub, since) = (
            call.context.target.session.hub(),
            call.context.target.wait_from(),
        );
        let event = async {
            match &wanted.filter {
                None => Ok(hub.wait(filter(all), since).await),
                Some(condition) => filtered(call.context, filter(all), since, condition).await,
            }
        };
        tokio::select! {
            biased;
            event = event => event,
            state = no_connection(call.context) => Err(Failure::not_connected(&state)),
            failure = without_capability(call.context, &wanted) => Err(failure),
        }
    });
    let event = match waited.await {
        Some(waited) => waited?,
        None => {
            return Err(Failure::NotInTime {
                what: format!("no event `{}`", wanted.names()),
                limit: wanted.limit.unwrap_or_default(),
            });
        }
    };
    let failure = wanted
        .fails(&event)
        .then(|| Failure::Failed(format!("{} came", event.name())));
    Ok(Effect::Done(Outcome {
        output: Output::Event(event),
        failure,
    }))
}

/// Waits for an event that `wanted` selects, on which the output of the filter `condition` is true.
async fn filtered(
    context: &Context,
    wanted: Filter,
    since: u64,
    condition: &FilterText,
) -> Result<Arc<Event>, Failure> {
    let mut events = context.target.session.hub().listen_since(wanted, since);
    while let Some(event) = events.next().await {
        let json = Bytes::copy_from_slice(event.text().as_bytes());
        if holds(context, condition, json).await? && event.take() {
            return Ok(event);
        }
    }
    // The session has ended, which others notice.
    pending().await
}

/// What `future` resolves to, or `None` if that takes longer than `limit`.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let too_long = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        result = future => Some(result),
        () = too_long => None,
    }
}

/// Resolves if nothing but the events of a migration is waited for, and the server does not send them. Says so if they
/// are one of several alternatives.
async fn without_capability(context: &Context, wanted: &Wanted) -> Failure {
    let names = || {
        wanted
            .alternatives
            .iter()
            .flat_map(|(wanted, _)| &wanted.names)
    };
    let is_of_migration = |name: &String| OF_MIGRATION.contains(&name.as_str());
    let Some(name) = names().find(|name| is_of_migration(name)) else {
        return pending().await;
    };
    if !sends_migration_events(context).await {
        let why = format!(
            "`{name}` is only sent with the migration capability `events`: `migrate-set-capabilities \
             capabilities.0.capability=events capabilities.0.state=on`; `:finish migrate …` needs no capability"
        );
        if names().all(is_of_migration) {
            return Failure::Failed(why);
        }
        let _ = context
            .target
            .session
            .notice_sender()
            .send(Notice::Said(why));
    }
    pending().await
}

/// Whether the server sends the events of a migration; true if it does not say.
async fn sends_migration_events(context: &Context) -> bool {
    #[derive(Deserialize)]
    struct Capability {
        capability: String,
        state: bool,
    }
    let inspector = context.target.inspector();
    let all: Option<Vec<Capability>> = inspector.ask("query-migrate-capabilities", json!({})).await;
    let mut all = all.into_iter().flatten();
    all.find(|one| one.capability == "events")
        .is_none_or(|one| one.state)
}

/// Resolves when there is no connection and no attempt to connect.
pub async fn no_connection(context: &Context) -> State {
    let mut states = context.target.session.watch();
    let idle = states
        .wait_for(|state| matches!(state, State::Idle(_)))
        .await;
    idle.map_or(State::Idle(None), |state| state.clone())
}
