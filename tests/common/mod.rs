//! The test environment: a real QEMU in a directory of its own, qmpsh run against it, and what both said.

pub mod connected;
pub mod fake;
pub mod guest;
pub mod licences;
pub mod log;
pub mod picture;
pub mod process;
pub mod qemu;
pub mod run;
pub mod running;
pub mod serving;
pub mod sockets;
pub mod stty;
pub mod terminal;
pub mod told;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use process::kill;
pub use qemu::{Qemu, qemu};
pub use run::{Outcome, command, in_shell, qmpsh, run};

/// How long anything may take before a test gives up. Generous: the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Waits until `condition` has a value; fails if `what` does not come about.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A directory that is removed when this is dropped.
pub fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The text of a path, which is one of ours and so is UTF-8.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// The permissions of a file.
pub fn mode(path: &Path) -> u32 {
    let metadata = path.metadata().expect("it is there");
    metadata.permissions().mode() & 0o777
}
