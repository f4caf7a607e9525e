//! The lines that can be recalled, and the file that keeps them.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use rustyline::Config;
use rustyline::history::{FileHistory, History as _, MemHistory, SearchDirection};

use crate::lang::Dialect;
use crate::lang::line_has_secret;
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

/// The history. All entered lines can be recalled while the shell runs, from the [`MemHistory`] that its methods
/// take; those without secrets are kept in the file as well.
pub(super) struct History {
    file: Option<(FileHistory, PathBuf)>,
    /// Which of the lines opened the transaction that is being typed.
    opening: Option<usize>,
}

impl History {
    /// Loads the lines of the file `path`, if given. The second result says why nothing is kept there.
    pub fn load(
        path: Option<PathBuf>,
        config: &Config,
        lines: &mut MemHistory,
    ) -> (Self, Option<io::Error>) {
        let mut file = FileHistory::with_config(config);
        let mut failed = None;
        if let Some(path) = &path {
            failed = make_private(path).err();
            // If the file cannot be read, the history starts empty.
            let _ = file.load(path);
            for line in &file {
                let _ = lines.add(line);
            }
        }
        let file = path.map(|path| (file, path));
        let opening = None;
        (Self { file, opening }, failed)
    }

    /// Makes a line that was just entered recallable.
    pub fn entered(&mut self, line: &str, in_transaction: bool, lines: &mut MemHistory) {
        if !in_transaction {
            self.opening = Some(lines.len());
        }
        let _ = lines.add(line);
    }

    /// Keeps an entry in the file.
    pub fn keep(&mut self, entry: &str) {
        if let Some((file, path)) = &mut self.file
            && !line_has_secret(entry)
            && file.add(entry).is_ok_and(|added| added)
        {
            // A full disk must not end the shell.
            let _ = file.append(path);
        }
    }

    /// Keeps a transaction as one entry, which replaces its lines.
    pub fn keep_transaction(&mut self, entry: &str, lines: &mut MemHistory) {
        if let Some(opening) = self.opening.take() {
            let all = (0..opening.min(lines.len())).filter_map(|at| self::get(lines, at));
            let before: Vec<String> = all.collect();
            let _ = lines.clear();
            for line in before {
                let _ = lines.add_owned(line);
            }
        }
        let _ = lines.add(entry);
        self.keep(entry);
    }
}

/// The line with this number, from 0 for the oldest.
pub(super) fn get(lines: &dyn rustyline::history::History, at: usize) -> Option<String> {
    let found = lines.get(at, SearchDirection::Forward).ok()??;
    Some(found.entry.into_owned())
}

/// Creates the file and its directory, if missing, so that only the owner can access them.
fn make_private(path: &Path) -> io::Result<()> {
    private::create_parent(path)?;
    private::open(OpenOptions::new().append(true).create(true), path).map(drop)
}
