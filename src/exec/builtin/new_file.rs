//! Files that built-ins write.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;

/// A file that appears under its name once it is whole, for its owner alone. Until then, dropping it removes it.
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
