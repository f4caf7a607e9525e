//! The queue of messages to one client, and the end of its connection.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::transport::Writer;

/// The most bytes queued for a client. One that does not read is disconnected.
const MOST: usize = 16 << 20;

/// A client's next command waits while more bytes than this are queued for it.
const ENOUGH: usize = 1 << 20;

/// The most bytes written at once.
const PIECE: usize = 64 << 10;

/// How long a client may read nothing while something is being written to it.
const STUCK: Duration = Duration::from_secs(60);

/// The messages for one client, in order. Adding one never blocks.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// There is something to send, or the connection is to end.
    news: Notify,
    /// The queue has become shorter.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// How many bytes are in the queue, and being written.
    bytes: usize,
    /// How many commands have no reply yet.
    owed: usize,
    /// The client was greeted.
    greeted: bool,
    /// The client has negotiated, and gets events.
    negotiated: bool,
    /// The connection ends once the queue is sent.
    last: bool,
    /// No further command will come: the connection ends once all are answered.
    all_asked: bool,
    /// Why the connection ends at once.
    cut: Option<String>,
}

impl Outbox {
    /// Adds the parts of one message.
    pub fn push(&self, parts: impl IntoIterator<Item = Bytes>) {
        self.state.lock().push(parts);
        self.news.notify_one();
    }

    /// Adds the parts of a reply to a command that was [`owed`](Self::owe).
    pub fn reply(&self, parts: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state.lock();
        state.push(parts);
        state.owed -= 1;
        drop(state);
        self.news.notify_one();
    }

    /// Adds an event, if the client has negotiated. Disconnects a client that does not read.
    pub fn event(&self, event: &Bytes) {
        let mut state = self.state.lock();
        if !state.negotiated {
            return;
        }
        if state.bytes + event.len() > MOST {
            drop(state);
            self.cut(format!("it does not read: {} MiB wait for it", MOST >> 20));
            return;
        }
        state.push([event.clone()]);
        drop(state);
        self.news.notify_one();
    }

    /// Adds the greeting.
    pub fn greet(&self, greeting: Bytes) {
        let mut state = self.state.lock();
        state.push([greeting]);
        state.greeted = true;
        drop(state);
        self.news.notify_one();
    }

    /// Ends the connection of a client that was greeted, once the queue is sent.
    pub fn finish_greeted(&self) {
        if self.state.lock().greeted {
            self.finish();
        }
    }

    /// Whether more can be sent.
    pub fn is_open(&self) -> bool {
        let state = self.state.lock();
        !state.last && state.cut.is_none()
    }

    /// The client gets events from now on.
    pub fn negotiated(&self) {
        self.state.lock().negotiated = true;
    }

    /// Counts a command that needs a reply.
    pub fn owe(&self) {
        self.state.lock().owed += 1;
    }

    /// Ends the connection once the queue is sent.
    pub fn finish(&self) {
        self.state.lock().last = true;
        self.news.notify_one();
    }

    /// Ends the connection once all commands are answered. No further one will come.
    pub fn finish_when_answered(&self) {
        self.state.lock().all_asked = true;
        self.news.notify_one();
    }

    /// Ends the connection at once. The first reason given is kept.
    pub fn cut(&self, why: String) {
        let mut state = self.state.lock();
        state.cut.get_or_insert(why);
        state.queue = VecDeque::new();
        drop(state);
        self.news.notify_one();
        self.room.notify_waiters();
    }

    /// Waits until the queue is short enough for another command.
    pub async fn room(&self) {
        loop {
            let room = self.room.notified();
            if self.state.lock().bytes <= ENOUGH {
                return;
            }
            room.await;
        }
    }

    /// Writes messages until the connection is to end. Returns the reason if we end it.
    pub async fn write_to(&self, writer: &mut Writer) -> Option<String> {
        let mut cut = std::pin::pin!(self.cut_off());
        tokio::select! {
            biased;
            why = &mut cut => Some(why),
            result = self.write_all(writer) => result.err().flatten(),
        }
    }

    async fn cut_off(&self) -> String {
        loop {
            let news = self.room.notified();
            if let Some(why) = &self.state.lock().cut {
                return why.clone();
            }
            news.await;
        }
    }

    /// The error is `None` if the client has gone.
    async fn write_all(&self, writer: &mut Writer) -> Result<(), Option<String>> {
        let mut small = BytesMut::new();
        loop {
            let (queue, end) = {
                let mut state = self.state.lock();
                let end = state.last || state.all_asked && state.owed == 0;
                (mem::take(&mut state.queue), end)
            };
            if queue.is_empty() {
                if end {
                    return Ok(());
                }
                self.news.notified().await;
                continue;
            }
            for part in queue {
                if small.len() + part.len() > PIECE {
                    self.write(writer, &small).await?;
                    small.clear();
                }
                if part.len() > PIECE {
                    self.write(writer, &part).await?;
                } else {
                    small.extend_from_slice(&part);
                }
            }
            self.write(writer, &small).await?;
            small.clear();
        }
    }

    async fn write(&self, writer: &mut Writer, bytes: &[u8]) -> Result<(), Option<String>> {
        for piece in bytes.chunks(PIECE) {
            match timeout(STUCK, writer.write(piece, &[])).await {
                Ok(Ok(())) => self.wrote(piece.len()),
                Ok(Err(error)) if is_gone(&error) => return Err(None),
                Ok(Err(error)) => return Err(Some(error.to_string())),
                Err(_) => {
                    let limit = STUCK.as_secs();
                    return Err(Some(format!("it has read nothing for {limit} s")));
                }
            }
        }
        Ok(())
    }

    fn wrote(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        let room = state.bytes <= ENOUGH;
        drop(state);
        if room {
            self.room.notify_waiters();
        }
    }
}

impl State {
    fn push(&mut self, parts: impl IntoIterator<Item = Bytes>) {
        if self.cut.is_some() || self.last {
            return;
        }
        for part in parts {
            self.bytes += part.len();
            self.queue.push_back(part);
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off_at_the_limit() {
        let outbox = Outbox::default();
        outbox.negotiated();
        let event = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..MOST >> 20 {
            outbox.event(&event);
            assert!(outbox.state.lock().cut.is_none());
        }
        outbox.event(&event);
        assert!(outbox.cut_off().await.contains("does not read"));
        assert!(outbox.state.lock().queue.is_empty());
    }

    #[test]
    fn events_are_for_clients_that_have_negotiated() {
        let outbox = Outbox::default();
        outbox.event(&Bytes::from("{}"));
        assert!(outbox.state.lock().queue.is_empty());
    }
}
