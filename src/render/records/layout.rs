//! Fits a table into a width.

use std::borrow::Cow;
use std::collections::HashMap;

use unicode_width::UnicodeWidthStr;

use super::cell;
use super::marks::{Mark, Marks};
use super::rank::{Rank, ranked};
use super::rows::{Column, Rows};
use crate::lang::Value;
use crate::render::{Role, escape_line};

/// The space between two columns.
const GAP: usize = 2;

/// How narrow a column of text may become.
const NARROWEST: usize = 16;

/// The same for names.
const NARROWEST_NAME: usize = 20;

/// How a table is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// How wide its lines may be; `None` is no limit.
    pub width: Option<usize>,
    pub color: bool,
}

/// A column as it is shown.
struct Shown<'a> {
    title: String,
    cells: Vec<Cow<'a, str>>,
    marks: Option<&'a HashMap<usize, Mark>>,
    is_name: bool,
    is_number: bool,
    /// The width of its widest cell.
    natural: usize,
    width: usize,
}

impl Layout {
    /// Draws a table. After it, if columns were left out for want of room, a line names them.
    pub fn draw(self, rows: &Rows, marks: &Marks) -> String {
        let ranked = ranked(rows, marks);
        let (shown, left_out) = self.choose(&ranked, rows.count, marks);
        let mut text = String::new();
        let titles: Vec<&str> = shown.iter().map(|column| &*column.title).collect();
        push_line(&mut text, &shown, &titles, |_| false);
        if self.color {
            text = format!("{}\n", Role::Heading.style().paint(text.trim_end()));
        }
        for row in 0..rows.count {
            let cells: Vec<&str> = shown.iter().map(|column| &*column.cells[row]).collect();
            push_line(&mut text, &shown, &cells, |column| {
                let mark = shown[column].marks.and_then(|marks| marks.get(&row));
                matches!(mark, Some(Mark::Changed))
            });
        }
        if let Some(width) = self.width
            && !left_out.is_empty()
        {
            let line = format!("not shown: {}", left_out.join(", "));
            let dimmed = Role::Aside.style_if(self.color);
            text.push_str(&dimmed.paint(cell::cut(&line, width)).to_string());
            text.push('\n');
        }
        text
    }

    /// The columns that are shown, and the names of those for which there is no room.
    fn choose<'r>(
        self,
        ranked: &'r [(Rank, &'r Column<'r>)],
        rows: usize,
        marks: &'r Marks,
    ) -> (Vec<Shown<'r>>, Vec<String>) {
        // If nothing says anything, everything is shown.
        let all = ranked.iter().all(|(rank, _)| *rank == Rank::Void);
        let most = match all {
            true => Rank::Void,
            false => Rank::Nested,
        };
        let paths: Vec<&[&str]> = ranked.iter().map(|(_, column)| &*column.path).collect();
        let (mut shown, mut left_out) = (Vec::new(), Vec::new());
        let mut room = self.width.map_or(usize::MAX, |width| width + GAP);
        let mut names_are_wide = false;
        for (rank, column) in ranked {
            // Names and what people look for have a place; whole names come before all the rest.
            if *rank >= Rank::Varies(0) && !names_are_wide {
                names_are_wide = true;
                room = widen(
                    shown
                        .iter_mut()
                        .filter(|column: &&mut Shown| column.is_name),
                    room,
                );
            }
            if *rank > most {
                continue;
            }
            let title = title(&column.path, &paths);
            // A column this wide may fit, and to learn its true width takes time.
            if room < title.width() + GAP {
                left_out.push(title);
                continue;
            }
            let mut column = Shown::of(*rank, column, title, rows, marks);
            let least = match *rank < Rank::Varies(0) && !column.is_number {
                // Rather cut what people look for than leave it out.
                true => column.least().min(room - GAP).max(column.title.width()),
                false => column.least(),
            };
            if least + GAP > room && !shown.is_empty() {
                left_out.push(column.title);
                continue;
            }
            column.width = least;
            room = room.saturating_sub(least + GAP);
            shown.push(column);
        }
        widen(shown.iter_mut(), room);
        if let Some(width) = self.width {
            for column in &mut shown {
                column.cut(width);
            }
        }
        (shown, left_out)
    }
}

impl<'a> Shown<'a> {
    fn of(
        rank: Rank,
        column: &'a Column<'a>,
        title: String,
        rows: usize,
        marks: &'a Marks,
    ) -> Self {
        let is_number = column
            .values()
            .all(|value| matches!(value, Value::Number(_)));
        let key = column.key();
        let marks = marks.of(&column.path);
        let cell = |row| match (marks.and_then(|marks| marks.get(&row)), column.value(row)) {
            (Some(Mark::Replaced(text)), _) => text.as_str().into(),
            (_, Some(value)) => cell::text(key, value),
            (_, None) => "".into(),
        };
        let cells: Vec<Cow<str>> = (0..rows).map(cell).collect();
        let widest = cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
        Self {
            natural: widest.max(title.width()),
            title,
            cells,
            marks,
            is_name: matches!(rank, Rank::Name(_)),
            is_number,
            width: 0,
        }
    }

    /// How wide it must be. Numbers are not cut.
    fn least(&self) -> usize {
        let narrowest = match self.is_name {
            true => NARROWEST_NAME,
            false => NARROWEST,
        };
        match self.is_number {
            true => self.natural,
            false => self.natural.min(narrowest.max(self.title.width())),
        }
    }

    /// Cuts the cells to its width, which is at most `limit`.
    fn cut(&mut self, limit: usize) {
        self.width = self.width.min(limit);
        if self.natural <= self.width {
            return;
        }
        self.title = cell::cut(&self.title, self.width).into_owned();
        for cell in &mut self.cells {
            if let Cow::Owned(short) = cell::cut(cell, self.width) {
                *cell = short.into();
            }
        }
    }
}

/// Gives the columns that are narrower than their cells the room that is left, the narrowest first. Returns what is
/// then left.
fn widen<'s, 'a: 's>(columns: impl Iterator<Item = &'s mut Shown<'a>>, mut room: usize) -> usize {
    let mut narrow: Vec<_> = columns
        .filter(|column| column.width < column.natural)
        .collect();
    while room > 0
        && let Some(narrowest) = narrow.iter_mut().min_by_key(|column| column.width)
    {
        narrowest.width += 1;
        room -= 1;
        narrow.retain(|column| column.width < column.natural);
    }
    room
}

/// The end of a path that no other path has.
fn title(path: &[&str], all: &[&[&str]]) -> String {
    let ends = |length: usize| {
        let end = &path[path.len() - length..];
        all.iter().filter(|other| other.ends_with(end)).count()
    };
    let length = (1..path.len()).find(|length| ends(*length) == 1);
    let end = &path[path.len() - length.unwrap_or(path.len())..];
    escape_line(&end.join(".")).into_owned()
}

/// Adds a line with these cells, those that are `marked` reversed.
fn push_line(text: &mut String, columns: &[Shown], cells: &[&str], marked: impl Fn(usize) -> bool) {
    let mut line = String::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let space = column.width.saturating_sub(cell.width());
        let (before, after) = match column.is_number {
            true => (space, 0),
            false => (0, space),
        };
        line.extend(std::iter::repeat_n(' ', before));
        match marked(at) {
            true => line.push_str(&Role::Marked.style().paint(*cell).to_string()),
            false => line.push_str(cell),
        }
        line.extend(std::iter::repeat_n(' ', after + GAP));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
