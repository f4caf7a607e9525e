//! What a script prints until somebody stops it.

use std::pin::pin;

use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use crate::exec::{self};
use crate::failure::Failure;
use crate::os::stderr::say;
use crate::qmp::{Listener, Notices, State};
use crate::render::escape;
use crate::vm::Follow;

use super::display::{Display, with_notices};

impl Display {
    /// Prints a file as it grows. Stops when standard output fails.
    pub async fn follow(&mut self, mut file: Follow, notices: &mut Notices) {
        let stdout = &mut self.stdout;
        if let Some(note) = file.left_out() {
            stdout.flush();
            say(note);
        }
        while !stdout.has_failed()
            && let Some(text) = with_notices(notices, file.next()).await
        {
            stdout.write(&escape(&text));
            stdout.flush();
            // A long log is always ready, and can still be interrupted.
            yield_now().await;
        }
    }

    /// Prints events as they come. Stops when standard output fails, or there is no connection: then it is a failure.
    pub async fn follow_events(
        &mut self,
        mut events: Listener,
        notices: &mut Notices,
    ) -> Option<Failure> {
        let context = self.context.clone();
        let stdout = &mut self.stdout;
        let mut without = pin!(exec::builtin::no_connection(&context));
        while !stdout.has_failed() {
            let event = match events.try_next() {
                Some(event) => event,
                None => {
                    stdout.flush();
                    let next = async {
                        tokio::select! {
                            biased;
                            event = events.next() => event.ok_or(State::Idle(None)),
                            state = &mut without => Err(state),
                        }
                    };
                    match with_notices(notices, next).await {
                        Ok(event) => event,
                        Err(state) => return Some(Failure::not_connected(&state)),
                    }
                }
            };
            stdout.write_line(&context.settings().style.event(&event));
            let missed = events.missed();
            if missed > 0 {
                stdout.flush();
                say(format!(
                    "qmpsh: {missed} events came faster than they could be printed"
                ));
            }
            // A flood of events can still be interrupted.
            consume_budget().await;
        }
        None
    }
}
