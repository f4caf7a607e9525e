use unicode_width::UnicodeWidthStr;

/// The width of the terminal, or a usual one if it is unknown.
pub fn width() -> usize {
    let size = crossterm::terminal::size().ok();
    // A terminal whose size nobody has set says 0.
    let columns = size
        .map(|(columns, _)| columns)
        .filter(|columns| *columns > 0);
    columns.map_or(80, usize::from)
}

/// The height of the terminal in rows, or a usual one if it is unknown.
pub fn height() -> usize {
    let size = crossterm::terminal::size().ok();
    let rows = size.map(|(_, rows)| rows).filter(|rows| *rows > 0);
    rows.map_or(24, usize::from)
}

/// The columns and rows of pixels in a cell of the terminal. If it does not say, those of a VT340, which terminals take as
/// their model for graphics.
pub fn cell() -> (usize, usize) {
    let size = crossterm::terminal::window_size().ok();
    let cell = size.and_then(|size| {
        let of = |pixels: u16, cells: u16| pixels.checked_div(cells).filter(|of| *of > 0);
        Some((of(size.width, size.columns)?, of(size.height, size.rows)?))
    });
    cell.map_or((10, 20), |(width, height)| {
        (usize::from(width), usize::from(height))
    })
}

/// The space between two columns.
const GAP: usize = 2;

/// Arranges names in columns, read downwards, on lines of at most `width`. As in `ls`, each column
/// is only as wide as its names.
pub fn columns<S: AsRef<str>>(names: &[S], width: usize) -> String {
    // Narrower than one letter and the gap is no column.
    let most = (width / (1 + GAP)).clamp(1, names.len().max(1));
    let rows = (1..=most)
        .rev()
        .map(|columns| names.len().div_ceil(columns))
        .find(|rows| *rows > 0 && line_width(names, *rows) <= width)
        .unwrap_or(names.len());
    let widths: Vec<usize> = names.chunks(rows.max(1)).map(widest).collect();
    let mut list = String::new();
    for row in 0..rows {
        let mut line = String::new();
        for (name, width) in names[row..].iter().step_by(rows).zip(&widths) {
            line.push_str(&format!("{:1$}", name.as_ref(), width + GAP));
        }
        list.push_str(line.trim_end());
        list.push('\n');
    }
    list
}

/// The width of the lines with this number of rows.
fn line_width<S: AsRef<str>>(names: &[S], rows: usize) -> usize {
    let columns = names.chunks(rows).map(|column| widest(column) + GAP);
    columns.sum::<usize>() - GAP
}

fn widest<S: AsRef<str>>(names: &[S]) -> usize {
    let widths = names.iter().map(|name| name.as_ref().width());
    widths.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_run_downwards_and_fit_the_width() {
        let names = ["a", "bb", "c", "d", "e"];
        assert_eq!(columns(&names, 6), "a   d\nbb  e\nc\n");
        assert_eq!(columns(&names, 80), "a  bb  c  d  e\n");
        assert_eq!(columns(&names, 1), "a\nbb\nc\nd\ne\n");
        assert_eq!(columns::<&str>(&[], 80), "");
    }
}
