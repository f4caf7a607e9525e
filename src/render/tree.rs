//! Trees, drawn with lines.

use unicode_width::UnicodeWidthStr;

use super::records::{Layout, cut, cut_end};
use super::{Role, escape_line};

/// The space between two columns.
const GAP: usize = 2;

/// How narrow a column of notes may become.
const NARROWEST: usize = 12;

/// A node of a tree, with all that is below it.
#[derive(Debug, Default)]
pub struct Tree {
    pub name: String,
    /// What is said of it, in columns; trailing ones may be missing.
    pub notes: Vec<String>,
    pub children: Vec<Tree>,
    /// What follows it at the same depth, one after the other, marked by arrows: a chain of backing files.
    pub chain: Vec<Tree>,
}

/// A line of a drawing.
struct Line<'a> {
    branch: String,
    name: String,
    notes: &'a [String],
}

impl Tree {
    /// A node without anything below it.
    pub fn new(name: impl Into<String>, notes: impl IntoIterator<Item = String>) -> Self {
        Self {
            name: name.into(),
            notes: notes.into_iter().collect(),
            ..Self::default()
        }
    }

    fn below<'a>(&'a self, indent: &str, lines: &mut Vec<Line<'a>>) {
        for (at, child) in self.children.iter().enumerate() {
            let is_last = at + 1 == self.children.len();
            let (branch, rest) = if is_last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            child.add(&format!("{indent}{branch}"), lines);
            let indent = format!("{indent}{rest}");
            child.below(&indent, lines);
            for link in &child.chain {
                link.add(&format!("{indent}← "), lines);
                link.below(&format!("{indent}  "), lines);
            }
        }
    }

    fn add<'a>(&'a self, branch: &str, lines: &mut Vec<Line<'a>>) {
        lines.push(Line {
            branch: branch.to_owned(),
            name: escape_line(&self.name).into_owned(),
            notes: &self.notes,
        });
    }
}

/// Draws trees one after the other, with the notes in columns.
pub fn trees(trees: &[Tree], layout: Layout) -> String {
    let mut lines = Vec::new();
    for tree in trees {
        tree.add("", &mut lines);
        tree.below("", &mut lines);
    }
    let columns = lines.iter().map(|line| line.notes.len()).max().unwrap_or(0);
    let widest = |column: usize| {
        let notes = lines.iter().filter_map(|line| line.notes.get(column));
        notes
            .map(|note| escape_line(note).width())
            .max()
            .unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(widest).collect();
    // A name without notes may be as long as it likes.
    let noted = lines.iter().filter(|line| !line.notes.is_empty());
    let start = noted.map(Line::width).max().unwrap_or(0);
    if let Some(limit) = layout.width {
        narrow(&mut widths, limit.saturating_sub(start));
    }
    let mut text = String::new();
    for line in &lines {
        text.push_str(&line.draw(start, &widths, layout));
        text.push('\n');
    }
    text
}

/// Narrows the widest column until all fit into `room`, as far as that makes sense.
fn narrow(widths: &mut [usize], room: usize) {
    let all: usize = widths.iter().map(|width| width + GAP).sum();
    let excess = all.saturating_sub(room);
    if let Some(widest) = widths.iter_mut().max()
        && *widest > NARROWEST
    {
        *widest = widest.saturating_sub(excess).max(NARROWEST);
    }
}

impl Line<'_> {
    fn width(&self) -> usize {
        self.branch.width() + self.name.as_str().width()
    }

    /// The line with its notes from the column `start` on.
    fn draw(&self, start: usize, widths: &[usize], layout: Layout) -> String {
        let mut notes = String::new();
        for (note, width) in self.notes.iter().zip(widths) {
            let note = escape_line(note);
            let note = cut(&note, *width);
            let space = width + GAP - note.width();
            notes.push_str(&note);
            notes.push_str(&" ".repeat(space));
        }
        let notes = notes.trim_end();
        let limit = layout.width.unwrap_or(usize::MAX);
        // The name is what can be pasted: if there is no room, notes give way.
        let room = limit.saturating_sub(start + GAP);
        let branch = Role::Aside.style_if(layout.color).paint(&self.branch);
        let name = Role::Heading.style_if(layout.color).paint(&self.name);
        if notes.is_empty() || room == 0 {
            return format!("{branch}{name}");
        }
        let space = " ".repeat(start.saturating_sub(self.width()) + GAP);
        format!("{branch}{name}{space}{}", cut_end(notes, room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_chains_and_columns_of_notes() {
        let node = |name: &str, notes: &[&str]| {
            Tree::new(name, notes.iter().map(|note| (*note).to_owned()))
        };
        let mut top = node("top", &["qcow2", "1 GiB"]);
        top.children.push(node("lock\u{1b}", &["luks"]));
        top.chain = vec![node("middle", &["qcow2"]), node("base", &["raw", "2 GiB"])];
        let mut disk = node("disk0", &[]);
        disk.children = vec![top, node("other", &[])];
        let layout = Layout {
            width: None,
            color: false,
        };
        let disk = [disk];
        assert_eq!(
            trees(&disk, layout),
            "disk0\n\
             ├─ top            qcow2  1 GiB\n\
             │  └─ lock\\u{1b}  luks\n\
             │  ← middle       qcow2\n\
             │  ← base         raw    2 GiB\n\
             └─ other\n"
        );
        let narrow = Layout {
            width: Some(24),
            ..layout
        };
        assert!(trees(&disk, narrow).contains("├─ top            qcow2…\n"));
    }
}
