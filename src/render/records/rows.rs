//! Finds the objects of a reply and their members.

use indexmap::IndexMap;

use crate::lang::{Object, Value};

/// Members that name an object, in the order in which they are shown.
pub const NAMES: [&str; 19] = [
    "id",
    "name",
    "label",
    "device",
    "node-name",
    "node",
    "job-id",
    "cpu-index",
    "index",
    "provider",
    "qdev",
    "qdev_id",
    "qom-path",
    "path",
    "bus",
    "slot",
    "function",
    "vcpu",
    "iothread",
];

/// The names of [`NAMES`] that are numbers.
const NUMBERS: [&str; 7] = [
    "cpu-index",
    "index",
    "bus",
    "slot",
    "function",
    "vcpu",
    "node",
];

/// How deep members of nested objects are columns of their own.
const DEEPEST: usize = 4;

/// The objects of a list, and for each member the values that they have.
pub struct Rows<'a> {
    pub count: usize,
    /// In the order in which the members were found.
    pub columns: Vec<Column<'a>>,
}

/// A member, maybe of a nested object, in all rows.
pub struct Column<'a> {
    /// The keys that lead to it.
    pub path: Vec<&'a str>,
    /// Its value in each row; rows at the end may be missing.
    values: Vec<Option<&'a Value>>,
}

impl<'a> Rows<'a> {
    /// The rows of `value`. `None` if that is no list of objects.
    pub fn of(value: &'a Value) -> Option<Self> {
        let mut rows = Vec::new();
        let list = objects(value)?;
        match list
            .iter()
            .map(|object| only_list(object))
            .collect::<Option<Vec<_>>>()
        {
            Some(lists) => {
                for (holder, list) in list.into_iter().zip(lists) {
                    for object in list {
                        add(object, Some(holder), &mut rows);
                    }
                }
            }
            None => {
                for object in list {
                    add(object, None, &mut rows);
                }
            }
        }
        let mut columns = Columns::new();
        for (number, row) in rows.iter().enumerate() {
            let mut above = vec![row.object];
            collect(
                row.object,
                number,
                &mut Vec::new(),
                &mut above,
                &mut columns,
            );
            let held = row.holder.into_iter().flatten();
            for (key, value) in held.filter(|(_, value)| objects(value).is_none()) {
                put(vec![key], number, value, &mut columns);
            }
        }
        if columns.is_empty() {
            return None;
        }
        let columns = columns.into_iter();
        Some(Self {
            count: rows.len(),
            columns: columns
                .map(|(path, values)| Column { path, values })
                .collect(),
        })
    }
}

/// The values of each member, row by row.
type Columns<'a> = IndexMap<Vec<&'a str>, Vec<Option<&'a Value>>>;

/// An object that is a row.
struct Row<'a> {
    object: &'a Object,
    /// What holds the list with this row, if its other members belong to the row, too.
    holder: Option<&'a Object>,
}

impl Rows<'_> {
    /// What names this row, or else its number.
    pub fn name(&self, row: usize) -> String {
        let named = self.columns.iter().filter(|column| column.is_name());
        let names: Vec<&str> = named
            .filter_map(|column| column.value(row)?.as_str())
            .collect();
        match &names[..] {
            [] => row.to_string(),
            names => names.join(" "),
        }
    }
}

impl<'a> Column<'a> {
    /// The last key of its path.
    pub fn key(&self) -> &'a str {
        self.path.last().copied().unwrap_or_default()
    }

    /// The value in this row, if the row has the member.
    pub fn value(&self, row: usize) -> Option<&'a Value> {
        self.values.get(row).copied().flatten()
    }

    /// The values that there are.
    pub fn values(&self) -> impl Iterator<Item = &'a Value> {
        self.values.iter().copied().flatten()
    }

    /// Whether it names the objects.
    pub fn is_name(&self) -> bool {
        let key = self.key();
        let is_number = NUMBERS.contains(&key) && self.path.len() == 1;
        NAMES.contains(&key) && (is_number || self.is_text())
    }

    /// Whether all its values are text.
    pub fn is_text(&self) -> bool {
        self.values().all(|value| matches!(value, Value::Text(_)))
    }

    /// Whether all rows have the same value.
    pub fn is_constant(&self, rows: usize) -> bool {
        let first = self.value(0);
        (1..rows).all(|row| self.value(row) == first)
    }

    /// Whether another column has its value in each row where it has one.
    pub fn repeats(&self, other: &Self) -> bool {
        let values = self.values.iter().enumerate();
        let mut values = values.filter_map(|(row, value)| Some((row, (*value)?)));
        values.all(|(row, value)| other.value(row) == Some(value))
    }
}

/// The items of a list of objects, which is not empty.
fn objects(value: &Value) -> Option<Vec<&Object>> {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(object).collect(),
        _ => None,
    }
}

fn object(value: &Value) -> Option<&Object> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// The list of objects in `object`, if it does little more than hold that.
fn only_list(object: &Object) -> Option<Vec<&Object>> {
    let mut lists = object.values().filter_map(objects);
    match (lists.next(), lists.next()) {
        (Some(list), None) if object.len() <= 3 => Some(list),
        _ => None,
    }
}

/// Adds a row, and after it what it holds that looks like it: the devices of a bridge, say.
fn add<'a>(object: &'a Object, holder: Option<&'a Object>, rows: &mut Vec<Row<'a>>) {
    rows.push(Row { object, holder });
    nested(object, object, rows);
}

fn nested<'a>(row: &Object, within: &'a Object, rows: &mut Vec<Row<'a>>) {
    for value in within.values() {
        match value {
            Value::Object(inner) if !is_like(inner, row) => nested(row, inner, rows),
            Value::Array(_) => {
                let list = objects(value).unwrap_or_default();
                if list.iter().any(|item| is_like(item, row)) {
                    for item in list {
                        add(item, None, rows);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether most members of `inner` are members of `outer`, too.
fn is_like(inner: &Object, outer: &Object) -> bool {
    let same = inner.keys().filter(|key| outer.contains_key(*key)).count();
    same * 2 > inner.len()
}

/// Adds the members of `object`, at `path` in this row, to the columns. `above` are the objects that hold it: what
/// looks like one of them is a value and not columns, because such nesting has no end.
fn collect<'a>(
    object: &'a Object,
    row: usize,
    path: &mut Vec<&'a str>,
    above: &mut Vec<&'a Object>,
    columns: &mut Columns<'a>,
) {
    for (key, value) in object {
        path.push(key);
        match value {
            Value::Object(inner)
                if path.len() < DEEPEST && !above.iter().any(|outer| is_like(inner, outer)) =>
            {
                above.push(inner);
                collect(inner, row, path, above, columns);
                above.pop();
            }
            _ if is_rows(value, above[0]) => {}
            _ => put(path.clone(), row, value, columns),
        }
        path.pop();
    }
}

/// Adds a value, unless the row has one under this path.
fn put<'a>(path: Vec<&'a str>, row: usize, value: &'a Value, columns: &mut Columns<'a>) {
    let values = columns.entry(path).or_default();
    if values.len() <= row {
        values.resize(row, None);
        values.push(Some(value));
    }
}

/// Whether the items of a list are rows themselves.
fn is_rows(value: &Value, row: &Object) -> bool {
    objects(value).is_some_and(|list| list.iter().any(|item| is_like(item, row)))
}
