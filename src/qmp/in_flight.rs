//! The commands waiting for a reply, and how a reply finds its command.
//!
//! QEMU runs commands in band one after the other, so their replies come in order and need no id. It reads its monitor
//! a byte at a time, and an id of six digits costs a fifth of the rate. Only what goes out of band overtakes others, and
//! gets an id; so does what a log must recognize the answer to. A command whose caller gave up stays in the queue until its reply has come.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::sync::oneshot;

use super::error::Error;
use super::message::Reply;

/// Commands in flight, oldest first. They are few, so a queue is faster than a map.
#[derive(Default)]
pub(super) struct Commands {
    in_flight: VecDeque<InFlight>,
    /// Our ids are negative, because users rarely choose negative ones.
    last_id: i64,
    /// Our ids whose reply has come. They are reused to keep ids short.
    free_ids: Vec<i64>,
    /// How many commands in flight have an id chosen by the user.
    users_ids: usize,
}

pub(super) struct InFlight {
    pub id: Id,
    pub name: String,
    /// Whether to drop a late reply.
    pub quiet: bool,
    /// Notified when the reply has come.
    pub replied: Option<oneshot::Sender<()>>,
    pub waiter: Waiter,
}

/// Who gets a reply, or why there will be none.
pub(super) enum Waiter {
    /// Whoever awaits it, unless they gave up.
    Caller(oneshot::Sender<Result<Reply, Error>>),
    /// A function that is called as soon as it is read.
    Function(ReplyFn),
}

/// See [`Client::send_then`](super::Client::send_then).
pub(super) type ReplyFn = Box<dyn FnOnce(Result<Reply, Error>) + Send>;

impl Waiter {
    /// Hands over the outcome, or returns it if nobody wants it any more.
    pub fn hand(self, outcome: Result<Reply, Error>) -> Result<(), Result<Reply, Error>> {
        match self {
            Self::Caller(caller) => caller.send(outcome),
            Self::Function(then) => {
                then(outcome);
                Ok(())
            }
        }
    }
}

/// How a command knows its reply.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Id {
    /// By the order.
    Order,
    Ours(i64),
    Users(Value),
}

impl Id {
    fn is(&self, id: &Value) -> bool {
        match self {
            Self::Order => false,
            Self::Ours(ours) => id.as_i64() == Some(*ours),
            Self::Users(users) => same_id(users, id),
        }
    }
}

impl Commands {
    /// Whether a command in flight has this id.
    pub fn uses(&self, id: &Value) -> bool {
        self.in_flight.iter().any(|command| command.id.is(id))
    }

    /// Returns an id that no command in flight has.
    pub fn next_id(&mut self) -> i64 {
        loop {
            let id = self.free_ids.pop().unwrap_or_else(|| {
                self.last_id -= 1;
                self.last_id
            });
            // Only an id chosen by the user can be the same.
            if self.users_ids == 0 || !self.uses(&Value::from(id)) {
                return id;
            }
        }
    }

    /// Removes and returns the command that a reply with this id belongs to.
    ///
    /// A reply without an id belongs to the oldest command without one. If there is none, it can only be QEMU's error
    /// for JSON that it could not parse, which belongs to the oldest command, or the reply to the only one.
    pub fn take(&mut self, id: Option<&Value>, failed: bool) -> Option<InFlight> {
        let named = id.and_then(|id| self.position(|command| command.id.is(id)));
        let at = match (named, id) {
            (Some(at), _) => at,
            // Some servers return null for no id.
            (None, None | Some(Value::Null)) => {
                match self.position(|command| command.id == Id::Order) {
                    Some(at) => at,
                    None if failed || self.in_flight.len() == 1 => 0,
                    None => return None,
                }
            }
            (None, Some(_)) => return None,
        };
        let command = self.in_flight.remove(at)?;
        match command.id {
            Id::Order => {}
            Id::Ours(id) => self.free_ids.push(id),
            Id::Users(_) => self.users_ids -= 1,
        }
        Some(command)
    }

    fn position(&self, is: impl Fn(&InFlight) -> bool) -> Option<usize> {
        self.in_flight.iter().position(is)
    }

    pub fn push(&mut self, command: InFlight) {
        self.users_ids += usize::from(matches!(command.id, Id::Users(_)));
        self.in_flight.push_back(command);
    }

    /// Removes and returns all commands.
    pub fn take_all(&mut self) -> VecDeque<InFlight> {
        self.users_ids = 0;
        std::mem::take(&mut self.in_flight)
    }
}

/// Whether two ids are equal. QEMU answers id `1.0` with `1`.
fn same_id(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_id(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a)| b.get(key).is_some_and(|b| same_id(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_equal_if_their_numbers_are() {
        let id = |text| serde_json::from_str::<Value>(text).expect("JSON");
        for (sent, came, same) in [
            ("1.0", "1", true),
            (r#"[1.0, {"a": 2e0}]"#, r#"[1, {"a": 2}]"#, true),
            ("[1.0]", "[1, 1]", false),
            ("[1.5]", "[1]", false),
            (r#"{"a": 1.0}"#, r#"{"b": 1}"#, false),
        ] {
            assert_eq!(same_id(&id(sent), &id(came)), same, "{sent} {came}");
        }
    }
}
