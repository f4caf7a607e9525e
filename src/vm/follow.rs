use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::os::child::Child;

/// How often to check whether the file has grown.
const LOOK: Duration = Duration::from_millis(50);

/// How many bytes to read at once.
const PIECE: usize = 64 << 10;

/// Reads a file while a process appends to it.
pub struct Follow {
    file: File,
    offset: u64,
    /// The process that writes the file; the file is complete once it has ended, or if there is none.
    writer: Option<Child>,
}

impl Follow {
    /// Opens the file at `path`, to be read from its start.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub(super) fn open(path: &Path, writer: Option<Child>) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            offset: 0,
            writer,
        })
    }

    /// Waits for more text, and returns it; `None` at the end of the file once the process has ended. It can be
    /// cancelled without losing text.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            // Checked before reading, so that nothing written before the process ended is missed.
            let ended = self
                .writer
                .as_ref()
                .is_none_or(|writer| writer.ended().is_some());
            let mut piece = vec![0; PIECE];
            match self.file.read_at(&mut piece, self.offset) {
                Ok(length @ 1..) => {
                    // Do not split a character, unless the piece holds nothing else.
                    let whole = match std::str::from_utf8(&piece[..length]) {
                        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
                            error.valid_up_to()
                        }
                        _ => length,
                    };
                    self.offset += whole as u64;
                    return Some(String::from_utf8_lossy(&piece[..whole]).into_owned());
                }
                _ if ended => return None,
                _ => sleep(LOOK).await,
            }
        }
    }
}
