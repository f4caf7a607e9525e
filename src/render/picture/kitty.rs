//! Pictures in kitty's graphics protocol: a PNG, in pieces.

use std::io;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::Picture;

/// A piece of a picture has no more bytes.
const PIECE: usize = 4096;

/// The control strings that show a picture at the cursor.
///
/// # Errors
///
/// It is too large for a PNG.
pub(super) fn commands(picture: &Picture) -> io::Result<String> {
    let png = BASE64_STANDARD.encode(picture.to_png()?);
    let mut text = String::with_capacity(png.len() + png.len() / 64);
    let mut rest = &*png;
    // Show a PNG (100), and answer nothing (q=2).
    let mut keys = "a=T,f=100,q=2,";
    loop {
        let (piece, after) = rest.split_at(rest.len().min(PIECE));
        let more = u8::from(!after.is_empty());
        text.push_str(&format!("\x1b_G{keys}m={more};{piece}\x1b\\"));
        if after.is_empty() {
            return Ok(text);
        }
        (rest, keys) = (after, "");
    }
}
