//! How a connection begins: the server greets, and capabilities are negotiated (`docs/interop/qmp-spec`).

use serde_json::Value;

use super::connection::{Receiver, Sender};
use super::error::{Error, Lost};
use super::message::{Event, Greeting, Incoming};
use crate::transport::Endpoint;

/// Takes the greeting of a server that we have just connected to.
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

/// Negotiates capabilities: `oob`, or none. Returns the events that came meanwhile.
///
/// # Errors
///
/// The server refused, or the connection ended.
pub(super) async fn negotiate(
    receiver: &mut Receiver,
    sender: &mut Sender,
    endpoint: &Endpoint,
    oob: bool,
) -> Result<Vec<Event>, Error> {
    let enable = if oob {
        r#","arguments":{"enable":["oob"]}"#
    } else {
        ""
    };
    sender.push(&format!("{{\"execute\":\"qmp_capabilities\"{enable}}}"));
    // If the server has gone, reading tells why.
    let _ = sender.flush(&[]).await;
    let mut events = Vec::new();
    loop {
        match receiver.receive().await {
            // Ours has no id; some servers say null for that. Any other id answers a client that was connected before us.
            Ok(Incoming::Reply(reply, None | Some(Value::Null))) => {
                return match reply.value() {
                    Ok(_) => Ok(events),
                    Err(error) => Err(Error::Negotiation {
                        endpoint: endpoint.clone(),
                        error,
                    }),
                };
            }
            Ok(Incoming::Reply(_, Some(_)) | Incoming::Greeting(_)) => {}
            Ok(Incoming::Event(event)) => events.push(event),
            Err(lost) => return Err(not_qmp(endpoint, lost)),
        }
    }
}

fn not_qmp(endpoint: &Endpoint, lost: Lost) -> Error {
    Error::NotQmp {
        endpoint: endpoint.clone(),
        lost,
    }
}
