//! The start of a connection: the server greets, and we negotiate capabilities
//! (`docs/interop/qmp-spec`).

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{Receiver, Sender};
use super::error::{Error, Lost};
use super::frame::garbage;
use super::message::{Event, Greeting, Incoming};
use super::request::with_id;
use super::wire::{Opening, Wire};
use crate::transport::Endpoint;

/// Receives the greeting of a server that we have just connected to.
///
/// # Errors
///
/// [`Error::NotQmp`].
pub(super) async fn greeting(
    receiver: &mut Receiver,
    endpoint: &Endpoint,
    wire: &dyn Wire,
) -> Result<Greeting, Error> {
    let lost = match receiver.receive().await {
        Ok(Incoming::Greeting(greeting)) => return Ok(greeting),
        Ok(Incoming::Reply(..) | Incoming::Event(_)) => Lost::NoGreeting,
        Err(lost) => lost,
    };
    // What QEMU has not sent yet when a client disconnects, even the rest of a message, it sends to the next client
    // before the greeting.
    let may_be_rest = match &lost {
        Lost::NoGreeting => true,
        Lost::Garbage { hint, .. } => hint.is_empty(),
        _ => false,
    };
    if may_be_rest
        && wire.opening() == Opening::Negotiation
        && let Ok(Ok(Incoming::Greeting(greeting))) =
            timeout(AFTER_REST, receiver.receive_greeting()).await
    {
        return Ok(greeting);
    }
    Err(not_qmp(endpoint, wire, lost))
}

/// How long to wait for a greeting behind the rest of something else.
const AFTER_REST: Duration = Duration::from_secs(1);

/// What came of negotiating capabilities.
pub(super) struct Negotiated {
    /// The events received meanwhile.
    pub events: Vec<Event>,
    /// The server did not answer with the id that it was given.
    pub needs_ids: bool,
}

/// The id of our `qmp_capabilities`. QEMU sends the reply to a command of a client that has disconnected to the next
/// client, and the id keeps us from taking it for ours. There is at most one such reply, and it comes before ours,
/// because QEMU runs one command after the other. From then on, the order tells replies apart.
pub(super) const ID: i64 = 0;

/// How long to wait for the reply with our id after an error without one.
const OWN_REPLY: Duration = Duration::from_secs(1);

/// Negotiates capabilities: `oob` or none.
///
/// # Errors
///
/// The server refused, or the connection ended.
pub(super) async fn negotiate(
    receiver: &mut Receiver,
    sender: &mut Sender,
    endpoint: &Endpoint,
    oob: bool,
) -> Result<Negotiated, Error> {
    let enable = if oob {
        r#","arguments":{"enable":["oob"]}"#
    } else {
        ""
    };
    let request = format!("{{\"execute\":\"qmp_capabilities\"{enable}}}");
    sender.push(&with_id(&request, ID));
    // If the server has closed the connection, reading finds out why.
    let _ = sender.flush(&[]).await;
    let mut events = Vec::new();
    let mut refusal = None;
    loop {
        let received = match &refusal {
            None => receiver.receive().await,
            Some(_) => match timeout(OWN_REPLY, receiver.receive()).await {
                Ok(received) => received,
                Err(_) => Err(Lost::NoGreeting),
            },
        };
        let refused = |error| Error::Negotiation {
            endpoint: endpoint.clone(),
            error,
        };
        match (received, refusal.take()) {
            (Ok(Incoming::Reply(reply, Some(id))), _) if id == ID => {
                return match reply.value() {
                    Ok(_) => Ok(Negotiated {
                        events,
                        needs_ids: false,
                    }),
                    Err(error) => Err(refused(error)),
                };
            }
            // Not every server returns the id. Or this is a late reply to a client before us, but then, too, the
            // server is ready for commands.
            (Ok(Incoming::Reply(reply, None | Some(Value::Null))), _) => match reply.value() {
                Ok(_) => {
                    return Ok(Negotiated {
                        events,
                        needs_ids: true,
                    });
                }
                Err(error) => refusal = Some(error),
            },
            (Err(_), Some(error)) => return Err(refused(error)),
            (Err(lost), None) => return Err(not_qmp(endpoint, <&dyn Wire>::default(), lost)),
            (Ok(Incoming::Event(event)), pending) => {
                events.push(event);
                refusal = pending;
            }
            (Ok(Incoming::Reply(..) | Incoming::Greeting(_)), pending) => refusal = pending,
        }
    }
}

/// How long to listen, before the first message of ours, for what the other end says by itself. Whoever greets does so at
/// once.
const FIRST_WORDS: Duration = Duration::from_millis(50);

/// How long the answer to the first of our numbers may take before we send the next. It doubles with each.
const NEXT_NUMBER: Duration = Duration::from_secs(2);

/// The longest time between two numbers.
const LONGEST_PATIENCE: Duration = Duration::from_secs(8);

/// The byte before the answer to `guest-sync-delimited`. It is in no text.
const SENTINEL: u8 = 0xff;

/// Listens for a moment to a server that should say nothing by itself.
///
/// # Errors
///
/// [`Error::NotQmp`]: it speaks something else.
async fn listen_first(
    receiver: &mut Receiver,
    endpoint: &Endpoint,
    wire: &dyn Wire,
) -> Result<(), Error> {
    match timeout(FIRST_WORDS, receiver.first_words()).await {
        Err(_) => Ok(()),
        Ok(said) => {
            let known = said.and_then(|said| speaks_else(said, wire));
            known.map_err(|lost| not_qmp(endpoint, wire, lost))
        }
    }
}

/// Skips what an earlier client left on a guest agent's channel, until the agent answers to a number of ours. Returns
/// whether its replies bear the ids of commands.
///
/// # Errors
///
/// The connection ended, or the other end is no guest agent.
pub(super) async fn synchronize(
    receiver: &mut Receiver,
    sender: &mut Sender,
    endpoint: &Endpoint,
    wire: &dyn Wire,
) -> Result<bool, Error> {
    listen_first(receiver, endpoint, wire).await?;
    let look = |said: &[u8]| speaks_else(said, wire);
    let mut numbers = Vec::new();
    let mut patience = NEXT_NUMBER;
    loop {
        let number = fastrand::u32(1..);
        numbers.push(u64::from(number));
        let arguments = format!("\"arguments\":{{\"id\":{number}}}");
        let request = format!("{{\"execute\":\"guest-sync-delimited\",{arguments}}}");
        sender.push(&with_id(&request, ID));
        // If the other end has closed the connection, reading finds out why.
        let _ = sender.flush(&[]).await;
        let mut due = Instant::now() + patience;
        // It may start only now, or lose our message.
        while let Ok(reply) = timeout_at(due, receiver.receive_after(SENTINEL, look)).await {
            let reply = reply.map_err(|lost| not_qmp(endpoint, wire, lost))?;
            if let Incoming::Reply(reply, id) = reply
                && let Ok(Ok(answer)) = reply.value().map(str::parse)
            {
                if answer == u64::from(number) {
                    return Ok(id.is_some_and(|id| id == ID));
                }
                // Those to the numbers after it will follow.
                if numbers.contains(&answer) {
                    due = Instant::now() + patience;
                }
            }
        }
        // A slow one must catch up with our numbers.
        patience = (patience * 2).min(LONGEST_PATIENCE);
    }
}

/// Asks a server that says nothing by itself whether it is there. Returns the events that came meanwhile.
///
/// # Errors
///
/// The connection ended, or the other end speaks something else.
pub(super) async fn ask_first(
    receiver: &mut Receiver,
    sender: &mut Sender,
    endpoint: &Endpoint,
    wire: &dyn Wire,
    question: &str,
) -> Result<Vec<Event>, Error> {
    listen_first(receiver, endpoint, wire).await?;
    sender.push(question);
    // If the other end has closed the connection, reading finds out why.
    let _ = sender.flush(&[]).await;
    let mut events = Vec::new();
    loop {
        match receiver.receive().await {
            Ok(Incoming::Event(event)) => events.push(event),
            Ok(Incoming::Reply(..) | Incoming::Greeting(_)) => return Ok(events),
            Err(lost) => return Err(not_qmp(endpoint, wire, lost)),
        }
    }
}

/// Checks that what a server said is nothing that is known to be said by others.
fn speaks_else(said: &[u8], wire: &dyn Wire) -> Result<(), Lost> {
    match garbage(said) {
        lost @ Lost::Garbage { hint, .. } if !hint.is_empty() && !wire.may_say(said) => Err(lost),
        _ => Ok(()),
    }
}

fn not_qmp(endpoint: &Endpoint, wire: &dyn Wire, lost: Lost) -> Error {
    Error::NotQmp {
        what: wire.mismatch(),
        endpoint: endpoint.clone(),
        lost,
    }
}
