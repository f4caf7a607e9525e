//! Makes values short.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::lang::Value;
use crate::render::escape_line;

/// How many bytes of a nested value are shown.
const NESTED: usize = 60;

/// Numbers that are addresses or numbers of hardware, which everybody writes in hexadecimal.
const HEXADECIMAL: [&str; 9] = [
    "addr",
    "address",
    "base",
    "limit",
    "vendor",
    "device",
    "subsystem",
    "subsystem-vendor",
    "class",
];

/// Numbers of bytes whose names do not end in `bytes` or `size`.
const BYTES: [&str; 3] = ["len", "offset", "wr_highest_offset"];

/// The text of a value whose key is `key`, on one line and harmless.
pub fn text<'a>(key: &str, value: &'a Value) -> Cow<'a, str> {
    match value {
        Value::Text(text) | Value::Word(text) => escape_line(text),
        Value::Number(digits) => number(key, digits),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::Null => "".into(),
        Value::Array(_) | Value::Object(_) => nested(value).into(),
    }
}

/// A number as people write it.
fn number<'a>(key: &str, digits: &'a str) -> Cow<'a, str> {
    let Ok(number) = digits.parse::<u64>() else {
        return digits.into();
    };
    if HEXADECIMAL.contains(&key) {
        return format!("{number:#x}").into();
    }
    if key.ends_with("bytes") || key.ends_with("size") || BYTES.contains(&key) {
        return bytes(number).into();
    }
    digits.into()
}

/// A number of bytes in the largest unit in which it is at least one.
pub fn bytes(number: u64) -> String {
    let mut unit = "B";
    let mut size = number as f64;
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    match size.fract() == 0.0 {
        true => format!("{size} {unit}"),
        false => format!("{size:.1} {unit}"),
    }
}

/// What names a list or an object, or else how it begins.
fn nested(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => String::new(),
        Value::Array(items) => {
            let names: Option<Vec<Cow<str>>> = items.iter().map(name).collect();
            match names {
                Some(names) => names.join(", "),
                None => format!("{} items", items.len()),
            }
        }
        Value::Object(members) if members.is_empty() => String::new(),
        value => match name(value) {
            Some(name) => name.into_owned(),
            None => begin(&value.to_json()),
        },
    }
}

/// What names an item: the item itself, or the name that it has.
fn name(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Object(members) => {
            let names = ["id", "name", "node-name", "filename", "path", "type"];
            let mut named = names.iter().filter_map(|key| members.get(*key)?.as_str());
            named.next().map(escape_line)
        }
        Value::Array(_) => None,
        value => Some(text("", value)),
    }
}

fn begin(json: &str) -> String {
    let json = escape_line(json);
    match json.char_indices().nth(NESTED) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json.into_owned(),
    }
}

/// Cuts a text to at most this many columns: a path in the middle, because its end tells the most, other text at
/// the end.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return text.into();
    }
    if !text.contains('/') {
        return cut_end(text, columns);
    }
    let room = columns.saturating_sub(1);
    let after = room - room * 2 / 5;
    let (start, width) = taken(text.chars(), room - after);
    let (end, _) = taken(text.chars().rev(), room - width);
    let skip = text.chars().count() - end;
    let mut cut: String = text.chars().take(start).collect();
    cut.push('…');
    cut.extend(text.chars().skip(skip));
    cut.into()
}

/// Cuts a text at its end to at most this many columns.
pub fn cut_end(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return text.into();
    }
    let (start, _) = taken(text.chars(), columns.saturating_sub(1));
    let mut cut: String = text.chars().take(start).collect();
    cut.push('…');
    cut.into()
}

/// How many of these characters fit into this many columns, and how many columns they take.
fn taken(text: impl Iterator<Item = char>, columns: usize) -> (usize, usize) {
    let (mut count, mut used) = (0, 0);
    for c in text {
        let width = c.width().unwrap_or(0);
        if used + width > columns {
            break;
        }
        used += width;
        count += 1;
    }
    (count, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_in_the_middle_and_wide_characters_are_not_halved() {
        assert_eq!(cut("/images/disk.qcow2", 12), "/ima…k.qcow2");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(cut("漢字", 4), "漢字");
        assert_eq!(cut("abc", 0), "…");
    }

    #[test]
    fn sizes_have_units_and_addresses_are_hexadecimal() {
        let show = |key, digits: &str| number(key, digits).into_owned();
        assert_eq!(show("virtual-size", "67108864"), "64 MiB");
        assert_eq!(show("rd_bytes", "1536"), "1.5 KiB");
        assert_eq!(show("addr", "4294967296"), "0x100000000");
        assert_eq!(show("address", "-1"), "-1");
        assert_eq!(show("n", "18446744073709551615"), "18446744073709551615");
    }
}
