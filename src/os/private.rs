//! Files that only their owner can read: they may hold what was said to a monitor.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Creates the directory of `path` if it does not exist.
///
/// # Errors
///
/// The directory cannot be created.
pub fn create_parent(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    path.parent()
        .map_or(Ok(()), |parent| builder.create(parent))
}

/// Opens a file with `options`. If that creates the file, only the owner can read it.
///
/// # Errors
///
/// The file cannot be opened.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).open(path)
}
