//! Which commands wait for a reply, and by which id it is known.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::sync::oneshot;

use super::{Error, Reply};

/// Commands in flight, oldest first. There are few, and replies mostly come in order, so a queue finds
/// its entry faster than a map would.
#[derive(Default)]
pub(super) struct Commands {
    in_flight: VecDeque<InFlight>,
    /// Ours are negative: no user counts so, and a smaller chance of the same id is worth the one byte.
    last_id: i64,
    /// Ids down to `last_id` whose reply has come, to be used again: that keeps ids short, and QEMU
    /// reads one byte at a time. An id whose waiter gave up is still out, so none is ever mistaken.
    free_ids: Vec<i64>,
    /// How many in flight have an id that the user chose.
    users_ids: usize,
}

pub(super) struct InFlight {
    pub id: Value,
    /// The id is ours, not the user's.
    pub own_id: bool,
    pub name: String,
    /// A late reply is of no interest to anybody.
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
            // Only an id the user chose can be in the way; there are seldom any.
            if self.users_ids == 0 || !self.uses(&id) {
                return id;
            }
        }
    }

    /// Takes out the command that a reply with this id belongs to.
    ///
    /// An error without an id (QEMU answers so to JSON it could not parse) can only belong to the
    /// oldest one, and any reply to the only one.
    pub fn take(&mut self, id: Option<&Value>, failed: bool) -> Option<InFlight> {
        let at = match id {
            None if failed || self.in_flight.len() == 1 => 0,
            None => return None,
            Some(id) => self
                .in_flight
                .iter()
                .position(|command| same_id(&command.id, id))?,
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

/// `text`, a JSON object, with the member `id` added.
pub(super) fn with_id(text: &str, id: &Value) -> String {
    let open = text.trim_end().strip_suffix('}').unwrap_or(text);
    let comma = if open.trim_end().ends_with('{') {
        ""
    } else {
        ","
    };
    format!("{open}{comma}\"id\":{id}}}")
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

    #[test]
    fn an_id_is_added_behind_the_other_members() {
        let id = Value::from(7);
        assert_eq!(
            with_id(r#"{"execute": "a"}"#, &id),
            "{\"execute\": \"a\",\"id\":7}"
        );
        assert_eq!(with_id("{ }", &id), "{ \"id\":7}");
    }
}
