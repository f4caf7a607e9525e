//! Orders the members of objects by how much they tell.

use super::marks::Marks;
use super::rows::{Column, NAMES, Rows};
use crate::lang::Value;

/// Members that people look for, in the order in which they are shown.
const SOUGHT: [&str; 35] = [
    "status",
    "type",
    "desc",
    "vendor",
    "device",
    "driver",
    "drv",
    "target",
    "value",
    "frontend-open",
    "memdev",
    "addr",
    "ro",
    "file",
    "filename",
    "virtual-size",
    "actual-size",
    "size",
    "inserted",
    "backing_file",
    "rd_bytes",
    "wr_bytes",
    "rd_operations",
    "wr_operations",
    "flush_operations",
    "rd_total_time_ns",
    "wr_total_time_ns",
    "len",
    "offset",
    "speed",
    "thread-id",
    "pid",
    "enabled",
    "irq",
    "class",
];

/// Counters of which a zero in all rows is an answer, too.
const COUNTERS: [&str; 4] = ["rd_bytes", "wr_bytes", "rd_operations", "wr_operations"];

/// How much a column tells; the least comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Name(usize),
    /// Something in it has changed.
    Moves(usize),
    Sought(usize),
    /// The value differs, at this depth.
    Varies(usize),
    Same(usize),
    /// Lists, and objects that are not shown member by member.
    Nested,
    /// It repeats another column.
    Double,
    /// It is empty, zero or false in all rows.
    Void,
}

/// The columns from the one that tells the most to the one that tells the least, each with its rank.
pub fn ranked<'r, 'a>(rows: &'r Rows<'a>, marks: &Marks) -> Vec<(Rank, &'r Column<'a>)> {
    let rank = |column| match rank(column, rows.count) {
        Rank::Sought(place) if marks.has_moved(&column.path) => Rank::Moves(place),
        Rank::Varies(_) | Rank::Same(_) | Rank::Void if marks.has_moved(&column.path) => {
            Rank::Moves(SOUGHT.len())
        }
        rank => rank,
    };
    let columns = rows.columns.iter();
    let mut ranked: Vec<_> = columns.map(|column| (rank(column), column)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    for at in 1..ranked.len() {
        let (before, [(rank, column), ..]) = ranked.split_at_mut(at) else {
            break;
        };
        let repeats = |(_, other): &(Rank, &Column)| column.repeats(other);
        if *rank < Rank::Nested && column.is_text() && before.iter().any(repeats) {
            *rank = Rank::Double;
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked
}

fn rank(column: &Column, rows: usize) -> Rank {
    let depth = column.path.len();
    let key = column.key();
    let place = |list: &[&str]| list.iter().position(|name| *name == key);
    if column.is_name()
        && !column.values().all(says_nothing_as_a_name)
        && let Some(place) = place(&NAMES)
    {
        return Rank::Name(place);
    }
    let is_answer = key == "value" || COUNTERS.contains(&key);
    if !is_answer && column.values().all(says_nothing) {
        return Rank::Void;
    }
    if column.values().any(is_nested) {
        return Rank::Nested;
    }
    // Deep down, a type is that of some detail.
    if let Some(place) = place(&SOUGHT)
        && (key != "type" || depth == 1)
    {
        return Rank::Sought(place);
    }
    match rows > 1 && column.is_constant(rows) {
        true => Rank::Same(depth),
        false => Rank::Varies(depth),
    }
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Number(digits) => digits == "0",
        Value::Text(text) => matches!(text.as_str(), "" | "off" | "none" | "unknown"),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(on) => !on,
        Value::Null => true,
        Value::Word(_) => false,
    }
}

/// The number 0 is a name.
fn says_nothing_as_a_name(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.is_empty())
}
