//! The log of a console, limited in size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::os::private;
use crate::transport::Say;

/// A log in at most two files. When the current file is full, it becomes the previous one, replacing the one before,
/// and a new file is started. Offsets count all bytes ever logged.
pub(super) struct ConsoleLog {
    /// `None` for a file without a name.
    path: Option<PathBuf>,
    /// The most bytes of a file; 0 for no limit.
    limit: u64,
    files: Mutex<Files>,
    /// Held while appending. Readers do not take it.
    appending: Mutex<()>,
    say: OnceLock<Say>,
}

struct Files {
    current: Part,
    previous: Option<Part>,
}

/// A file, and which part of the log it contains.
#[derive(Clone)]
struct Part {
    file: Arc<File>,
    start: u64,
    end: u64,
}

impl ConsoleLog {
    /// Opens the log at `path`, or one without a name. Also returns its length in bytes.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(path: Option<PathBuf>, limit: u64) -> io::Result<(Self, u64)> {
        let file = open(path.as_deref())?;
        let end = file.metadata()?.len();
        let current = Part {
            file: Arc::new(file),
            start: 0,
            end,
        };
        let log = Self {
            path,
            limit,
            files: Mutex::new(Files {
                current,
                previous: None,
            }),
            appending: Mutex::default(),
            say: OnceLock::new(),
        };
        Ok((log, end))
    }

    /// Sets who is told about the first full file. Only the first call has an effect.
    pub fn report_to(&self, say: Say) {
        let _ = self.say.set(say);
    }

    /// Appends `bytes`. Returns how many bytes were ever logged.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let _alone = self.appending.lock();
        let mut current = self.files.lock().current.clone();
        let length = current.end - current.start;
        if self.limit > 0 && length > 0 && length + bytes.len() as u64 > self.limit {
            // If that fails, the log goes on in the same file: better too long than lost.
            current = self.rotate(&current).unwrap_or(current);
        }
        (&*current.file).write_all(bytes)?;
        let mut files = self.files.lock();
        files.current.end += bytes.len() as u64;
        Ok(files.current.end)
    }

    /// Starts a new file.
    fn rotate(&self, full: &Part) -> io::Result<Part> {
        let old = self.path.as_deref().map(old_name);
        if let (Some(path), Some(old)) = (&self.path, &old) {
            fs::rename(path, old)?;
        }
        let next = Part {
            file: Arc::new(open(self.path.as_deref())?),
            start: full.end,
            end: full.end,
        };
        let first = {
            let mut files = self.files.lock();
            let full = std::mem::replace(&mut files.current, next.clone());
            files.previous.replace(full).is_none()
        };
        if let (true, Some(say), Some(path), Some(old)) = (first, self.say.get(), &self.path, old) {
            say(format!(
                "the console's log {} has reached {} bytes and was moved to {}, replacing any older log there \
                 (--console-log-limit)",
                path.display(),
                full.end - full.start,
                old.display()
            ));
        }
        Ok(next)
    }

    /// Returns at most `most` bytes, and their offset: `offset`, or a later one if that part no longer exists.
    pub fn read(&self, offset: u64, most: usize) -> (u64, Vec<u8>) {
        let part = {
            let files = self.files.lock();
            match &files.previous {
                Some(previous) if offset < files.current.start => previous.clone(),
                _ => files.current.clone(),
            }
        };
        let from = offset.max(part.start);
        let most = most.min(usize::try_from(part.end.saturating_sub(from)).unwrap_or(most));
        let mut bytes = vec![0; most];
        let length = part
            .file
            .read_at(&mut bytes, from - part.start)
            .unwrap_or(0);
        bytes.truncate(length);
        (from, bytes)
    }
}

/// Opens a log for reading and appending.
fn open(path: Option<&Path>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match path {
        Some(path) => private::open(options.read(true).append(true).create(true), path),
        None => tempfile::tempfile(),
    }
}

/// The path of the previous file.
fn old_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_go_on_when_a_full_log_is_rotated() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        for path in [Some(path.clone()), None] {
            let (log, length) = ConsoleLog::open(path, 10).expect("a log");
            assert_eq!(length, 0);
            let (sender, said) = std::sync::mpsc::channel();
            log.report_to(Arc::new(move |text| {
                sender.send(text).expect("somebody reads");
            }));
            let append = |text: &str| log.append(text.as_bytes()).expect("room");
            assert_eq!(append("01234"), 5);
            assert_eq!(append("56789"), 10);
            assert_eq!(append("abc"), 13);
            assert_eq!(log.read(3, 100), (3, b"3456789".to_vec()));
            assert_eq!(log.read(10, 2), (10, b"ab".to_vec()));
            assert_eq!(log.read(13, 100), (13, Vec::new()));
            assert_eq!(append("a piece beyond all limits"), 38);
            // The first file no longer exists.
            assert_eq!(log.read(3, 100), (10, b"abc".to_vec()));
            assert_eq!(log.read(13, 7), (13, b"a piece".to_vec()));
            append("end");
            assert_eq!(log.read(38, 100), (38, b"end".to_vec()));
            assert!(said.try_iter().count() <= 1);
        }
        let read = |path: &Path| fs::read_to_string(path).expect("it is there");
        assert_eq!(read(&path), "end");
        assert_eq!(read(&old_name(&path)), "a piece beyond all limits");
    }
}
