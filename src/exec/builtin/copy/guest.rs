//! Files in the guest, through its agent.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::super::agent::Agent;
use super::handle::Handle;
use super::local::Pieces;
use super::progress::Progress;
use crate::context::Context;
use crate::exec::builtin::new_file::NewFile;
use crate::failure::Failure;

/// How many bytes of a file travel in one message.
const PIECE: usize = 1 << 20;

/// How many messages are made ahead.
const AHEAD: usize = 2;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Piece {
    buf_b64: String,
    eof: bool,
}

#[derive(Deserialize)]
struct Written {
    count: usize,
}

/// Copies a file out of the guest. Returns how many bytes it has.
///
/// # Errors
///
/// The file cannot be read, the copy not written, or the connection was lost. Then there is no copy.
pub(super) async fn get(context: &Context, from: &str, to: &str) -> Result<u64, Failure> {
    let agent = Agent::of(context)?;
    let mut file = NewFile::create(to)?;
    let handle = Handle::open(&agent, from, "r").await?;
    let ask = || {
        let arguments = json!({"handle": handle.number, "count": PIECE});
        agent.send("guest-file-read", &arguments)
    };
    let progress = Progress::new(context, from);
    let mut pending = VecDeque::new();
    let mut total = 0;
    loop {
        while pending.len() < AHEAD {
            pending.push_back(ask()?);
        }
        let Some(reply) = pending.pop_front() else {
            break;
        };
        let piece: Piece = agent.answer("guest-file-read", reply).await?;
        let bytes = STANDARD.decode(piece.buf_b64).map_err(|error| {
            Failure::Failed(format!(
                "the agent sent a piece that is not base64: {error}"
            ))
        })?;
        file.write(&bytes)?;
        total += bytes.len() as u64;
        progress.show(total, None);
        if piece.eof {
            break;
        }
    }
    handle.close(&agent).await?;
    file.keep()?;
    Ok(total)
}

/// Copies a file into the guest. Returns how many bytes it has.
///
/// # Errors
///
/// The file cannot be read, the copy not written, or the connection was lost. Then the copy is removed, if that can be.
pub(super) async fn put(context: &Context, from: &str, to: &str) -> Result<u64, Failure> {
    let agent = Agent::of(context)?;
    let mut file = Pieces::open(from, PIECE)?;
    let size = file.size;
    let handle = Handle::open(&agent, to, "w").await?;
    let progress = Progress::new(context, to);
    let mut pending = VecDeque::new();
    let mut total = 0;
    loop {
        while pending.len() < AHEAD
            && let Some(piece) = file.next()?
        {
            let (number, data) = (handle.number, STANDARD.encode(piece));
            // Nothing in it has to be escaped.
            let arguments = format_args!(r#"{{"handle":{number},"buf-b64":"{data}"}}"#);
            pending.push_back((piece.len(), agent.send("guest-file-write", &arguments)?));
        }
        let Some((length, reply)) = pending.pop_front() else {
            break;
        };
        let Written { count } = agent.answer("guest-file-write", reply).await?;
        if count != length {
            return Err(Failure::Failed(format!(
                "the guest took only {count} of {length} bytes: its disk may be full"
            )));
        }
        total += length as u64;
        progress.show(total, Some(size));
    }
    handle.close(&agent).await?;
    Ok(total)
}
