//! Lists of objects as tables.
//!
//! What QMP lists are objects with many members, nested and mostly uninteresting. A table shows a row for each
//! object and a column for each member that says something, the most telling ones first, as far as the width
//! permits.
//!
//! [`rows`] finds the objects and their members, [`rank`] orders the members, [`cell`] makes values short, and
//! [`layout`] fits them into the width.

mod cell;
mod layout;
mod marks;
mod rank;
mod rows;

use crate::lang::literal;

pub use cell::{bytes, cut, cut_end};
pub use layout::Layout;
pub use marks::Marks;
pub use rows::Rows;

/// Formats a list of objects, given as JSON text, as a table whose lines are at most `width` columns wide.
/// Without a width, all columns that say something are there. `None` if `json` is something else.
pub fn records(json: &str, layout: Layout) -> Option<String> {
    // Do not read a reply that cannot be a table.
    if !json.trim_start().starts_with('[') {
        return None;
    }
    let value = literal::parse(json).ok()?;
    let rows = Rows::of(&value)?;
    Some(layout.draw(&rows, &Marks::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Layout = Layout {
        width: None,
        color: false,
    };

    fn within(width: usize, json: &str) -> String {
        let layout = Layout {
            width: Some(width),
            color: false,
        };
        records(json, layout).expect("a list of objects")
    }

    fn wide(json: &str) -> String {
        records(json, WIDE).expect("a list of objects")
    }

    #[test]
    fn only_lists_of_objects_are_tables() {
        for json in [
            "{}",
            "[]",
            "[1]",
            "[{}]",
            "[{\"a\": 1}, 2]",
            "null",
            "\"[\"",
        ] {
            assert_eq!(records(json, WIDE), None, "{json}");
        }
    }

    #[test]
    fn names_come_first_and_numbers_are_aligned_to_the_right() {
        let json = r#"[{"n": 9, "text": "x", "id": "a"}, {"n": 10, "id": "bb"}]"#;
        assert_eq!(wide(json), "id   n  text\na    9  x\nbb  10\n");
    }

    #[test]
    fn members_of_nested_objects_are_columns_and_keep_the_part_of_their_path_that_tells_them_apart()
    {
        let json = r#"[{"id": "a", "x": {"size": 1, "n": 1}, "y": {"size": 2}},
                       {"id": "b", "x": {"size": 3, "n": 2}, "y": {"size": 1}}]"#;
        assert_eq!(
            wide(json),
            "id  x.size  y.size  n\na      1 B     2 B  1\nb      3 B     1 B  2\n"
        );
    }

    #[test]
    fn what_is_empty_zero_or_false_everywhere_is_no_column() {
        let json = r#"[{"id": "a", "n": 0, "b": false, "t": "", "l": [], "o": {}, "z": null, "off": "off"}]"#;
        assert_eq!(wide(json), "id\na\n");
        assert_eq!(wide(r#"[{"n": 0}]"#), "n\n0\n");
    }

    #[test]
    fn a_list_in_the_only_row_and_lists_of_the_same_objects_are_rows_themselves() {
        let json = r#"[{"bus": 0, "devices": [
            {"bus": 0, "slot": 1, "bridge": {"devices": [{"bus": 1, "slot": 0}]}},
            {"bus": 0, "slot": 2}]}]"#;
        assert_eq!(wide(json), "bus  slot\n  0     1\n  1     0\n  0     2\n");
    }

    #[test]
    fn the_width_is_kept_by_leaving_out_columns_and_cutting_text() {
        let json = r#"[{"id": "a", "file": "/images/long/path/to/the/image.qcow2", "description": "quite a long text"},
                       {"id": "漢字漢字漢字漢字漢字漢字漢字漢字", "file": "b", "description": "c"}]"#;
        for width in 20..80 {
            let table = within(width, json);
            for line in table.lines() {
                assert!(
                    unicode_width::UnicodeWidthStr::width(line) <= width,
                    "{width}:\n{table}"
                );
            }
        }
        assert_eq!(
            within(40, json),
            "id                      file\n\
             a                       /image…age.qcow2\n\
             漢字漢字漢字漢字漢字…   b\n\
             not shown: description\n"
        );
    }

    #[test]
    fn text_is_harmless_and_stays_in_its_row() {
        let table = wide("[{\"id\": \"a\\u001b[31m\\nb\", \"k\\u001b\": 1}]");
        assert_eq!(
            table,
            "id              k\\u{1b}\na\\u{1b}[31m\\nb        1\n"
        );
    }
}
