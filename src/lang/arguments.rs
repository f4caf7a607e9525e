//! Objects built from dotted keys: `file.driver=file children.0=a`.

use std::collections::BTreeMap;
use std::ops::Range;

use indexmap::IndexMap;

use super::literal::MAX_NESTING;
use super::{Object, SyntaxError, Value};

/// Arguments under construction: a tree in which each key is free, has a value, or holds further
/// keys.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    members: IndexMap<String, Node>,
}

#[derive(Debug)]
enum Node {
    Value(Value),
    Object(IndexMap<String, Node>),
    /// A numeric segment indexes an array; the indices may come in any order. The range is where
    /// the array's first key is on the line, for the error about a missing item.
    Array(BTreeMap<usize, Node>, Range<usize>),
}

impl Arguments {
    /// Sets the value at the dotted path `key`. `span` is where the key is on the line.
    ///
    /// # Errors
    ///
    /// The key has an empty segment or more segments than QEMU reads, is set twice, or is used both
    /// as a value and as an object.
    pub fn set(&mut self, key: &str, value: Value, span: Range<usize>) -> Result<(), SyntaxError> {
        let segments: Vec<&str> = key.split('.').collect();
        if segments.contains(&"") {
            let what = if key.is_empty() {
                "a key is missing before `=`".to_owned()
            } else {
                format!("the key `{key}` has an empty segment")
            };
            return Err(SyntaxError::new(what, span).help("arguments are written key=value"));
        }
        if segments.len() > MAX_NESTING {
            let what = format!("the key has more than {MAX_NESTING} segments");
            return Err(SyntaxError::new(what, span));
        }
        let path_to = |depth: usize| segments[..=depth].join(".");
        let both = |depth: usize| {
            SyntaxError::new(
                format!(
                    "`{}` is used both as a value and as an object",
                    path_to(depth)
                ),
                span.clone(),
            )
        };

        let mut node = slot(&mut self.members, segments[0]);
        for (depth, segment) in segments.iter().enumerate().skip(1) {
            let parent = match node {
                Slot::Taken(parent) => parent,
                Slot::Free(free) => free.fill(match array_index(segment) {
                    Some(_) => Node::Array(BTreeMap::new(), span.clone()),
                    None => Node::Object(IndexMap::new()),
                }),
            };
            // Keys may be added to an object written as JSON, as in qmp-shell.
            if let Node::Value(Value::Object(members)) = parent {
                let members = std::mem::take(members).into_iter();
                *parent = Node::Object(members.map(|(key, v)| (key, Node::Value(v))).collect());
            }
            node = match parent {
                Node::Object(members) => slot(members, segment),
                Node::Array(items, _) => {
                    let index = array_index(segment).ok_or_else(|| {
                        both(depth - 1).help(format!(
                            "`{}` is an array here, and `{segment}` is not an index",
                            path_to(depth - 1)
                        ))
                    })?;
                    match items.entry(index) {
                        std::collections::btree_map::Entry::Occupied(taken) => {
                            Slot::Taken(taken.into_mut())
                        }
                        std::collections::btree_map::Entry::Vacant(free) => {
                            Slot::Free(Free::Item(free))
                        }
                    }
                }
                Node::Value(_) => return Err(both(depth - 1)),
            };
        }
        match node {
            Slot::Free(free) => {
                free.fill(Node::Value(value));
                Ok(())
            }
            Slot::Taken(Node::Value(_)) => {
                Err(SyntaxError::new(format!("`{key}` is set twice"), span))
            }
            Slot::Taken(_) => Err(both(segments.len() - 1)),
        }
    }

    /// Returns the finished object.
    ///
    /// # Errors
    ///
    /// An array lacks an item.
    pub fn finish(self) -> Result<Object, SyntaxError> {
        finish_members(self.members, "")
    }
}

impl Arguments {
    /// Returns the object so far, with null for each item that an array lacks.
    pub fn finish_with_holes(self) -> Object {
        fill_members(self.members)
    }
}

/// The most items that an array still being typed may have.
const MOST_ITEMS: usize = 1000;

fn fill_members(members: IndexMap<String, Node>) -> Object {
    let members = members.into_iter();
    members.map(|(key, node)| (key, fill(node))).collect()
}

fn fill(node: Node) -> Value {
    match node {
        Node::Value(value) => value,
        Node::Object(members) => Value::Object(fill_members(members)),
        Node::Array(items, _) => {
            let mut values = Vec::new();
            for (index, node) in items
                .into_iter()
                .take_while(|(index, _)| *index < MOST_ITEMS)
            {
                values.resize(index, Value::Null);
                values.push(fill(node));
            }
            Value::Array(values)
        }
    }
}

/// A position in an object or array: used already, or free.
enum Slot<'a> {
    Taken(&'a mut Node),
    Free(Free<'a>),
}

enum Free<'a> {
    Member(indexmap::map::VacantEntry<'a, String, Node>),
    Item(std::collections::btree_map::VacantEntry<'a, usize, Node>),
}

impl<'a> Free<'a> {
    fn fill(self, node: Node) -> &'a mut Node {
        match self {
            Self::Member(entry) => entry.insert(node),
            Self::Item(entry) => entry.insert(node),
        }
    }
}

fn slot<'a>(members: &'a mut IndexMap<String, Node>, key: &str) -> Slot<'a> {
    match members.entry(key.to_owned()) {
        indexmap::map::Entry::Occupied(taken) => Slot::Taken(taken.into_mut()),
        indexmap::map::Entry::Vacant(free) => Slot::Free(Free::Member(free)),
    }
}

fn array_index(segment: &str) -> Option<usize> {
    if segment.bytes().all(|b| b.is_ascii_digit()) {
        segment.parse().ok()
    } else {
        None
    }
}

fn finish_members(members: IndexMap<String, Node>, prefix: &str) -> Result<Object, SyntaxError> {
    members
        .into_iter()
        .map(|(key, node)| {
            let value = finish(node, &format!("{prefix}{key}"))?;
            Ok((key, value))
        })
        .collect()
}

fn finish(node: Node, path: &str) -> Result<Value, SyntaxError> {
    match node {
        Node::Value(value) => Ok(value),
        Node::Object(members) => Ok(Value::Object(finish_members(members, &format!("{path}."))?)),
        Node::Array(items, span) => items
            .into_iter()
            .enumerate()
            .map(|(expected, (index, node))| {
                if index != expected {
                    return Err(SyntaxError::new(
                        format!("`{path}` has an item {index} but no item {expected}"),
                        span.clone(),
                    )
                    .help("number the items from 0 without gaps"));
                }
                finish(node, &format!("{path}.{index}"))
            })
            .collect::<Result<_, _>>()
            .map(Value::Array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(pairs: &[(&str, &str)]) -> Result<String, String> {
        let mut arguments = Arguments::default();
        for (key, value) in pairs {
            let value = super::super::literal::parse(value).expect(value);
            arguments.set(key, value, 0..1).map_err(|e| e.message)?;
        }
        let object = arguments.finish().map_err(|e| e.message)?;
        Ok(Value::Object(object).to_json())
    }

    #[test]
    fn dotted_keys_build_nested_objects_in_the_order_written() {
        assert_eq!(
            build(&[("b", "1"), ("f.d", "2"), ("a", "3"), ("f.e.g", "4")]).as_deref(),
            Ok(r#"{"b":1,"f":{"d":2,"e":{"g":4}},"a":3}"#)
        );
    }

    #[test]
    fn numeric_segments_build_arrays_in_any_order() {
        assert_eq!(
            build(&[("c.1.x", "1"), ("c.0", "2"), ("c.1.y", "3")]).as_deref(),
            Ok(r#"{"c":[2,{"x":1,"y":3}]}"#)
        );
        assert_eq!(
            build(&[("c.0.0", "1"), ("c.0.1", "2")]).as_deref(),
            Ok(r#"{"c":[[1,2]]}"#)
        );
    }

    #[test]
    fn an_array_may_not_skip_an_item() {
        assert_eq!(
            build(&[("c.0", "1"), ("c.99999999999", "2")]),
            Err("`c` has an item 99999999999 but no item 1".into())
        );
    }

    #[test]
    fn keys_may_be_added_to_an_object_written_as_json() {
        assert_eq!(
            build(&[("a", "{'b': 1}"), ("a.c", "2")]).as_deref(),
            Ok(r#"{"a":{"b":1,"c":2}}"#)
        );
    }

    #[test]
    fn a_key_is_set_once_and_is_either_a_value_or_an_object() {
        let deep = "a.".repeat(100_000) + "a";
        for (pairs, message) in [
            (vec![("a", "1"), ("a", "2")], "`a` is set twice"),
            (vec![("a.b", "1"), ("a.b", "2")], "`a.b` is set twice"),
            (vec![("a", "{'b': 1}"), ("a.b", "2")], "`a.b` is set twice"),
            (
                vec![("a", "1"), ("a.b", "2")],
                "`a` is used both as a value and as an object",
            ),
            (
                vec![("a.b", "1"), ("a", "2")],
                "`a` is used both as a value and as an object",
            ),
            (
                vec![("a.0", "1"), ("a.b", "2")],
                "`a` is used both as a value and as an object",
            ),
            (vec![("a..b", "1")], "the key `a..b` has an empty segment"),
            (vec![("", "1")], "a key is missing before `=`"),
            (vec![(&deep, "1")], "the key has more than 1024 segments"),
        ] {
            assert_eq!(build(&pairs), Err(message.into()), "{pairs:?}");
        }
    }
}
