//! Where the history lives.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::os::private;

/// The history file, in XDG's state directory.
pub(super) fn path() -> Option<PathBuf> {
    let state = etcetera::base_strategy::Xdg::new().ok()?.state_dir()?;
    Some(state.join("qmpsh").join("history"))
}

/// Makes the file, and its directory, for the owner alone, if they are not there yet.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    private::create_parent(path)?;
    private::open(OpenOptions::new().append(true).create(true), path).map(drop)
}
