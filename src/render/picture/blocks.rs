//! Pictures as text: `▀`, whose two halves are a pixel each.

use std::fmt::Write;

use super::{PARTS, Picture, fit};

/// The steps of a colour's part in the 6×6×6 cube of the 256 colours, which begins at 16.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Draws a picture on at most this many columns and rows, a line for each row. It is never enlarged. Without `exact`,
/// it is drawn in the nearest of the 256 colours that terminals have.
pub fn half_blocks(picture: &Picture, columns: usize, rows: usize, exact: bool) -> String {
    let (width, height) = fit(picture.size(), (columns.max(1), 2 * rows.max(1)));
    let scaled = picture.scaled(width, height);
    let color = |[red, green, blue]: [u8; PARTS]| match exact {
        true => format!("2;{red};{green};{blue}"),
        false => format!("5;{}", nearest(red, green, blue)),
    };
    let mut text = String::new();
    for row in (0..height).step_by(2) {
        let mut before = None;
        for column in 0..width {
            let upper = color(scaled.pixel(column, row));
            let lower = (row + 1 < height).then(|| color(scaled.pixel(column, row + 1)));
            let colors = Some((upper, lower));
            if colors != before
                && let Some((upper, lower)) = &colors
            {
                let _ = match lower {
                    Some(lower) => write!(text, "\x1b[38;{upper};48;{lower}m"),
                    None => write!(text, "\x1b[38;{upper}m"),
                };
            }
            before = colors;
            text.push('▀');
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

/// The number of the nearest of the 256 colours, without the first 16, which users choose.
fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    let step = |part: u8| {
        let steps = 0..STEPS.len();
        let nearest = steps.min_by_key(|step| STEPS[*step].abs_diff(part));
        nearest.unwrap_or_default()
    };
    let steps = [red, green, blue].map(step);
    // After the cube there are 24 shades of grey, from 8 in steps of 10.
    let mean = (usize::from(red) + usize::from(green) + usize::from(blue)) / PARTS;
    let shade = (mean.saturating_sub(3) / 10).min(23);
    let gray = u8::try_from(8 + 10 * shade).unwrap_or(u8::MAX);
    let distance = |of: [u8; PARTS]| {
        let parts = of.into_iter().zip([red, green, blue]);
        parts
            .map(|(a, b)| u32::from(a.abs_diff(b)).pow(2))
            .sum::<u32>()
    };
    let number = match distance(steps.map(|step| STEPS[step])) <= distance([gray; PARTS]) {
        true => 16 + 36 * steps[0] + 6 * steps[1] + steps[2],
        false => 232 + shade,
    };
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_have_the_numbers_that_terminals_give_them() {
        assert_eq!(nearest(0, 0, 0), 16);
        assert_eq!(nearest(255, 255, 255), 231);
        assert_eq!(nearest(255, 0, 0), 196);
        assert_eq!(nearest(170, 170, 170), 248);
        assert_eq!(nearest(12, 12, 12), 232);
    }

    #[test]
    fn two_rows_share_a_line_and_an_odd_one_stands_alone() {
        let picture =
            Picture::from_ppm(b"P6\n2 3\n255\naaaaaabbbbbbcccddd".to_vec()).expect("a picture");
        let text = "\x1b[38;2;97;97;97;48;2;98;98;98m▀▀\x1b[0m\n\
                    \x1b[38;2;99;99;99m▀\x1b[38;2;100;100;100m▀\x1b[0m\n";
        assert_eq!(half_blocks(&picture, 80, 24, true), text);
    }
}
