use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::machine::Machine;

/// How often a file that grows is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How much is taken at once.
const PIECE: usize = 64 << 10;

/// A file that a process writes, as it grows.
pub struct Follow {
    file: File,
    offset: u64,
    /// The process, if there is one: nothing more comes once it has ended.
    writer: Option<Arc<Machine>>,
}

impl Follow {
    /// Follows the file at `path` from its start.
    pub(super) fn open(path: &Path, writer: Option<Arc<Machine>>) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            offset: 0,
            writer,
        })
    }

    /// What has been added, or nothing once the process has ended. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            // Asked before the file is: what was written before the end is seen.
            let ended = self.writer.as_ref().is_none_or(|writer| !writer.runs());
            let mut piece = vec![0; PIECE];
            match self.file.read_at(&mut piece, self.offset) {
                Ok(length @ 1..) => {
                    // Not in the middle of a character, unless that is all there is.
                    let whole = match std::str::from_utf8(&piece[..length]) {
                        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
                            error.valid_up_to()
                        }
                        _ => length,
                    };
                    self.offset += whole as u64;
                    let text = String::from_utf8_lossy(&piece[..whole]);
                    return Some(match &self.writer {
                        Some(writer) => writer.without_secrets(&text),
                        None => text.into_owned(),
                    });
                }
                _ if ended => return None,
                _ => sleep(LOOK).await,
            }
        }
    }
}
