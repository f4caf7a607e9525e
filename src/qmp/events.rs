//! Events, and those who listen to them or wait for one.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::message::Event;

/// The most events that the history keeps.
pub const HISTORY: usize = 10_000;

/// The most bytes of events that the history keeps.
const HISTORY_BYTES: usize = 16 << 20;

/// Selects events.
#[derive(Default)]
pub struct Filter {
    /// The names of the events; an empty list means all of the server's, but not the session's own.
    pub names: Vec<String>,
    /// A further condition.
    pub matches: Option<Condition>,
}

/// Whether an event is wanted.
pub type Condition = Box<dyn Fn(&Event) -> bool + Send>;

/// What is called with each event.
pub type Relay = Arc<RelayFn>;

type RelayFn = dyn Fn(&Event) + Send + Sync;

impl Filter {
    /// Whether the filter selects an event.
    pub fn takes(&self, event: &Event) -> bool {
        let mut names = self.names.iter();
        (self.names.is_empty() && !event.is_of_session() || names.any(|name| name == event.name()))
            && self.matches.as_ref().is_none_or(|matches| matches(event))
    }
}

/// Receives the events that a filter selects, in order. Dropping it stops listening.
#[derive(Debug)]
pub struct Listener {
    queue: Arc<Queue>,
}

/// The queue between the hub and a listener.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Signalled when an event comes or the hub is dropped.
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Arc<Event>>,
    missed: u64,
    ended: bool,
}

impl Listener {
    /// Waits for the next event. Returns `None` once the hub is dropped and the queue is empty.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            {
                let mut waiting = self.queue.waiting.lock();
                if let Some(event) = waiting.events.pop_front() {
                    return Some(event);
                }
                if waiting.ended {
                    return None;
                }
            }
            self.queue.news.notified().await;
        }
    }

    /// Returns the next event if there is one in the queue.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        self.queue.waiting.lock().events.pop_front()
    }

    /// Returns the next event if there is one in the queue that came before the message numbered
    /// `message`.
    pub fn next_before(&mut self, message: u64) -> Option<Arc<Event>> {
        let mut waiting = self.queue.waiting.lock();
        if waiting.events.front()?.number < message {
            return waiting.events.pop_front();
        }
        None
    }

    /// How many events were dropped since the last call because the queue was full.
    pub fn missed(&self) -> u64 {
        mem::take(&mut self.queue.waiting.lock().missed)
    }
}

/// Hands a server's events to all listeners, and keeps a history. It serves all connections of a
/// session.
#[derive(Default)]
pub struct Hub {
    events: Mutex<Events>,
    /// How many messages have come. Each is numbered by the count before it.
    messages: AtomicU64,
}

impl Hub {
    /// Listens to the events that `filter` selects. The queue holds at most `capacity` events; when
    /// it is full, the oldest is dropped and counted.
    pub fn listen(&self, filter: Filter, capacity: usize) -> Listener {
        self.events.lock().listen(filter, capacity)
    }

    /// The same for events that no wait has taken, from those of the history on whose number is `since` or later. All of
    /// them fit into the queue.
    pub fn listen_since(&self, filter: Filter, since: u64) -> Listener {
        let mut events = self.events.lock();
        let there = events.history.iter();
        let there = there
            .filter(|event| event.number >= since && !event.is_taken() && filter.takes(event))
            .cloned()
            .collect();
        let listener = events.listen(filter, usize::MAX);
        listener.queue.waiting.lock().events = there;
        listener
    }

    /// Calls `relay` with each event of the server as soon as it is read, for as long as somebody holds it. It must not block, nor
    /// call this hub.
    pub fn relay(&self, relay: &Relay) {
        self.events.lock().relays.push(Arc::downgrade(relay));
    }

    /// Waits for one event that `filter` selects and no other wait has taken: the first in the
    /// history with number `since` or later, or else the next to come.
    pub fn wait(&self, filter: Filter, since: u64) -> Wait {
        let (waiter, event) = oneshot::channel();
        let mut events = self.events.lock();
        let mut there = events.history.iter();
        match there.find(|event| event.number >= since && filter.takes(event) && event.take()) {
            Some(event) => {
                let _ = waiter.send(event.clone());
            }
            None => events.waits.push((filter, waiter)),
        }
        Wait { event }
    }

    /// The server's events in the history, oldest first: at most [`HISTORY`], and fewer if they are large.
    pub fn history(&self) -> Vec<Arc<Event>> {
        let events = self.events.lock();
        let theirs = events.history.iter().filter(|event| !event.is_of_session());
        theirs.cloned().collect()
    }

    /// How many of the server's events were removed from the history to make room.
    pub fn evicted(&self) -> u64 {
        self.events.lock().evicted
    }

    /// Empties the history.
    pub fn clear(&self) {
        let mut events = self.events.lock();
        events.history.clear();
        (events.history_bytes, events.evicted) = (0, 0);
    }

    /// How many messages have come so far: the number of the next.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// The number of the next message.
    pub(super) fn next_number(&self) -> u64 {
        self.messages.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands an event of the session itself to the listeners.
    pub(super) fn publish_own(&self, name: &str, data: &serde_json::Value) {
        let mut event = Event::of_session(name, data);
        event.number = self.next_number();
        self.publish(event);
    }

    /// Hands an event to the listeners. Never blocks.
    pub(super) fn publish(&self, event: Event) {
        self.events.lock().publish(event);
    }

    /// Returns and forgets the reason in the last `SHUTDOWN`.
    pub(super) fn take_shutdown(&self) -> Option<String> {
        self.events.lock().shutdown.take()
    }
}

/// A wait for one event. Dropping it stops waiting.
#[derive(Debug)]
pub struct Wait {
    event: oneshot::Receiver<Arc<Event>>,
}

impl Future for Wait {
    type Output = Arc<Event>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.event).poll(context) {
            Poll::Ready(Ok(event)) => Poll::Ready(event),
            // The hub is gone, so no event will come.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

/// The part of a [`Hub`] under its lock.
#[derive(Default)]
struct Events {
    listeners: Vec<Registered>,
    relays: Vec<Weak<RelayFn>>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    /// How many events were removed from the history to make room.
    evicted: u64,
    /// The waits for one event, in the order in which they are served.
    waits: Vec<(Filter, oneshot::Sender<Arc<Event>>)>,
    /// The reason in the last `SHUTDOWN`.
    shutdown: Option<String>,
}

struct Registered {
    filter: Filter,
    queue: Weak<Queue>,
    capacity: usize,
}

impl Registered {
    /// Queues an event if the listener wants it. Returns false if the listener was dropped.
    fn take(&self, event: &Arc<Event>) -> bool {
        let Some(queue) = self.queue.upgrade() else {
            return false;
        };
        if self.filter.takes(event) {
            let mut waiting = queue.waiting.lock();
            if waiting.events.len() >= self.capacity {
                waiting.events.pop_front();
                waiting.missed += 1;
            }
            waiting.events.push_back(event.clone());
            drop(waiting);
            queue.news.notify_one();
        }
        true
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.upgrade() {
            queue.waiting.lock().ended = true;
            queue.news.notify_one();
        }
    }
}

impl Events {
    fn listen(&mut self, filter: Filter, capacity: usize) -> Listener {
        let queue = Arc::default();
        self.listeners.push(Registered {
            filter,
            queue: Arc::downgrade(&queue),
            capacity,
        });
        Listener { queue }
    }

    fn publish(&mut self, event: Event) {
        if event.name() == "SHUTDOWN" {
            self.shutdown = Some(shutdown_reason(&event));
        }
        let event = Arc::new(event);
        self.satisfy(&event);
        self.listeners.retain(|listener| listener.take(&event));
        self.relays.retain(|relay| {
            let relay = relay.upgrade();
            if let Some(relay) = relay.as_ref().filter(|_| !event.is_of_session()) {
                relay(&event);
            }
            relay.is_some()
        });
        self.history_bytes += event.text().len();
        self.history.push_back(event);
        while self.history.len() > HISTORY || self.history_bytes > HISTORY_BYTES {
            let Some(oldest) = self.history.pop_front() else {
                break;
            };
            self.evicted += u64::from(!oldest.is_of_session());
            self.history_bytes -= oldest.text().len();
        }
    }

    /// Gives an event to the first wait that wants it.
    fn satisfy(&mut self, event: &Arc<Event>) {
        if self.waits.is_empty() {
            return;
        }
        self.waits.retain(|(_, waiter)| !waiter.is_closed());
        let wanted = self
            .waits
            .iter()
            .position(|(filter, _)| filter.takes(event));
        if let Some(at) = wanted {
            let (_, waiter) = self.waits.remove(at);
            event.take();
            let _ = waiter.send(event.clone());
        }
    }
}

/// Why the VM shut down, as in QEMU's `ShutdownCause`. Servers before 4.0 only say whether the
/// guest asked for it.
fn shutdown_reason(event: &Event) -> String {
    #[derive(serde::Deserialize)]
    struct Shutdown {
        reason: Option<String>,
        guest: Option<bool>,
    }
    let data = serde_json::from_str(event.data()).unwrap_or(Shutdown {
        reason: None,
        guest: None,
    });
    match (data.reason, data.guest) {
        (Some(reason), _) => reason,
        (None, Some(true)) => "guest".to_owned(),
        (None, _) => "host".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event::example(name, data)
    }

    #[test]
    fn each_listener_gets_the_events_that_its_filter_selects() {
        let events = Hub::default();
        let mut all = events.listen(Filter::default(), usize::MAX);
        let mut stops = events.listen(
            Filter {
                names: vec!["STOP".into()],
                matches: None,
            },
            usize::MAX,
        );
        let mut with_data = events.listen(
            Filter {
                names: Vec::new(),
                matches: Some(Box::new(|event| event.data().contains("x"))),
            },
            usize::MAX,
        );
        events.publish(event("STOP", "{}"));
        events.publish(event("RESUME", r#"{"x": 1}"#));
        let names = |listener: &mut Listener| {
            std::iter::from_fn(|| listener.try_next())
                .map(|event| event.name().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&mut all), ["STOP", "RESUME"]);
        assert_eq!(names(&mut stops), ["STOP"]);
        assert_eq!(names(&mut with_data), ["RESUME"]);
    }

    #[test]
    fn a_full_queue_drops_the_oldest_events_and_counts_them() {
        let events = Hub::default();
        let mut listener = events.listen(Filter::default(), 2);
        for number in 0..5 {
            events.publish(event("A", &number.to_string()));
        }
        assert_eq!(listener.missed(), 3);
        assert_eq!(listener.missed(), 0);
        let mut next = || listener.try_next().map(|event| event.data().to_owned());
        assert_eq!(next().as_deref(), Some("3"));
        events.publish(event("A", "5"));
        assert_eq!(
            [next(), next(), next()],
            [Some("4".into()), Some("5".into()), None]
        );
        assert_eq!(listener.missed(), 0);
    }

    #[tokio::test]
    async fn a_listener_still_gets_queued_events_after_the_hub_is_dropped() {
        let events = Hub::default();
        let mut listener = events.listen(Filter::default(), 2);
        events.publish(event("A", "{}"));
        drop(events);
        assert!(listener.next().await.is_some());
        assert!(listener.next().await.is_none());
    }

    #[test]
    fn the_history_is_bounded() {
        let events = Hub::default();
        for number in 0..HISTORY + 5 {
            events.publish(event(&number.to_string(), "{}"));
        }
        let history = events.history();
        assert_eq!((history.len(), history[0].name()), (HISTORY, "5"));
    }

    #[tokio::test]
    async fn each_event_satisfies_one_wait_in_the_order_of_waiting() {
        let hub = Hub::default();
        hub.publish(event("A", "{}"));
        let a = || Filter {
            names: vec!["A".into()],
            matches: None,
        };
        let earlier = hub.wait(a(), 0).await;
        assert!(earlier.is_taken());
        let (first, second) = (hub.wait(a(), 0), hub.wait(a(), 0));
        hub.publish(event("A", "1"));
        hub.publish(event("A", "2"));
        let (first, second) = (first.await, second.await);
        assert_eq!((first.data(), second.data()), ("1", "2"));
    }

    #[tokio::test]
    async fn a_dropped_wait_takes_no_event() {
        let hub = Hub::default();
        drop(hub.wait(Filter::default(), 0));
        hub.publish(event("A", "{}"));
        assert!(!hub.history()[0].is_taken());
        assert_eq!(hub.wait(Filter::default(), 0).await.name(), "A");
    }
}
