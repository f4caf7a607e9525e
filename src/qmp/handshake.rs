//! The start of a connection: the server greets, and we negotiate capabilities
//! (`docs/interop/qmp-spec`).

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::connection::{Receiver, Sender};
use super::error::{Error, Lost};
use super::message::{Event, Greeting, Incoming};
use super::request::with_id;
use crate::transport::Endpoint;

/// Receives the greeting of a server that we have just connected to.
///
/// # Errors
///
/// [`Error::NotQmp`].
pub(super) async fn greeting(
    receiver: &mut Receiver,
    endpoint: &Endpoint,
) -> Result<Greeting, Error> {
    match receiver.receive().await {
        Ok(Incoming::Greeting(greeting)) => Ok(greeting),
        Ok(Incoming::Reply(..) | Incoming::Event(_)) => Err(not_qmp(endpoint, Lost::NoGreeting)),
        Err(lost) => Err(not_qmp(endpoint, lost)),
    }
}

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
            (Err(lost), None) => return Err(not_qmp(endpoint, lost)),
            (Ok(Incoming::Event(event)), pending) => {
                events.push(event);
                refusal = pending;
            }
            (Ok(Incoming::Reply(..) | Incoming::Greeting(_)), pending) => refusal = pending,
        }
    }
}

fn not_qmp(endpoint: &Endpoint, lost: Lost) -> Error {
    Error::NotQmp {
        endpoint: endpoint.clone(),
        lost,
    }
}
