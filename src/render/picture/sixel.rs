//! Pictures as sixels (DEC's STD 070): bands of six rows, each drawn colour by colour. The crates that do this bring more
//! code for choosing colours than all of this program has.

use std::collections::HashMap;
use std::fmt::Write;

use super::{PARTS, Picture};

/// How many colours a picture has at the most: as many as a terminal usually has registers for.
const COLORS: usize = 256;

/// The rows of a band.
const BAND: usize = 6;

/// A run of fewer sixels is shorter if it is written out.
const RUN: usize = 4;

/// The device control string that draws a picture.
pub(super) fn sixels(picture: &Picture) -> String {
    let (width, height) = picture.size();
    let (palette, indices) = reduced(picture);
    // Pixels are square, and those that are not drawn, of which there are none, would stay as they are.
    let mut text = format!("\x1bP0;1;0q\"1;1;{width};{height}");
    for (number, color) in palette.iter().enumerate() {
        // In percent.
        let [red, green, blue] = color.map(|part| (u32::from(part) * 100 + 127) / 255);
        let _ = write!(text, "#{number};2;{red};{green};{blue}");
    }
    for (number, band) in indices.chunks(width * BAND).enumerate() {
        if number > 0 {
            text.push('-');
        }
        let mut colors: Vec<usize> = band.to_vec();
        colors.sort_unstable();
        colors.dedup();
        for (count, color) in colors.into_iter().enumerate() {
            if count > 0 {
                text.push('$');
            }
            let _ = write!(text, "#{color}");
            let sixel = |column: usize| {
                let rows = band.chunks(width).enumerate();
                let bits = rows.map(|(row, pixels)| u8::from(pixels[column] == color) << row);
                char::from(b'?' + bits.sum::<u8>())
            };
            let mut run = (sixel(0), 1);
            for next in (1..width).map(sixel) {
                if next == run.0 {
                    run.1 += 1;
                } else {
                    push_run(&mut text, run);
                    run = (next, 1);
                }
            }
            // What is blank up to the end of the row needs no sixels.
            if run.0 != '?' {
                push_run(&mut text, run);
            }
        }
    }
    text.push_str("\x1b\\");
    text
}

fn push_run(text: &mut String, (sixel, count): (char, usize)) {
    match count < RUN {
        true => text.extend(std::iter::repeat_n(sixel, count)),
        false => {
            let _ = write!(text, "!{count}{sixel}");
        }
    }
}

/// The colours of a picture, and the number of each pixel's. Where there are too many, those that are alike become one.
fn reduced(picture: &Picture) -> (Vec<[u8; PARTS]>, Vec<usize>) {
    (0..8)
        .find_map(|bits| alike(picture, bits))
        .unwrap_or_default()
}

/// The same, where colours are alike that differ in this many low bits of a part. `None` if there are still too many.
fn alike(picture: &Picture, bits: u32) -> Option<(Vec<[u8; PARTS]>, Vec<usize>)> {
    let mut numbers = HashMap::new();
    // The sums of the parts of all pixels of a colour, and how many those are.
    let mut sums: Vec<([usize; PARTS], usize)> = Vec::new();
    let mut indices = Vec::with_capacity(picture.pixels.len() / PARTS);
    let (pixels, _) = picture.pixels.as_chunks::<PARTS>();
    for pixel in pixels {
        let next = sums.len();
        let number = *numbers
            .entry(pixel.map(|part| part >> bits))
            .or_insert(next);
        if number == COLORS {
            return None;
        }
        if number == next {
            sums.push(([0; PARTS], 0));
        }
        let (sum, count) = &mut sums[number];
        for (sum, part) in sum.iter_mut().zip(pixel) {
            *sum += usize::from(*part);
        }
        *count += 1;
        indices.push(number);
    }
    let mean = |(sum, count): ([usize; PARTS], usize)| {
        sum.map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX))
    };
    Some((sums.into_iter().map(mean).collect(), indices))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_drawn_color_by_color() {
        let (black, white) = ([0; PARTS], [255; PARTS]);
        let row = |last: [u8; PARTS]| [black, black, black, black, black, last].concat();
        let mut ppm = b"P6\n6 7\n255\n".to_vec();
        for last in [white, black, black, black, black, black, white] {
            ppm.extend(row(last));
        }
        let picture = Picture::from_ppm(ppm).expect("a picture");
        assert_eq!(
            sixels(&picture),
            "\x1bP0;1;0q\"1;1;6;7#0;2;0;0;0#1;2;100;100;100#0!5~}$#1!5?@-#0!5@$#1!5?@\x1b\\"
        );
    }

    #[test]
    fn colors_that_are_alike_become_one_where_there_are_too_many() {
        let mut ppm = b"P6\n32 32\n255\n".to_vec();
        ppm.extend(
            (0..32 * 32).flat_map(|at: usize| [at / 32 * 8, at % 32 * 8, 7].map(|c| c as u8)),
        );
        let picture = Picture::from_ppm(ppm).expect("a picture");
        let (palette, indices) = reduced(&picture);
        assert_eq!(palette.len(), COLORS);
        assert_eq!(palette[indices[0]], [4, 4, 7]);
    }
}
