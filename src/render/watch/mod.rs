//! Values that are looked at again and again: what has changed is marked, and numbers that grow are shown as rates.

mod series;

use std::collections::HashMap;
use std::time::Instant;

use super::records::{Layout, Marks, Rows};
use super::{Role, cut_end, escape, pretty};
use crate::lang::{Value, literal};

use series::Series;

/// What was seen of the values so far.
#[derive(Default)]
pub struct Watched {
    series: HashMap<String, Series>,
    /// The values that are no numbers, as JSON, by the same names; or lines, by their number.
    texts: HashMap<String, String>,
    last: Option<Instant>,
    /// The marks of the last table.
    marks: Marks,
}

impl Watched {
    /// The lines that show a value, given as JSON text, as it is at this time. Each is at most as wide as the layout
    /// says.
    pub fn value(&mut self, json: &str, at: Instant, layout: Layout) -> Vec<String> {
        let parsed = literal::parse(json).ok();
        let object;
        let rows = match &parsed {
            Some(value @ Value::Array(_)) => Rows::of(value),
            // A member a line.
            Some(value @ Value::Object(_)) => {
                object = members(value);
                Rows::of(&object)
            }
            _ => None,
        };
        let Some(rows) = rows else {
            return match &parsed {
                Some(Value::Text(text)) => self.text(&text.replace("\r\n", "\n"), layout),
                _ => self.text(&pretty(json, false), layout),
            };
        };
        self.mark(&rows, at);
        let table = layout.draw(&rows, &self.marks);
        table.lines().map(str::to_owned).collect()
    }

    /// The lines of a text, harmless and cut to the width.
    pub fn text(&mut self, text: &str, layout: Layout) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = escape(line).replace('\t', "        ");
            let line = cut_end(&line, layout.width.unwrap_or(usize::MAX)).into_owned();
            let changed = self.is_new(number.to_string(), &line);
            let style = Role::Marked.style_if(changed);
            lines.push(style.paint(line).to_string());
        }
        lines
    }

    /// What has changed since the last time.
    fn mark(&mut self, rows: &Rows, at: Instant) {
        let last = self.last.replace(at);
        let seconds = last.map_or(1.0, |last| (at - last).as_secs_f64());
        let mut marks = Marks::after(std::mem::take(&mut self.marks));
        for row in 0..rows.count {
            let name = rows.name(row);
            for column in &rows.columns {
                let Some(value) = column.value(row) else {
                    continue;
                };
                let path = column.path.join(".");
                let key = format!("{name}\0{path}");
                let number = match value {
                    Value::Number(digits) => digits.parse::<f64>().ok(),
                    _ => None,
                };
                let Some(number) = number else {
                    if self.is_new(key, &value.to_json()) {
                        marks.changed(row, &column.path);
                    }
                    continue;
                };
                let series = self.series.entry(key).or_default();
                let changed = series.push(number, seconds);
                // In a list of members, the last part of the name is in the row.
                let unit = if path == "value" { &name } else { &path };
                let is_bytes = unit.trim_end().ends_with("bytes");
                match series.text(is_bytes) {
                    Some(rate) => marks.replace(row, &column.path, rate),
                    None if changed => marks.changed(row, &column.path),
                    None => {}
                }
            }
        }
        self.marks = marks;
    }

    /// Remembers a text, and returns whether there was another one under that name.
    fn is_new(&mut self, name: String, text: &str) -> bool {
        let before = self.texts.insert(name, text.to_owned());
        before.is_some_and(|before| before != text)
    }
}

/// The members of an object, and of those in it, as a list of objects with `name` and `value`.
fn members(object: &Value) -> Value {
    fn add(path: &str, value: &Value, list: &mut Vec<Value>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    add(&path, value, list);
                }
            }
            value => list.push(Value::Object(
                [
                    ("name".to_owned(), Value::Text(path.to_owned())),
                    ("value".to_owned(), value.clone()),
                ]
                .into_iter()
                .collect(),
            )),
        }
    }
    let mut list = Vec::new();
    add("", object, &mut list);
    Value::Array(list)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LAYOUT: Layout = Layout {
        width: Some(60),
        color: false,
    };

    /// The lines after each of these values, which come a second apart.
    fn frames(values: &[&str]) -> Vec<Vec<String>> {
        let (mut watched, start) = (Watched::default(), Instant::now());
        let frame = |(second, json): (u64, &&str)| {
            watched.value(json, start + Duration::from_secs(second), LAYOUT)
        };
        (0..).zip(values).map(frame).collect()
    }

    #[test]
    fn growing_numbers_are_rates_and_other_changes_are_marked() {
        let frames = frames(&[
            r#"[{"id": "a", "rd_bytes": 0, "on": true, "n": 5}, {"id": "b", "rd_bytes": 9, "on": true, "n": 5}]"#,
            r#"[{"id": "a", "rd_bytes": 2048, "on": false, "n": 5}, {"id": "b", "rd_bytes": 9, "on": true, "n": 4}]"#,
        ]);
        assert_eq!(frames[0][1], "a        0 B  true  5");
        assert_eq!(
            frames[1],
            [
                "id                 rd_bytes  on     n",
                "a        2 KiB/s          █  \u{1b}[7mfalse\u{1b}[0m  5",
                "b                       9 B  true   \u{1b}[7m4\u{1b}[0m",
            ]
        );
    }

    #[test]
    fn an_object_has_a_line_for_each_member() {
        let frames = frames(&[
            r#"{"status": "running", "ram": {"transferred": 10}}"#,
            r#"{"status": "paused", "ram": {"transferred": 310}}"#,
        ]);
        assert_eq!(
            frames[0],
            [
                "name             value",
                "status           running",
                "ram.transferred  10"
            ]
        );
        assert_eq!(frames[1][1], "status           \u{1b}[7mpaused\u{1b}[0m");
        assert_eq!(frames[1][2], "ram.transferred         300/s          █");
    }

    #[test]
    fn lines_of_text_are_marked_harmless_and_cut() {
        let mut watched = Watched::default();
        watched.text("same\none", LAYOUT);
        let lines = watched.text("same\ntwo\u{1b}\t|\u{7}", LAYOUT);
        assert_eq!(
            lines,
            ["same", "\u{1b}[7mtwo\\u{1b}        |\\u{7}\u{1b}[0m"]
        );
    }
}
