//! The temporary directory of a VM, and the removal of those that a killed qmpsh left.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;
use tempfile::TempDir;

use super::error::Error;

/// What the names of our directories start with.
const PREFIX: &str = "qmpsh-";

/// The file in each that its qmpsh keeps locked as long as it runs.
const OWNER: &str = "owner";

/// A directory for its owner alone. It is removed when this is dropped.
pub(super) struct Temporary {
    directory: TempDir,
    _owner: Flock<File>,
}

impl Temporary {
    /// Creates a directory in `parent`, or in the system's directory for temporary files. First removes directories of
    /// ours there whose qmpsh no longer runs.
    ///
    /// # Errors
    ///
    /// The directory cannot be created.
    pub fn new(parent: Option<&Path>) -> Result<Self, Error> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        sweep(&parent);
        Self::make_in(&parent).map_err(|error| Error::Directory {
            path: parent,
            error,
        })
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        // The file is renamed once it is locked: a directory without it never counts as abandoned.
        let unnamed = directory.path().join("new");
        let file = open(OpenOptions::new().write(true).create_new(true), &unnamed)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let owner = lock.map_err(|(_, error)| error)?;
        fs::rename(unnamed, directory.path().join(OWNER))?;
        Ok(Self {
            directory,
            _owner: owner,
        })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes our directories in `parent` whose qmpsh no longer runs. What cannot be removed stays.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
    });
    for directory in ours.map(|entry| entry.path()) {
        if let Some(_lock) = abandoned(&directory) {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// Locks a directory if it is this user's and its qmpsh no longer runs.
fn abandoned(directory: &PathBuf) -> Option<Flock<File>> {
    let found = fs::symlink_metadata(directory).ok()?;
    let ours = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o77 == 0;
    let file = open(OpenOptions::new().read(true), &directory.join(OWNER));
    let file = file.ok().filter(|_| ours)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

/// Opens a file without following a link.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("it is ours").flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_ours_or_still_in_use_is_not_swept() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        fs::write(elsewhere.path().join(OWNER), "").expect("a file of ours");
        let at = |name: &str| parent.path().join(name);
        let make = |name: &str, mode| {
            fs::create_dir(at(name)).expect("a directory of ours");
            fs::set_permissions(at(name), Permissions::from_mode(mode)).expect("it is ours");
        };
        make("qmpsh-without", 0o700);
        make("qmpsh-open", 0o755);
        make("other", 0o700);
        for name in ["qmpsh-open", "other"] {
            fs::write(at(name).join(OWNER), "").expect("a file of ours");
        }
        fs::write(at("qmpsh-file"), "").expect("a file of ours");
        symlink(elsewhere.path(), at("qmpsh-link")).expect("a link of ours");
        make("qmpsh-linked", 0o700);
        symlink(elsewhere.path().join(OWNER), at("qmpsh-linked").join(OWNER)).expect("a link");
        let used = Temporary::new(Some(parent.path())).expect("a directory");
        let before = names(parent.path());
        // And these are.
        for name in ["qmpsh-left", "qmpsh-left too"] {
            make(name, 0o700);
            symlink(elsewhere.path(), at(name).join("link")).expect("a link of ours");
            fs::write(at(name).join(OWNER), "").expect("a file of ours");
        }
        sweep(parent.path());
        assert_eq!(names(parent.path()), before);
        assert_eq!(names(used.path()), [OWNER]);
        assert_eq!(names(elsewhere.path()), [OWNER]);
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
