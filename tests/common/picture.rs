//! Pictures, and their decoding from what a terminal gets.

use std::collections::HashMap;
use std::fs::read;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};

/// A picture: its width, and its pixels row by row.
#[derive(PartialEq)]
pub struct Picture {
    pub width: usize,
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn new(width: usize, bytes: &[u8]) -> Self {
        let (pixels, rest) = bytes.as_chunks();
        assert!(rest.is_empty());
        Self {
            width,
            pixels: pixels.to_vec(),
        }
    }

    pub fn of_ppm(path: &Path) -> Self {
        let ppm = read(path).expect("a picture");
        let mut parts = ppm.splitn(4, |byte| *byte == b'\n');
        let mut next = || parts.next().expect("a part");
        assert_eq!(next(), b"P6");
        let size = String::from_utf8_lossy(next()).into_owned();
        let (width, _) = size.split_once(' ').expect("two lengths");
        assert_eq!(next(), b"255");
        Self::new(width.parse().expect("a length"), next())
    }

    pub fn of_png(path: &Path) -> Self {
        Self::in_png(read(path).expect("a picture"))
    }

    fn in_png(png: Vec<u8>) -> Self {
        let mut file = png::Decoder::new(std::io::Cursor::new(png));
        file.set_transformations(png::Transformations::EXPAND);
        let mut reader = file.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
        let info = reader.next_frame(&mut bytes).expect("a whole PNG");
        bytes.truncate(info.buffer_size());
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self::new(info.width as usize, &bytes)
    }

    pub fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    /// The mean of the pixels that one at this column and row covers in a picture of `size`.
    pub fn mean(&self, at: (usize, usize), size: (usize, usize)) -> [f64; 3] {
        let covered = |at: usize, of: usize, all: usize| {
            (0..all).filter(move |pixel| (pixel + 1) * of > at * all && pixel * of < (at + 1) * all)
        };
        let (mut sum, mut count) = ([0.0; 3], 0.0);
        for row in covered(at.1, size.1, self.height()) {
            for column in covered(at.0, size.0, self.width) {
                let pixel = self.pixels[row * self.width + column];
                for (sum, part) in sum.iter_mut().zip(pixel) {
                    *sum += f64::from(part);
                }
                count += 1.0;
            }
        }
        sum.map(|sum| sum / count)
    }

    /// The picture that a program shows by kitty's graphics protocol, as a PNG in pieces.
    pub fn in_kitty(output: &str) -> Self {
        let mut png = String::new();
        for command in strings(output, "\x1b_G") {
            let (keys, data) = command.split_once(';').expect("keys and data");
            match png.is_empty() {
                true if keys.contains("a=q") => continue,
                true => assert!(keys.starts_with("a=T,f=100,q=2,m="), "{keys}"),
                false => assert!(matches!(keys, "m=0" | "m=1"), "{keys}"),
            }
            assert!(data.len() <= 4096);
            png.push_str(data);
        }
        Self::in_png(BASE64_STANDARD.decode(png).expect("base64"))
    }

    /// The picture that a program shows as sixels.
    pub fn in_sixels(output: &str) -> Self {
        let sixels = strings(output, "\x1bP").pop().expect("sixels");
        let (_, sixels) = sixels.split_once('q').expect("sixels");
        let mut rest = sixels.strip_prefix('"').expect("the size");
        let mut numbers = || {
            let end = rest.find(|c: char| !matches!(c, '0'..='9' | ';'));
            let (numbers, after) = rest.split_at(end.unwrap_or(rest.len()));
            let numbers = numbers.split(';').filter_map(|number| number.parse().ok());
            let numbers: Vec<usize> = numbers.collect();
            let mut after = after.chars();
            let next = after.next();
            rest = after.as_str();
            (numbers, next)
        };
        let (size, mut next) = numbers();
        let [1, 1, width, height] = size[..] else {
            panic!("{size:?}")
        };
        // Every pixel is drawn.
        let mut pixels = vec![None; width * height];
        let (mut palette, mut color) = (HashMap::new(), [0; 3]);
        let (mut column, mut top) = (0, 0);
        while let Some(command) = next {
            let mut count = 1;
            let mut sixel = Some(command).filter(|c| matches!(c, '?'..='~'));
            let (given, after) = numbers();
            next = after;
            match (command, &given[..]) {
                ('#', [number, 2, red, green, blue]) => {
                    let part = |percent: usize| (percent * 255 / 100) as u8;
                    palette.insert(*number, [*red, *green, *blue].map(part));
                }
                ('#', [number]) => color = palette[number],
                ('!', [times]) => {
                    (count, sixel) = (*times, after);
                    (_, next) = numbers();
                }
                ('$', []) => column = 0,
                ('-', []) => (column, top) = (0, top + 6),
                _ => assert!(sixel.is_some() && given.is_empty(), "{command} {given:?}"),
            }
            let Some(sixel) = sixel else { continue };
            for _ in 0..count {
                for row in (0..6).filter(|row| (u32::from(sixel) - 63) >> row & 1 == 1) {
                    let pixel = &mut pixels[(top + row) * width + column];
                    assert_eq!(pixel.replace(color), None, "a pixel drawn twice");
                }
                column += 1;
            }
        }
        let pixels = pixels.into_iter().map(|pixel| pixel.expect("it is drawn"));
        Self {
            width,
            pixels: pixels.collect(),
        }
    }

    /// The largest difference of a part of a colour from that of another picture of the same size.
    pub fn off(&self, other: &Self) -> u8 {
        assert_eq!((self.width, self.height()), (other.width, other.height()));
        let parts = self
            .pixels
            .iter()
            .flatten()
            .zip(other.pixels.iter().flatten());
        parts
            .map(|(one, other)| one.abs_diff(*other))
            .max()
            .expect("a pixel")
    }
}

/// The control strings in a terminal's output that begin so, without their beginnings and ends.
fn strings<'a>(output: &'a str, begin: &str) -> Vec<&'a str> {
    let begun = output.split(begin).skip(1);
    let string = |text: &'a str| text.split_once("\x1b\\").map(|(string, _)| string);
    begun.map(|text| string(text).expect("an end")).collect()
}
