//! The task that drives a session through its states.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::client::Client;
use super::error::{Ending, Error, Lost};
use super::notice::{Notice, Unsolicited};
use super::options::{Options, Retry};
use super::state::State;
use crate::lang::{CONNECTED, DISCONNECTED, mask_text};
use crate::transport::Endpoint;

/// The pause before the second attempt. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the loop is asked to do.
pub(super) enum Order {
    /// Try once, and replace the current connection on success.
    Try(Endpoint, Waiter),
    /// Try as often as [`Retry`] allows.
    Seek(Endpoint, Waiter),
    Disconnect(oneshot::Sender<()>),
}

/// Tells the caller whether there is a connection.
pub(super) type Waiter = oneshot::Sender<Result<(), Error>>;

/// The only place that changes a session's state.
pub(super) struct Loop {
    pub options: Options,
    pub retry: Retry,
    pub unsolicited: Unsolicited,
    pub orders: mpsc::UnboundedReceiver<Order>,
    pub state: watch::Sender<State>,
}

/// What the loop does next.
enum Step {
    Rest,
    Seek(Goal),
    Run(Arc<Client>),
}

/// A connection that we are trying to make.
struct Goal {
    endpoint: Endpoint,
    /// The caller waiting for the outcome; without one, a notice reports it.
    waiter: Option<Waiter>,
    /// Why the last connection to this endpoint ended.
    after: Option<Ending>,
    /// The time limit, and when it is up.
    due: Option<(Duration, Instant)>,
}

impl Loop {
    /// Runs until the session is dropped.
    pub async fn run(mut self) {
        let mut step = Step::Rest;
        loop {
            step = match step {
                Step::Rest => match self.orders.recv().await {
                    None => return,
                    Some(order) => self.obey(order, Step::Rest).await,
                },
                Step::Seek(mut goal) => {
                    self.publish(State::Connecting(goal.after.clone()));
                    match self.seek(&mut goal).await {
                        Sought::Found(client) => self.found(client, goal),
                        Sought::Failed(error) => self.gave_up(error, goal),
                        Sought::Order(order) => self.obey(order, Step::Seek(goal)).await,
                        Sought::End => return,
                    }
                }
                Step::Run(client) => {
                    self.publish(State::Running(client.clone()));
                    let ended = client.ended();
                    tokio::select! {
                        biased;
                        lost = ended => self.lost(&client, lost).await,
                        order = self.orders.recv() => match order {
                            None => return,
                            Some(order) => self.obey(order, Step::Run(client)).await,
                        },
                    }
                }
            };
        }
    }

    async fn obey(&mut self, order: Order, now: Step) -> Step {
        match order {
            Order::Disconnect(done) => {
                self.close(now).await;
                self.publish(State::Idle(None));
                let _ = done.send(());
                Step::Rest
            }
            Order::Seek(endpoint, waiter) => {
                self.close(now).await;
                let limit = match self.retry {
                    Retry::Never => None,
                    Retry::Within(limit) => self.options.connect_timeout.or(limit),
                };
                Step::Seek(Goal {
                    endpoint,
                    waiter: Some(waiter),
                    after: None,
                    due: limit.map(|limit| (limit, Instant::now() + limit)),
                })
            }
            Order::Try(endpoint, waiter) => Box::pin(self.attempt(endpoint, waiter, now)).await,
        }
    }

    /// Tries once to connect, in place of the current step `now`.
    async fn attempt(&mut self, endpoint: Endpoint, mut waiter: Waiter, now: Step) -> Step {
        let fallback = match now {
            Step::Run(client) if client.endpoint().leads_to_same(&endpoint) => {
                self.publish(State::Disconnecting);
                client.close().await;
                // We closed it ourselves, but restore it if the attempt fails.
                let ending = self.ending(Lost::Disconnected);
                self.after_the_end(endpoint.clone(), ending)
            }
            step => step,
        };
        match &fallback {
            Step::Run(_) => {}
            Step::Seek(goal) => self.publish(State::Connecting(goal.after.clone())),
            Step::Rest => self.publish(State::Connecting(None)),
        }
        let result = tokio::select! {
            biased;
            () = waiter.closed() => Err(Error::NotConnected(Lost::Disconnected)),
            result = Client::connect(&endpoint, &self.options, self.unsolicited.clone()) => result,
        };
        match result {
            Ok(client) => {
                self.close(fallback).await;
                let client = Arc::new(client);
                // Publish first, because the caller looks at the state next.
                self.publish(State::Running(client.clone()));
                let _ = waiter.send(Ok(()));
                Step::Run(client)
            }
            Err(error) => {
                if matches!(fallback, Step::Rest) {
                    self.publish(State::Idle(None));
                }
                let _ = waiter.send(Err(error));
                fallback
            }
        }
    }

    /// Closes the connection, if there is one. Resolves when that is done.
    async fn close(&mut self, step: Step) {
        match step {
            Step::Run(client) => {
                self.publish(State::Disconnecting);
                client.close().await;
                // A `SHUTDOWN` of this connection does not explain the end of the next.
                self.unsolicited.hub.take_shutdown();
            }
            Step::Seek(Goal {
                waiter: Some(waiter),
                ..
            }) => {
                let _ = waiter.send(Err(Error::NotConnected(Lost::Disconnected)));
            }
            Step::Rest | Step::Seek(_) => {}
        }
    }

    /// Tries to connect until it succeeds, cannot succeed, or there is another order.
    async fn seek(&mut self, goal: &mut Goal) -> Sought {
        let mut pause = FIRST_PAUSE;
        let mut announced = None;
        // A server that has just ended needs a moment to come back.
        if goal.after.is_some()
            && let Some(sought) = self.rest(jittered(pause), goal).await
        {
            return sought;
        }
        loop {
            let options = Options {
                connect_timeout: match goal.due {
                    // The last attempt starts when the time is up, and may still take a moment.
                    Some((_, due)) => Some(
                        due.saturating_duration_since(Instant::now())
                            .max(FIRST_PAUSE),
                    ),
                    None if goal.after.is_none() => self.options.connect_timeout,
                    None => None,
                },
                ..self.options.clone()
            };
            let attempt = Client::connect(&goal.endpoint, &options, self.unsolicited.clone());
            let result = tokio::select! {
                biased;
                result = attempt => result,
                order = self.orders.recv() => return order.map_or(Sought::End, Sought::Order),
            };
            let error = match result {
                Ok(client) => return Sought::Found(Arc::new(client)),
                Err(error) => error,
            };
            let before = goal.after.is_some();
            if self.retry == Retry::Never || !error.is_transient(before) {
                return Sought::Failed(error);
            }
            // It is normal that a server takes a moment to come back. Any other reason is announced
            // once.
            let text = error.to_string();
            let expected = before && error.is_transient(false);
            if !expected && announced.as_ref() != Some(&text) {
                self.unsolicited.notify(Notice::Waiting(error.clone()));
                announced = Some(text);
            }
            if goal.due.is_some_and(|(_, due)| Instant::now() >= due) {
                return Sought::Failed(error);
            }
            if let Some(sought) = self.rest(jittered(pause), goal).await {
                return sought;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits between two attempts, unless there is an order.
    async fn rest(&mut self, pause: Duration, goal: &Goal) -> Option<Sought> {
        let next = Instant::now() + pause;
        let next = goal.due.map_or(next, |(_, due)| next.min(due));
        tokio::select! {
            biased;
            order = self.orders.recv() => Some(order.map_or(Sought::End, Sought::Order)),
            () = sleep_until(next) => None,
        }
    }

    fn found(&mut self, client: Arc<Client>, goal: Goal) -> Step {
        self.publish(State::Running(client.clone()));
        match goal.waiter {
            Some(waiter) => {
                let _ = waiter.send(Ok(()));
            }
            None => self
                .unsolicited
                .notify(Notice::Back(client.endpoint().to_string())),
        }
        Step::Run(client)
    }

    fn gave_up(&mut self, mut error: Error, goal: Goal) -> Step {
        // The last attempt had only the rest of the time, but the user set the whole limit.
        if let (Some((whole, _)), Some(limit)) = (goal.due, error.limit_mut()) {
            *limit = whole;
        }
        self.publish(State::Idle(goal.after));
        match goal.waiter {
            Some(waiter) => {
                let _ = waiter.send(Err(error));
            }
            None => self.unsolicited.notify(Notice::GivenUp(error)),
        }
        Step::Rest
    }

    /// Handles a connection that ended by itself.
    async fn lost(&mut self, client: &Client, lost: Lost) -> Step {
        let passes = lost.is_transient();
        let ending = self.ending(lost);
        client.close().await;
        let step = match passes {
            true => self.after_the_end(client.endpoint().clone(), ending.clone()),
            false => Step::Rest,
        };
        let again = matches!(step, Step::Seek(_));
        self.publish(match again {
            true => State::Connecting(Some(ending.clone())),
            false => State::Idle(Some(ending.clone())),
        });
        let endpoint = client.endpoint().clone();
        self.unsolicited.notify(Notice::Lost {
            endpoint,
            ending,
            again,
        });
        step
    }

    fn ending(&self, lost: Lost) -> Ending {
        Ending {
            lost,
            shutdown: self.unsolicited.hub.take_shutdown(),
        }
    }

    /// Returns the step after the end of a connection to `endpoint`.
    fn after_the_end(&self, endpoint: Endpoint, ending: Ending) -> Step {
        match self.retry {
            _ if !endpoint.can_be_dialled_again() => Step::Rest,
            Retry::Never => Step::Rest,
            Retry::Within(limit) => Step::Seek(Goal {
                endpoint,
                waiter: None,
                after: Some(ending),
                due: limit.map(|limit| (limit, Instant::now() + limit)),
            }),
        }
    }

    /// Changes the state. If the connection begins or ends with that, publishes the event.
    fn publish(&self, state: State) {
        let event = match &state {
            State::Running(client) => {
                let address = client.endpoint().to_string();
                (CONNECTED, json!({"address": mask_text(&address)}))
            }
            State::Idle(Some(ending)) | State::Connecting(Some(ending)) => (
                DISCONNECTED,
                json!({"reason": mask_text(&ending.to_string())}),
            ),
            State::Idle(None) | State::Connecting(None) | State::Disconnecting => {
                (DISCONNECTED, json!({}))
            }
        };
        let before = self.state.send_replace(state);
        let was = matches!(before, State::Running(_));
        if was != (event.0 == CONNECTED) {
            self.unsolicited.hub.publish_own(event.0, &event.1);
        }
    }
}

/// How trying to connect ended.
enum Sought {
    Found(Arc<Client>),
    Failed(Error),
    /// There is another order.
    Order(Order),
    /// The session was dropped.
    End,
}

/// A random pause between three and five quarters of `pause`, so that many shells that lost the
/// same server do not all come back at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_random_within_a_quarter() {
        let pauses: Vec<_> = (0..50).map(|_| jittered(LONGEST_PAUSE)).collect();
        let (least, most) = (Duration::from_millis(1500), Duration::from_millis(2500));
        assert!(pauses.iter().all(|pause| (least..most).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
