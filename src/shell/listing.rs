use crossterm::terminal;
use rustyline::completion::Pair;

/// Space between two columns.
const GAP: usize = 2;

/// Candidates in columns, as wide as the terminal, read downwards.
pub(super) fn columns(candidates: &[Pair]) -> String {
    let names: Vec<&str> = candidates.iter().map(|c| c.display.as_str()).collect();
    let available = terminal::size().map_or(80, |(columns, _)| usize::from(columns));
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0) + GAP;
    let rows = names.len().div_ceil((available / width).max(1));
    let mut list = String::new();
    for row in 0..rows {
        let mut line = String::new();
        for name in names[row..].iter().step_by(rows) {
            line.push_str(&format!("{name:width$}"));
        }
        list.push_str(line.trim_end());
        list.push('\n');
    }
    list
}
