//! Pictures: PPM and PNG, and what shows them on a terminal.

mod answers;
mod blocks;
mod kitty;
mod sixel;

use std::io;

pub use answers::{Answers, GRAPHICS_QUERY};
pub use blocks::half_blocks;

/// How a terminal can show pictures, besides by its characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graphics {
    Kitty,
    Sixel,
}

impl Graphics {
    /// What shows a picture on at most this many columns and rows of pixels, at the cursor, followed by a line break. It is
    /// never enlarged.
    ///
    /// # Errors
    ///
    /// It is too large to be encoded.
    pub fn show(self, picture: &Picture, most: (usize, usize)) -> io::Result<String> {
        let (width, height) = fit(picture.size(), most);
        let scaled = picture.scaled(width, height);
        let text = match self {
            Self::Kitty => kitty::commands(&scaled)?,
            Self::Sixel => sixel::sixels(&scaled),
        };
        Ok(text + "\n")
    }
}

/// The largest size that fits into `most`, with the same proportions, but no larger than it is.
fn fit((width, height): (usize, usize), most: (usize, usize)) -> (usize, usize) {
    if width <= most.0 && height <= most.1 {
        (width, height)
    } else if width * most.1 > height * most.0 {
        (most.0, (height * most.0 / width).max(1))
    } else {
        ((width * most.1 / height).max(1), most.1)
    }
}

/// The parts of a colour: red, green and blue.
const PARTS: usize = 3;

/// A picture of at least one pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    /// Rows from the top, each pixel as red, green and blue.
    pixels: Vec<u8>,
}

impl Picture {
    /// Reads a PPM as QEMU writes it: `P6`, without comments, with a byte for each part of a colour. `None` if it is not
    /// one, or not whole.
    pub fn from_ppm(mut ppm: Vec<u8>) -> Option<Self> {
        let mut rest = &ppm[..];
        let mut field = || {
            let end = rest.iter().position(u8::is_ascii_whitespace)?;
            let (field, after) = rest.split_at(end);
            rest = &after[1..];
            str::from_utf8(field).ok()
        };
        let magic = field()?;
        let width: usize = field()?.parse().ok()?;
        let height: usize = field()?.parse().ok()?;
        let most = field()?;
        let size = width.checked_mul(height)?.checked_mul(PARTS)?;
        let is_one = magic == "P6" && most == "255" && size > 0 && size == rest.len();
        let header = ppm.len() - rest.len();
        is_one.then(|| Self {
            width,
            height,
            pixels: ppm.split_off(header),
        })
    }

    /// As a PPM, which [`Picture::from_ppm`] reads.
    pub fn to_ppm(&self) -> Vec<u8> {
        let mut ppm = format!("P6\n{} {}\n255\n", self.width, self.height).into_bytes();
        ppm.extend_from_slice(&self.pixels);
        ppm
    }

    /// As a PNG.
    ///
    /// # Errors
    ///
    /// It is too large for one.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        let side = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(file)
    }

    /// How many columns and rows of pixels it has.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The colour at column `x` of row `y`, from the upper left corner.
    fn pixel(&self, x: usize, y: usize) -> [u8; PARTS] {
        let at = (y * self.width + x) * PARTS;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// How many columns and rows the smallest rectangle has that holds all differences from `other`. `None` if they have
    /// not the same size.
    pub fn difference(&self, other: &Self) -> Option<(usize, usize)> {
        if self.size() != other.size() {
            return None;
        }
        let row = self.width * PARTS;
        let rows = self.pixels.chunks(row).zip(other.pixels.chunks(row));
        let (mut columns, mut lines) = (None, None);
        let extend = |range: &mut Option<(usize, usize)>, at: usize| {
            let (first, last) = range.unwrap_or((at, at));
            *range = Some((first.min(at), last.max(at)));
        };
        for (y, (ours, theirs)) in rows
            .enumerate()
            .filter(|(_, (ours, theirs))| ours != theirs)
        {
            extend(&mut lines, y);
            let differs = |at: &usize| ours[*at] != theirs[*at];
            for at in (0..row)
                .find(differs)
                .into_iter()
                .chain((0..row).rfind(differs))
            {
                extend(&mut columns, at / PARTS);
            }
        }
        let length =
            |range: Option<(usize, usize)>| range.map_or(0, |(first, last)| last - first + 1);
        Some((length(columns), length(lines)))
    }

    /// Scaled down to this size. A pixel is the mean of those that it covers, even in part.
    fn scaled(&self, width: usize, height: usize) -> Self {
        let covered = |at: usize, of: usize, from: usize| {
            let end = ((at + 1) * from).div_ceil(of);
            at * from / of..end
        };
        let mut pixels = Vec::with_capacity(width * height * PARTS);
        for y in 0..height {
            let rows = covered(y, height, self.height);
            for x in 0..width {
                let columns = covered(x, width, self.width);
                let mut sums = [0_usize; PARTS];
                for row in rows.clone() {
                    for column in columns.clone() {
                        for (sum, part) in sums.iter_mut().zip(self.pixel(column, row)) {
                            *sum += usize::from(part);
                        }
                    }
                }
                let count = rows.len() * columns.len();
                pixels.extend(sums.map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX)));
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, height: usize, shade: impl Fn(usize, usize) -> u8) -> Picture {
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixels = all.flat_map(|(x, y)| [shade(x, y); PARTS]).collect();
        Picture {
            width,
            height,
            pixels,
        }
    }

    #[test]
    fn a_picture_keeps_its_proportions() {
        assert_eq!(fit((720, 400), (80, 44)), (79, 44));
        assert_eq!(fit((720, 400), (80, 100)), (80, 44));
        assert_eq!(fit((10_000, 1), (80, 44)), (80, 1));
        assert_eq!(fit((16, 16), (80, 44)), (16, 16));
    }

    #[test]
    fn a_ppm_is_read_if_it_is_whole() {
        let ppm = gray(3, 2, |x, y| (x + y) as u8 * 10).to_ppm();
        let picture = Picture::from_ppm(ppm.clone()).expect("it is whole");
        assert_eq!((picture.size(), picture.to_ppm()), ((3, 2), ppm.clone()));
        // Pixels may look like white space.
        let blank = gray(3, 2, |_, _| b'\n').to_ppm();
        assert!(Picture::from_ppm(blank).is_some());
        for length in 0..ppm.len() {
            assert_eq!(Picture::from_ppm(ppm[..length].to_vec()), None, "{length}");
        }
        for wrong in [
            "P6\n0 0\n255\n",
            "P6\n99999999999 99999999999\n255\n",
            "P5\n1 1\n255\nabc",
        ] {
            assert_eq!(Picture::from_ppm(wrong.into()), None, "{wrong}");
        }
    }

    #[test]
    fn a_difference_is_as_large_as_what_has_changed() {
        let black = gray(9, 9, |_, _| 0);
        assert_eq!(black.difference(&black), Some((0, 0)));
        let cursor = gray(9, 9, |x, y| u8::from((2..4).contains(&x) && y == 7));
        assert_eq!(black.difference(&cursor), Some((2, 1)));
        let corners = gray(9, 9, |x, y| u8::from(x == y && (x == 0 || x == 8)));
        assert_eq!(black.difference(&corners), Some((9, 9)));
        assert_eq!(black.difference(&gray(9, 8, |_, _| 0)), None);
    }

    #[test]
    fn a_scaled_pixel_is_the_mean_of_those_it_covers() {
        let stripes = gray(4, 2, |x, _| [0, 100, 200, 200][x]);
        assert_eq!(stripes.scaled(2, 1), gray(2, 1, |x, _| [50, 200][x]));
        assert_eq!(stripes.scaled(4, 2), stripes);
    }
}
