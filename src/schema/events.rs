//! Checks a condition on events against the schema: no event may fulfil it.

use std::collections::BTreeSet;

use super::{Object, Scalar, Schema, Type, TypeId, word_as};
use crate::lang::{ANY_EVENT, Match, SESSION_EVENTS, Value, any_of, choices, dotted, nearest};

/// The most values of an enum that a message lists.
const FEW: usize = 12;

impl Schema {
    /// Gives the bare words of a condition the types that the schema asks for.
    ///
    /// # Errors
    ///
    /// Why no event can fulfil the condition, as a sentence without its full stop: the server has no event of a name, or
    /// none of these events has such data.
    pub fn check_match(&self, wanted: &mut Match) -> Result<(), String> {
        let is_own = |name: &String| SESSION_EVENTS.contains(&name.as_str());
        for name in &wanted.names {
            if name != ANY_EVENT && !is_own(name) && self.event(name).is_none() {
                return Err(self.no_event(name));
            }
        }
        if wanted.names.iter().any(is_own) {
            return Ok(());
        }
        if wanted.names.is_empty() || wanted.names.iter().any(|name| name == ANY_EVENT) {
            let mut all = self.events();
            return match all.any(|(_, event)| self.mismatch(event.data, wanted).is_none()) {
                true => Ok(()),
                false => Err(self.no_such_data(wanted)),
            };
        }
        let mut first = None;
        for name in &wanted.names {
            match self
                .event(name)
                .and_then(|event| self.mismatch(event.data, wanted))
            {
                None => {
                    first = None;
                    break;
                }
                Some(mismatch) => {
                    first.get_or_insert_with(|| format!("`{name}`: {mismatch}"));
                }
            }
        }
        if let Some(mismatch) = first {
            return Err(mismatch);
        }
        if let [name] = &wanted.names[..]
            && let Some(event) = self.event(name)
        {
            self.type_members(event.data, &mut wanted.data);
        }
        Ok(())
    }

    fn no_event(&self, name: &str) -> String {
        let names = self.events().map(|(name, _)| name);
        let near = nearest(name, names.chain(SESSION_EVENTS));
        let mut why = format!("this server has no event `{name}`");
        if !near.is_empty() {
            why.push_str(&format!("; did you mean {}?", any_of(&near)));
        }
        why
    }

    /// Why no event at all has this data.
    fn no_such_data(&self, wanted: &Match) -> String {
        let objects = self
            .events()
            .filter_map(|(_, event)| self.object(event.data));
        let known: BTreeSet<&str> = objects.flat_map(|object| self.all_keys(object)).collect();
        let given = wanted.data.keys().chain(&wanted.keys);
        let mut heads = given.map(|key| key.split('.').next().unwrap_or(key));
        match heads.find(|key| !known.contains(key)) {
            Some(key) => no_key(key, nearest(key, known)),
            None => "no event of this server has such data".to_owned(),
        }
    }

    /// Why data of this type cannot be as wanted, if it cannot.
    fn mismatch(&self, data: TypeId, wanted: &Match) -> Option<String> {
        let by_keys = wanted.keys.iter().find_map(|key| {
            let path: Vec<&str> = key.split('.').collect();
            self.missing_key(data, &path)
        });
        by_keys.or_else(|| {
            let mut given = dotted(&wanted.data).into_iter();
            given.find_map(|(key, value)| {
                let path: Vec<&str> = key.split('.').collect();
                self.missing_key(data, &path)
                    .or_else(|| self.wrong_value(data, &path, &key, value))
            })
        })
    }

    /// Says so if nothing of this type has a value at `path`.
    fn missing_key(&self, of: TypeId, path: &[&str]) -> Option<String> {
        let mut types = vec![of];
        for key in path {
            let next = self.at_key(&types, key);
            if next.is_empty() {
                let objects = types.iter().filter_map(|of| self.object(*of));
                let known: BTreeSet<&str> =
                    objects.flat_map(|object| self.all_keys(object)).collect();
                return Some(no_key(key, nearest(key, known)));
            }
            types = next;
        }
        None
    }

    /// Says so if no type at `path` has this value.
    fn wrong_value(&self, of: TypeId, path: &[&str], key: &str, value: &Value) -> Option<String> {
        let types = path
            .iter()
            .fold(vec![of], |types, key| self.at_key(&types, key));
        let words: Vec<Value> = match value {
            Value::Word(word) => choices(word)
                .map(|one| Value::Word(one.to_owned()))
                .collect(),
            other => vec![other.clone()],
        };
        let wrong = words
            .iter()
            .find(|value| !types.iter().any(|of| self.can_be(*of, value)))?;
        let shown = wrong
            .as_str()
            .map_or_else(|| wrong.to_json(), str::to_owned);
        let mut why = format!("`{key}` cannot be `{shown}`");
        let names: Vec<&str> = types.iter().flat_map(|of| self.enum_values(*of)).collect();
        let near = nearest(&shown, names.iter().copied());
        if !near.is_empty() {
            why.push_str(&format!("; did you mean {}?", any_of(&near)));
        } else if !names.is_empty() && names.len() <= FEW {
            why.push_str(&format!("; it is {}", any_of(&names)));
        } else if names.is_empty()
            && let Some(of) = types.first()
        {
            why.push_str(&format!("; its type is {}", self.describe(*of)));
        }
        Some(why)
    }

    /// The types that the member or item `key` of one of `types` can have, whatever tags say.
    fn at_key(&self, types: &[TypeId], key: &str) -> Vec<TypeId> {
        let mut found = Vec::new();
        for of in types {
            if let Some(items) = self.items(*of)
                && key.bytes().all(|byte| byte.is_ascii_digit())
            {
                found.push(items);
            }
            if let Some(object) = self.object(*of) {
                self.collect(object, &mut |object| {
                    let members = object.members.iter().filter(|member| *member.name == *key);
                    found.extend(members.map(|member| member.of));
                });
            }
        }
        found
    }

    fn all_keys<'a>(&'a self, object: &'a Object) -> Vec<&'a str> {
        let mut keys = Vec::new();
        self.collect(object, &mut |object| {
            keys.extend(object.members.iter().map(|member| &*member.name));
        });
        keys
    }

    /// Visits an object type and those of its variants, each once.
    fn collect<'a>(&'a self, object: &'a Object, visit: &mut dyn FnMut(&'a Object)) {
        let mut objects = vec![object];
        let mut at = 0;
        while let Some(object) = objects.get(at).copied() {
            visit(object);
            at += 1;
            for variant in object.variants.iter().filter_map(|v| self.object(v.of)) {
                if !objects.iter().any(|known| std::ptr::eq(*known, variant)) {
                    objects.push(variant);
                }
            }
        }
    }

    fn enum_values(&self, of: TypeId) -> Vec<&str> {
        match self.get(of) {
            Type::Enum(values) => values.iter().map(|value| &*value.name).collect(),
            _ => Vec::new(),
        }
    }

    fn can_be(&self, of: TypeId, value: &Value) -> bool {
        match (self.get(of), value) {
            (Type::Alternate(types), _) => types.iter().any(|of| self.can_be(*of, value)),
            (Type::Enum(values), Value::Word(word) | Value::Text(word)) => {
                values.iter().any(|value| *value.name == **word)
            }
            (Type::Scalar(scalar), _) => fits(*scalar, value),
            (Type::Array(_), Value::Array(_)) | (Type::Object(_), Value::Object(_)) => true,
            _ => false,
        }
    }
}

fn fits(scalar: Scalar, value: &Value) -> bool {
    match (scalar, value) {
        (Scalar::Any, _) | (Scalar::Str, Value::Text(_) | Value::Word(_)) => true,
        (_, Value::Word(word)) => word_as(scalar, word).is_some(),
        (Scalar::Int | Scalar::Number, Value::Number(_)) => true,
        (Scalar::Bool, Value::Bool(_)) | (Scalar::Null, Value::Null) => true,
        _ => false,
    }
}

fn no_key(key: &str, near: Vec<&str>) -> String {
    match near[..] {
        [] => format!("no key `{key}`"),
        _ => format!("no key `{key}`; did you mean {}?", any_of(&near)),
    }
}
