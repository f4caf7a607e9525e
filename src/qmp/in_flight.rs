//! The commands that wait for a reply, and the ids by which replies find them.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::sync::oneshot;

use super::error::Error;
use super::message::Reply;

/// Commands in flight, oldest first. They are few, and replies mostly come in order, so a queue is faster than a map.
#[derive(Default)]
pub(super) struct Commands {
    in_flight: VecDeque<InFlight>,
    /// Our ids are negative: users rarely choose those, which is worth the one byte.
    last_id: i64,
    /// Our ids whose reply has come. They are used again because that keeps ids short, and QEMU reads one byte at a
    /// time. An id is free only after its reply, even if nobody waits any more, so no reply goes to another command.
    free_ids: Vec<i64>,
    /// How many commands in flight have an id that the user chose.
    users_ids: usize,
}

pub(super) struct InFlight {
    pub id: Value,
    /// The id is ours, not the user's.
    pub own_id: bool,
    pub name: String,
    /// A late reply is dropped.
    pub quiet: bool,
    /// Told when the reply has come.
    pub replied: Option<oneshot::Sender<()>>,
    pub waiter: oneshot::Sender<Result<Reply, Error>>,
}

impl Commands {
    /// Whether a command in flight has this id.
    pub fn uses(&self, id: &Value) -> bool {
        self.in_flight
            .iter()
            .any(|command| same_id(&command.id, id))
    }

    /// An id that no command in flight has.
    pub fn next_id(&mut self) -> Value {
        loop {
            let id = self.free_ids.pop().unwrap_or_else(|| {
                self.last_id -= 1;
                self.last_id
            });
            let id = Value::from(id);
            // Only an id that the user chose can be the same.
            if self.users_ids == 0 || !self.uses(&id) {
                return id;
            }
        }
    }

    /// Takes out the command that a reply with this id belongs to.
    ///
    /// An error without an id belongs to the oldest one: QEMU sends it for JSON that it could not parse. Any other
    /// reply without an id belongs to a command only if there is just one. Some servers say null for no id.
    pub fn take(&mut self, id: Option<&Value>, failed: bool) -> Option<InFlight> {
        let named = id.and_then(|id| {
            let mut commands = self.in_flight.iter();
            commands.position(|command| same_id(&command.id, id))
        });
        let at = match (named, id) {
            (Some(at), _) => at,
            (None, None | Some(Value::Null)) if failed || self.in_flight.len() == 1 => 0,
            _ => return None,
        };
        let command = self.in_flight.remove(at)?;
        match command.id.as_i64() {
            Some(id) if command.own_id => self.free_ids.push(id),
            _ => self.users_ids -= 1,
        }
        Some(command)
    }

    pub fn push(&mut self, command: InFlight) {
        self.users_ids += usize::from(!command.own_id);
        self.in_flight.push_back(command);
    }

    /// Takes out all of them.
    pub fn take_all(&mut self) -> VecDeque<InFlight> {
        self.users_ids = 0;
        std::mem::take(&mut self.in_flight)
    }
}

/// Whether two ids are the same. QEMU reads `1.0` and answers `1`.
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
    fn numbers_in_an_id_may_be_spelled_anew() {
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
