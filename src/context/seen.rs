use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::lang::{Value, literal};

/// A value that is longer, in bytes, is not read for completion: that would take too long.
const LONGEST: usize = 1 << 20;

/// How many values are kept.
const MOST: usize = 100;

/// What commands and built-ins showed last, for the completion of keys. Clones share it.
#[derive(Clone, Default)]
pub struct Seen {
    values: Arc<Mutex<HashMap<String, Bytes>>>,
}

impl Seen {
    /// Keeps what the line whose first word is `name` showed, as JSON.
    pub fn keep(&self, name: &str, json: &str) {
        if json.len() > LONGEST {
            return;
        }
        let mut values = self.values.lock();
        if values.len() >= MOST && !values.contains_key(name) {
            values.clear();
        }
        // A copy, because the reply may be a small part of what was read at once.
        values.insert(name.to_owned(), Bytes::copy_from_slice(json.as_bytes()));
    }

    /// What the lines of that first word showed last.
    pub fn of(&self, name: &str) -> Option<Arc<Value>> {
        let json = self.values.lock().get(name).cloned()?;
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
