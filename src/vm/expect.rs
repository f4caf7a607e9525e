//! Searches a console's output for a pattern.

use regex_bites::bytes::Regex;

use super::console::Console;

/// How much output is searched at once.
const WINDOW: usize = 64 << 10;

/// How much of a searched window is kept, so that a match across two windows is found. A longer match may be missed.
const OVERLAP: usize = 16 << 10;

impl Console {
    /// Waits until the console has shown something that matches `pattern` after the last match, and returns the match.
    /// Waits for ever if that never comes. Cancel safe: only a match moves the place where the next call starts.
    pub async fn expect(&self, pattern: &Regex) -> Vec<u8> {
        let mut length = self.length();
        let mut start = self.expected();
        let mut window = Vec::new();
        loop {
            length.borrow_and_update();
            let end = start + window.len() as u64;
            let (from, piece) = self.read(end, WINDOW - window.len());
            if from > end {
                // The log was rotated twice meanwhile.
                window.clear();
                start = from;
            }
            if piece.is_empty() {
                // The sender lives as long as the console.
                let _ = length.changed().await;
                continue;
            }
            window.extend(piece);
            if let Some(found) = pattern.find(&window) {
                self.set_expected(start + found.end() as u64);
                return found.as_bytes().to_vec();
            }
            if window.len() == WINDOW {
                window.drain(..WINDOW - OVERLAP);
                start += (WINDOW - OVERLAP) as u64;
                // A long log is always ready, and the caller may have a time limit.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Returns the last lines of what the console has shown since the last match, as text.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let end = *self.length().borrow();
        let start = self.expected().max(end.saturating_sub(OVERLAP as u64));
        let (_, bytes) = self.read(start, OVERLAP);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let first = lines.len().saturating_sub(count);
        lines[first..]
            .iter()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn each_match_is_found_once_and_in_order_however_far_apart() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let console = Console::logging_to(&directory.path().join("log"), 0).expect("a log");
        let (mut guest, ours) = UnixStream::pair().expect("sockets");
        console.plug(ours.into()).expect("a thread");
        let writer = std::thread::spawn(move || {
            let filler = vec![b'.'; WINDOW];
            for number in 0..5 {
                guest.write_all(&filler).expect("it is drained");
                guest.write_all(b"\xff").expect("it is drained");
                write!(guest, "{{mark {number}}}").expect("it is drained");
            }
            guest
        });
        let mark = Regex::new(r"\{mark (\d)\}").expect("a pattern");
        for number in 0..5 {
            let found = console.expect(&mark).await;
            assert_eq!(
                String::from_utf8_lossy(&found),
                format!("{{mark {number}}}")
            );
        }
        drop(writer.join().expect("it wrote"));
        assert!(console.last_lines(3).is_empty());
    }
}
