use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::plan::{Plan, Source};
use crate::context::{Origin, SourcedLine};
use crate::failure::Failure;
use crate::lang::{Language, SplitLine, SyntaxError, Words, lines};

/// The maximum length of a line, in bytes. It is the same as QEMU's limit for one message.
const MAX_LINE: usize = 64 << 20;

/// The maximum number of lines in a batch from the reading thread.
const BATCH: usize = 512;

/// How many batches can wait.
const BATCHES: usize = 4;

/// The size of the read buffer, in bytes.
const BUFFER: usize = 64 << 10;

/// A line to run.
pub(super) struct Item {
    pub words: Result<Words, Failure>,
    pub origin: Origin,
}

/// The lines to run.
pub(super) struct Input {
    stream: Stream,
    /// Lines of files that come before those of the stream.
    sourced: VecDeque<SourcedLine>,
}

impl From<Stream> for Input {
    fn from(stream: Stream) -> Self {
        let sourced = VecDeque::new();
        Self { stream, sourced }
    }
}

/// Where the lines come from.
enum Stream {
    /// The command line. The lines are known from the start, and can be repeated.
    Given(Rounds),
    /// A file or standard input.
    Read(Box<Lines>),
}

impl Input {
    /// Opens the source of `plan`, whose lines are in `language`.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn new(plan: Plan, language: Language) -> Result<Self, Failure> {
        let items = match plan.source {
            Source::Command(words) => vec![Given::Words(words)],
            Source::Lines(lines) => lines.into_iter().map(Given::Text).collect(),
            Source::Stream(path) => {
                let lines = Lines::open(path.as_deref(), language)?;
                return Ok(Stream::Read(Box::new(lines)).into());
            }
        };
        let rounds = Rounds {
            items,
            next: 0,
            left: (plan.rounds > 0).then_some(plan.rounds),
            interval: plan.interval,
            due: Instant::now(),
            lines: VecDeque::new(),
            language,
        };
        Ok(Stream::Given(rounds).into())
    }

    /// The same input from the start, once, if all of it is known: that of the command line and of `-f`.
    pub fn copy(&self) -> Option<Self> {
        let copy = match &self.stream {
            Stream::Given(given) => Stream::Given(Rounds {
                items: given.items.clone(),
                next: 0,
                left: Some(1),
                interval: Duration::ZERO,
                due: given.due,
                lines: VecDeque::new(),
                language: given.language.clone(),
            }),
            Stream::Read(lines) => {
                let bytes = lines.whole.clone()?;
                let copy = Lines::of(Some(bytes), lines.file.clone(), lines.language.clone());
                Stream::Read(Box::new(copy.ok()?))
            }
        };
        Some(copy.into())
    }

    /// Puts lines before those that are still to come.
    pub fn insert(&mut self, lines: Vec<SourcedLine>) {
        for line in lines.into_iter().rev() {
            self.sourced.push_front(line);
        }
    }

    /// The next line, or `None` at the end. It can be cancelled without losing a line.
    pub async fn next(&mut self) -> Option<Item> {
        if let Some(SourcedLine { words, origin }) = self.sourced.pop_front() {
            let words = Ok(words);
            return Some(Item { words, origin });
        }
        match &mut self.stream {
            Stream::Given(given) => given.next().await,
            Stream::Read(lines) => lines.next().await,
        }
    }

    /// Whether another line is available without waiting.
    pub fn is_ready(&self) -> bool {
        !self.sourced.is_empty()
            || match &self.stream {
                Stream::Given(given) => given.interval.is_zero() && given.left != Some(0),
                Stream::Read(lines) => !lines.ready.is_empty() || !lines.batches.is_empty(),
            }
    }

    /// Whether it had no line so far.
    pub fn is_empty(&self) -> bool {
        match &self.stream {
            Stream::Given(_) => false,
            Stream::Read(lines) => lines.here().number == 0,
        }
    }

    /// The place of the line that was read last.
    pub fn here(&self) -> Origin {
        match &self.stream {
            Stream::Given(_) => Origin::default(),
            Stream::Read(lines) => lines.here(),
        }
    }
}

#[derive(Clone)]
enum Given {
    /// The words of one line.
    Words(Vec<String>),
    /// A text of one or more lines.
    Text(String),
}

/// The lines of the command line, repeated.
pub(super) struct Rounds {
    items: Vec<Given>,
    next: usize,
    /// How many rounds are left; `None` is no limit.
    left: Option<u64>,
    interval: Duration,
    /// When the next round may start.
    due: Instant,
    /// The remaining lines of a text of several lines.
    lines: VecDeque<SplitLine>,
    language: Language,
}

impl Rounds {
    async fn next(&mut self) -> Option<Item> {
        if let Some(line) = self.lines.pop_front() {
            return Some(given_item(line));
        }
        if self.next == 0 {
            if self.left == Some(0) {
                return None;
            }
            if !self.interval.is_zero() {
                sleep_until(self.due).await;
                // From start to start. After a round that took too long, the next ones do not catch up.
                self.due = Instant::now() + self.interval;
            }
        }
        let at = self.next;
        self.next += 1;
        if self.next == self.items.len() {
            self.next = 0;
            if let Some(rounds) = &mut self.left {
                *rounds -= 1;
            }
        }
        Some(match &self.items[at] {
            Given::Words(words) => Item {
                words: Ok(Words::from_args(words)),
                origin: Origin::default(),
            },
            Given::Text(text) => {
                self.lines = lines(text, &self.language).into();
                // Even an empty text has one line.
                given_item(self.lines.pop_front()?)
            }
        })
    }
}

fn given_item(SplitLine { text, words }: SplitLine) -> Item {
    Item {
        words: words.map_err(|error| Failure::syntax(error, &text)),
        origin: Origin {
            text,
            ..Origin::default()
        },
    }
}

/// The lines of a stream. A thread reads them, because reading blocks and replies and events arrive meanwhile.
pub(super) struct Lines {
    batches: mpsc::Receiver<Vec<ReadLine>>,
    ready: VecDeque<ReadLine>,
    /// How error messages name the stream; `None` for standard input.
    file: Option<Arc<str>>,
    /// The number of the line that was read last, from 1.
    number: usize,
    partial: Option<Partial>,
    language: Language,
    /// The bytes of a file.
    whole: Option<Arc<[u8]>>,
}

/// A line, or why it cannot be read.
type ReadLine = Result<String, Unreadable>;

#[derive(Debug)]
struct Unreadable {
    failure: Failure,
    /// The readable part of the line, to look for closing brackets in.
    text: String,
}

/// The lines so far of a command that continues on the next line.
struct Partial {
    text: String,
    /// The number of its first line.
    first: usize,
    error: SyntaxError,
    /// The first of its lines that cannot be read, with its place. The command then fails, but still extends to
    /// its closing bracket.
    wrong: Option<(Failure, Origin)>,
}

impl Lines {
    fn open(path: Option<&Path>, language: Language) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Self::of(None, None, language);
        };
        let shown = path.display();
        match fs::read(path) {
            Ok(bytes) => Self::of(Some(bytes.into()), Some(shown.to_string().into()), language),
            Err(error) => {
                let why = format!("cannot read the script {shown}: {error}");
                Err(Failure::Local(why))
            }
        }
    }

    /// The lines of a file with these bytes, or of standard input.
    fn of(
        whole: Option<Arc<[u8]>>,
        file: Option<Arc<str>>,
        language: Language,
    ) -> Result<Self, Failure> {
        let stream: Box<dyn Read + Send> = match &whole {
            None => Box::new(io::stdin()),
            Some(bytes) => Box::new(Cursor::new(bytes.clone())),
        };
        let (sender, batches) = mpsc::channel(BATCHES);
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || read_lines(BufReader::with_capacity(BUFFER, stream), &sender))
            .map_err(|error| Failure::Local(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            batches,
            ready: VecDeque::new(),
            file,
            number: 0,
            partial: None,
            language,
            whole,
        })
    }

    async fn next(&mut self) -> Option<Item> {
        loop {
            let Some(line) = self.ready.pop_front() else {
                match self.batches.recv().await {
                    Some(batch) => self.ready = batch.into(),
                    None => {
                        let partial = self.partial.take()?;
                        let words = Err(partial.error);
                        return Some(self.item(partial.text, partial.first, partial.wrong, words));
                    }
                }
                continue;
            };
            self.number += 1;
            let here = self.here();
            let line = match (line, &mut self.partial) {
                (Ok(line), _) => line,
                (Err(unreadable), None) => {
                    return Some(Item {
                        words: Err(unreadable.failure),
                        origin: here,
                    });
                }
                (Err(unreadable), Some(partial)) => {
                    partial.wrong.get_or_insert((unreadable.failure, here));
                    unreadable.text
                }
            };
            let (text, first, wrong) = match self.partial.take() {
                None => (line, self.number, None),
                Some(mut partial) => {
                    partial.text.push('\n');
                    partial.text.push_str(&line);
                    if !partial.error.may_be_closed_by(&line) {
                        self.partial = Some(partial);
                        continue;
                    }
                    (partial.text, partial.first, partial.wrong)
                }
            };
            match Words::split_in(&text, &self.language) {
                Err(error) if error.unclosed.is_some() => {
                    self.partial = Some(Partial {
                        text,
                        first,
                        error,
                        wrong,
                    });
                }
                result => return Some(self.item(text, first, wrong, result)),
            }
        }
    }

    fn item(
        &self,
        text: String,
        number: usize,
        wrong: Option<(Failure, Origin)>,
        words: Result<Words, SyntaxError>,
    ) -> Item {
        if let Some((failure, origin)) = wrong {
            return Item {
                words: Err(failure),
                origin,
            };
        }
        Item {
            words: words.map_err(|error| Failure::syntax(error, &text)),
            origin: Origin {
                number,
                text,
                ..self.here()
            },
        }
    }

    fn here(&self) -> Origin {
        Origin {
            file: self.file.clone(),
            number: self.number,
            text: String::new(),
        }
    }
}

/// Reads to the end, and sends the lines in batches. A batch is sent as soon as the read buffer has no further
/// whole line.
fn read_lines(mut stream: BufReader<Box<dyn Read + Send>>, batches: &mpsc::Sender<Vec<ReadLine>>) {
    loop {
        let mut batch = Vec::new();
        loop {
            match read_line(&mut stream) {
                Ok(None) => {
                    let _ = batches.blocking_send(batch);
                    return;
                }
                Ok(Some(line)) => batch.push(line),
                Err(error) => {
                    batch.push(Err(Unreadable {
                        failure: Failure::Local(format!("cannot read the next line: {error}")),
                        text: String::new(),
                    }));
                    let _ = batches.blocking_send(batch);
                    return;
                }
            }
            if batch.len() == BATCH || !stream.buffer().contains(&b'\n') {
                break;
            }
        }
        if batches.blocking_send(batch).is_err() {
            return;
        }
    }
}

/// The next line without its line break, or `None` at the end of the stream.
fn read_line(stream: &mut impl BufRead) -> io::Result<Option<ReadLine>> {
    let mut line = Vec::new();
    let limit = MAX_LINE as u64 + 1;
    if stream.take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > MAX_LINE {
        stream.skip_until(b'\n')?;
        return Ok(Some(Err(Unreadable {
            failure: Failure::Usage(format!("the line is longer than {} MiB", MAX_LINE >> 20)),
            text: String::new(),
        })));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(Some(String::from_utf8(line).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Unreadable {
            failure: Failure::Usage(format!("byte {} of the line is not UTF-8", at + 1)),
            text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<ReadLine> {
        let mut stream = bytes;
        std::iter::from_fn(|| read_line(&mut stream).expect("memory does not fail")).collect()
    }

    #[test]
    fn lines_end_in_lf_or_crlf_or_with_the_stream() {
        let read: Vec<_> = lines(b"a\nb\r\n\nc").into_iter().flatten().collect();
        assert_eq!(read, ["a", "b", "", "c"]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_an_error_of_their_line_alone() {
        let read = lines(b"a\nb\xff\nc\n");
        let wrong = read[1].as_ref().expect_err("not UTF-8");
        assert_eq!(wrong.failure.to_string(), "byte 2 of the line is not UTF-8");
        assert_eq!(read[2].as_deref().expect("UTF-8"), "c");
    }
}
