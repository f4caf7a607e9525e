//! The files that a copy reads on this side.

use std::fs::File;
use std::io::{self, Read};

use crate::failure::Failure;

/// A file to read piece by piece.
pub(super) struct Pieces<'a> {
    file: File,
    path: &'a str,
    buffer: Vec<u8>,
    /// How many bytes the file had when it was opened.
    pub size: u64,
    at_end: bool,
}

impl<'a> Pieces<'a> {
    /// Opens a file, to read pieces of this many bytes.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn open(path: &'a str, piece: usize) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
        let metadata = file.metadata();
        Ok(Self {
            size: metadata.map_err(|error| cannot_read(path, &error))?.len(),
            file,
            path,
            buffer: vec![0; piece],
            at_end: false,
        })
    }

    /// The next piece; only the last is shorter. `None` after that.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        let mut filled = 0;
        while !self.at_end && filled < self.buffer.len() {
            match self.file.read(&mut self.buffer[filled..]) {
                Ok(0) => self.at_end = true,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_read(self.path, &error)),
            }
        }
        Ok((filled > 0).then(|| &self.buffer[..filled]))
    }
}

fn cannot_read(path: &str, error: &io::Error) -> Failure {
    Failure::Local(format!("cannot read {path}: {error}"))
}
