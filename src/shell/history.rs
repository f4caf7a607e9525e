//! The history file.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::os::private;

/// The path of the history file, in the XDG state directory. `None` if there is no home directory.
pub(super) fn path() -> Option<PathBuf> {
    let state = etcetera::base_strategy::Xdg::new().ok()?.state_dir()?;
    Some(state.join("qmpsh").join("history"))
}

/// Creates the file and its directory, if missing, so that only the owner can access them.
///
/// # Errors
///
/// One of them cannot be created.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    private::create_parent(path)?;
    private::open(OpenOptions::new().append(true).create(true), path).map(drop)
}
