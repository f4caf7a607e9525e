use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::lang::{Value, literal};

/// A value that is longer, in bytes, is not read for completion: that would take too long.
const LONGEST: usize = 1 << 20;

/// How many bytes of values are kept.
const MOST: usize = 2 << 20;

/// What commands and built-ins showed last, for the completion of keys. Clones share it.
#[derive(Clone, Default)]
pub struct Seen {
    values: Arc<Mutex<Values>>,
}

#[derive(Default)]
struct Values {
    of: HashMap<String, Bytes>,
    bytes: usize,
}

impl Seen {
    /// Keeps what the line whose first word is `name` showed, as JSON.
    pub fn keep(&self, name: &str, json: &str) {
        if json.len() > LONGEST {
            return;
        }
        let mut values = self.values.lock();
        if let Some(old) = values.of.remove(name) {
            values.bytes -= old.len();
        }
        if values.bytes + json.len() > MOST {
            *values = Values::default();
        }
        values.bytes += json.len();
        // A copy, because the reply may be a small part of what was read at once.
        let copy = Bytes::copy_from_slice(json.as_bytes());
        values.of.insert(name.to_owned(), copy);
    }

    /// What the lines of that first word showed last.
    pub fn of(&self, name: &str) -> Option<Arc<Value>> {
        let json = self.values.lock().of.get(name).cloned()?;
        read(&json)
    }
}

/// A value that was shown, if it is not too long to be read.
pub fn read(json: &[u8]) -> Option<Arc<Value>> {
    let text = str::from_utf8(json)
        .ok()
        .filter(|_| json.len() <= LONGEST)?;
    literal::parse(text).ok().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stays() {
        let seen = Seen::default();
        let json = format!("\"{}\"", "x".repeat(MOST / 4));
        for n in 0..20 {
            let name = format!("query-{n}");
            seen.keep(&name, &json);
            seen.keep(&name, &json);
            assert!(seen.of(&name).is_some());
            let values = seen.values.lock();
            let bytes: usize = values.of.values().map(Bytes::len).sum();
            assert_eq!(bytes, values.bytes);
            assert!(bytes <= MOST);
        }
    }
}
