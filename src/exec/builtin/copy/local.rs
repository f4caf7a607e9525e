//! The files on this side of a copy.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;

/// A file that appears under its name once it is whole. Until then, dropping it removes it.
pub(super) struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Starts a file of this name.
    ///
    /// # Errors
    ///
    /// Its directory takes no file.
    pub fn create(path: &str) -> Result<Self, Failure> {
        let path = PathBuf::from(path);
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(directory).map_err(|error| cannot_write(&path, &error))?;
        Ok(Self { file, path })
    }

    /// Adds bytes to it.
    ///
    /// # Errors
    ///
    /// The disk may be full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| cannot_write(&self.path, &error))
    }

    /// Gives it its name. A file that had it is replaced.
    ///
    /// # Errors
    ///
    /// The name is that of a directory, for instance.
    pub fn keep(self) -> Result<(), Failure> {
        let Self { file, path } = self;
        let kept = file.persist(&path);
        kept.map(drop)
            .map_err(|error| cannot_write(&path, &error.error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Local(format!("cannot write {}: {error}", path.display()))
}

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
