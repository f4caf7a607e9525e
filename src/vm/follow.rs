use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::machine::Machine;

/// How often to check whether the file has grown.
const LOOK: Duration = Duration::from_millis(50);

/// How many bytes to read at once.
const PIECE: usize = 64 << 10;

/// How many lines at the end of a log are shown by default, and the most bytes.
const TAIL_LINES: usize = 200;
const TAIL: u64 = 64 << 10;

/// Reads a file piece by piece, perhaps while a process writes it.
pub struct Follow {
    file: File,
    offset: u64,
    left_out: u64,
    /// The length when it was opened.
    length: u64,
    until: Until,
    /// The process that writes it, if any.
    writer: Option<Arc<Machine>>,
}

/// Up to where a file is read.
pub(super) enum Until {
    /// Up to its length when it was opened.
    Now,
    /// Until the process that writes it has ended.
    End,
}

impl Follow {
    /// Opens the file at `path`, to read `all` of it or only its end.
    pub(super) fn open(
        path: &Path,
        all: bool,
        until: Until,
        writer: Option<Arc<Machine>>,
    ) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let left_out = if all { 0 } else { tail_start(&file, length)? };
        Ok(Self {
            file,
            length,
            offset: left_out,
            left_out,
            until,
            writer,
        })
    }

    /// Tells the user what is left out, if anything.
    pub fn left_out(&self) -> Option<String> {
        (self.left_out > 0).then(|| {
            format!(
                "{} bytes before this are left out; `:vm log --all` shows them",
                self.left_out
            )
        })
    }

    /// The end of what the file contained when it was opened.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn rest(&self) -> io::Result<String> {
        let length = self.length.saturating_sub(self.offset).min(TAIL);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        Ok(self.text(&bytes))
    }

    /// Bytes of the file as text, without the secrets of the process's command line.
    fn text(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        match &self.writer {
            Some(writer) => writer.without_secrets(&text),
            None => text.into_owned(),
        }
    }

    /// The next piece, or `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            // Checked before reading, so that nothing written before the process ended is missed.
            let (ended, room) = match &self.until {
                Until::Now => (true, self.length.saturating_sub(self.offset)),
                Until::End => {
                    let ended = self.writer.as_ref().is_none_or(|writer| !writer.runs());
                    (ended, u64::MAX)
                }
            };
            let mut piece = vec![0; PIECE.min(usize::try_from(room).unwrap_or(PIECE))];
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
                    return Some(self.text(&piece[..whole]));
                }
                _ if ended => return None,
                _ => sleep(LOOK).await,
            }
        }
    }
}

/// Where the shown end of a log begins: at the start of a line, unless lines are too long for that.
fn tail_start(file: &File, length: u64) -> io::Result<u64> {
    let from = length.saturating_sub(TAIL);
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    // The break that ends the last line does not count.
    let mut breaks = bytes
        .iter()
        .enumerate()
        .rev()
        .skip(1)
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    let start = match breaks.nth(TAIL_LINES - 1) {
        Some(start) => start,
        None if from == 0 => 0,
        None => bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1),
    };
    Ok(from + start as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("it is ours");
        let follow = Follow::open(file.path(), false, Until::Now, None).expect("it is ours");
        let rest = follow.rest().expect("it is ours");
        assert_eq!(follow.left_out().is_some(), rest.len() < text.len());
        rest
    }

    #[test]
    fn the_end_of_a_log_is_so_many_lines_and_not_too_many_bytes() {
        assert_eq!(tail(""), "");
        assert_eq!(tail("a\nb"), "a\nb");
        let lines = "a line\n".repeat(200);
        assert_eq!(tail(&lines), lines);
        assert_eq!(tail(&format!("{lines}b\n")), lines[7..].to_owned() + "b\n");
        let long = "x".repeat(1000) + "\n";
        assert_eq!(tail(&long.repeat(100)), long.repeat(65));
        assert_eq!(tail(&"x".repeat(100_000)).len(), 64 << 10);
    }
}
