//! The history file.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::lang::Dialect;
use crate::os::private;

/// The path of the history file of a dialect, in the XDG state directory. `None` if there is no home directory.
pub(super) fn path(dialect: Dialect) -> Option<PathBuf> {
    let state = etcetera::base_strategy::Xdg::new().ok()?.state_dir()?;
    let name = match dialect {
        Dialect::Qmp => "history".to_owned(),
        other => format!("history.{}", other.name()),
    };
    Some(state.join("qmpsh").join(name))
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
