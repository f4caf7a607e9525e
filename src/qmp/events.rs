use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::{Event, Reply};

/// How many events the history keeps, and how many bytes of them.
pub const HISTORY: usize = 10_000;
const HISTORY_BYTES: usize = 16 << 20;

/// Which events a listener wants.
#[derive(Default)]
pub struct Filter {
    /// Names; none means all.
    pub names: Vec<String>,
    /// A further condition.
    pub matches: Option<Condition>,
}

/// Whether a listener wants an event.
pub type Condition = Box<dyn Fn(&Event) -> bool + Send>;

impl Filter {
    fn takes(&self, event: &Event) -> bool {
        (self.names.is_empty() || self.names.iter().any(|name| **name == *event.name))
            && self.matches.as_ref().is_none_or(|matches| matches(event))
    }
}

/// A queue of one's own with the events of a filter, in order. Dropping it ends the listening.
#[derive(Debug)]
pub struct Listener {
    queue: mpsc::UnboundedReceiver<Arc<Event>>,
    /// An event that was looked at, and is still to be taken.
    next: Option<Arc<Event>>,
    depth: Arc<AtomicUsize>,
    missed: Arc<AtomicU64>,
}

impl Listener {
    /// The next event, or nothing once the connection has ended and the queue is empty.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        match self.next.take() {
            Some(event) => Some(event),
            None => {
                let event = self.queue.recv().await;
                self.taken(event)
            }
        }
    }

    /// The next event if it is there already.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        match self.next.take() {
            Some(event) => Some(event),
            None => {
                let event = self.queue.try_recv().ok();
                self.taken(event)
            }
        }
    }

    /// The next event if it came before `reply`.
    pub fn next_before(&mut self, reply: &Reply) -> Option<Arc<Event>> {
        let event = self.try_next()?;
        if event.number < reply.number {
            return Some(event);
        }
        self.next = Some(event);
        None
    }

    fn taken(&self, event: Option<Arc<Event>>) -> Option<Arc<Event>> {
        if event.is_some() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
        event
    }

    /// How many events found the queue full since this was last asked.
    pub fn missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }
}

/// Everybody who listens, and the history.
#[derive(Default)]
pub(super) struct Events {
    listeners: Vec<Registered>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
}

struct Registered {
    filter: Filter,
    queue: mpsc::UnboundedSender<Arc<Event>>,
    capacity: usize,
    depth: Arc<AtomicUsize>,
    missed: Arc<AtomicU64>,
}

impl Events {
    /// Adds a listener whose queue holds `capacity` events; what comes beyond that is counted.
    pub fn listen(&mut self, filter: Filter, capacity: usize) -> Listener {
        let (sender, queue) = mpsc::unbounded_channel();
        let listener = Listener {
            queue,
            next: None,
            depth: Arc::default(),
            missed: Arc::default(),
        };
        self.listeners.push(Registered {
            filter,
            queue: sender,
            capacity,
            depth: listener.depth.clone(),
            missed: listener.missed.clone(),
        });
        listener
    }

    /// Hands an event to every listener that wants it. Never waits.
    pub fn publish(&mut self, event: Event) {
        let event = Arc::new(event);
        self.listeners.retain(|to| {
            if to.queue.is_closed() {
                return false;
            }
            if to.filter.takes(&event) {
                if to.depth.load(Ordering::Relaxed) < to.capacity {
                    to.depth.fetch_add(1, Ordering::Relaxed);
                    return to.queue.send(event.clone()).is_ok();
                }
                to.missed.fetch_add(1, Ordering::Relaxed);
            }
            true
        });
        self.history_bytes += event.text.len();
        self.history.push_back(event);
        while self.history.len() > HISTORY || self.history_bytes > HISTORY_BYTES {
            let oldest = self.history.pop_front();
            self.history_bytes -= oldest.map_or(0, |event| event.text.len());
        }
    }

    /// Ends every listener once it has emptied its queue.
    pub fn end(&mut self) {
        self.listeners.clear();
    }

    /// The last events, oldest first: [`HISTORY`] of them, fewer if they are large.
    pub fn history(&self) -> Vec<Arc<Event>> {
        self.history.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event {
            text: "".into(),
            name: name.into(),
            data: data.into(),
            timestamp: (0, 0),
            number: 0,
        }
    }

    #[test]
    fn each_listener_has_its_own_copy_of_what_its_filter_takes() {
        let mut events = Events::default();
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
                matches: Some(Box::new(|event| event.data.contains("x"))),
            },
            usize::MAX,
        );
        events.publish(event("STOP", "{}"));
        events.publish(event("RESUME", "x"));
        let names = |listener: &mut Listener| {
            std::iter::from_fn(|| listener.try_next())
                .map(|event| event.name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&mut all), ["STOP", "RESUME"]);
        assert_eq!(names(&mut stops), ["STOP"]);
        assert_eq!(names(&mut with_data), ["RESUME"]);
    }

    #[test]
    fn what_does_not_fit_into_a_queue_is_counted() {
        let mut events = Events::default();
        let mut listener = events.listen(Filter::default(), 2);
        for _ in 0..5 {
            events.publish(event("A", "{}"));
        }
        assert_eq!(listener.missed(), 3);
        assert_eq!(listener.missed(), 0);
        assert!(listener.try_next().is_some());
        events.publish(event("A", "{}"));
        assert_eq!(listener.missed(), 0);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut events = Events::default();
        for number in 0..HISTORY + 5 {
            events.publish(event(&number.to_string(), "{}"));
        }
        let history = events.history();
        assert_eq!((history.len(), &*history[0].name), (HISTORY, "5"));
    }
}
