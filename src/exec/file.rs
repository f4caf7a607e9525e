//! Writes what a line shows to a file: `> FILE`, `>> FILE`.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use nix::unistd::{AccessFlags, access};
use tokio::task::spawn_blocking;

use crate::failure::Failure;
use crate::lang::Redirection;
use crate::os::private;
use crate::render::escape;

/// Checks that a file can be written, without touching it: a command should not run if nobody will see its reply.
///
/// # Errors
///
/// It cannot.
pub(super) fn check(file: &Redirection) -> Result<(), Failure> {
    let path = &file.path;
    let checked = match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => access(path, AccessFlags::W_OK).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            access(parent, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
        }
        Err(error) => Err(error),
    };
    checked.map_err(|error| cannot_write(path, &error))
}

/// Writes `text` to a file, which only its owner can read if it is new. A terminal gets nothing that could harm it.
///
/// # Errors
///
/// Not all of the text could be written; the failure says how much was.
pub(super) async fn write(file: &Redirection, text: String) -> Result<(), Failure> {
    let file = file.clone();
    // A FIFO may be read slowly, or never.
    let written = spawn_blocking(move || write_now(&file, &text)).await;
    written.unwrap_or_else(|_| Ok(()))
}

fn write_now(file: &Redirection, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    options.append(file.appends).truncate(!file.appends);
    let path = &file.path;
    let opened = private::open(&mut options, path);
    let mut opened = opened.map_err(|error| cannot_write(path, &error))?;
    let safe = match opened.is_terminal() {
        true => escape(text),
        false => text.into(),
    };
    let mut rest = safe.as_bytes();
    while !rest.is_empty() {
        match opened.write(rest) {
            Ok(written) if written > 0 => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => {
                let error = result.err().unwrap_or(io::ErrorKind::WriteZero.into());
                let (done, all) = (safe.len() - rest.len(), safe.len());
                return Err(Failure::Local(format!(
                    "only {done} of {all} bytes were written to {}: {error}",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Local(format!("cannot write to {}: {error}", path.display()))
}
