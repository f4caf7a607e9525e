//! Guest memory, through qtest.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::local::Pieces;
use super::progress::Progress;
use crate::context::Context;
use crate::dialect::qtest;
use crate::exec::builtin::new_file::NewFile;
use crate::exec::query::in_time;
use crate::failure::Failure;
use crate::qmp::{Client, Pending, Request};

/// How many bytes travel in one line. QEMU reads a line a kilobyte at a time, and each time looks through all of it.
const PIECE: usize = 64 << 10;

/// How many lines are on their way at once.
const IN_FLIGHT: usize = 4;

/// Copies `size` bytes of memory from `address` on to a file. Returns how many there are.
///
/// # Errors
///
/// A number is none, the file cannot be written, or the connection was lost. Then there is no file.
pub(super) async fn get(
    context: &Context,
    address: &str,
    size: &str,
    to: &str,
) -> Result<u64, Failure> {
    let (start, size) = (number(address)?, number(size)?);
    let end = checked_end(start, size)?;
    let client = client(context)?;
    let mut file = NewFile::create(to)?;
    let progress = Progress::new(context, address);
    let mut pending = VecDeque::new();
    let (mut asked, mut total) = (start, 0);
    loop {
        while pending.len() < IN_FLIGHT && asked < end {
            let length = (end - asked).min(PIECE as u64);
            pending.push_back(send(&client, "b64read", &format!("{asked:#x} {length}"))?);
            asked += length;
        }
        let Some(reply) = pending.pop_front() else {
            break;
        };
        let reply = in_time(context, "b64read", reply).await?;
        let data: Option<String> = serde_json::from_str(reply.value()?).ok();
        let bytes = data.and_then(|data| STANDARD.decode(data).ok());
        let bytes = bytes.ok_or_else(|| {
            Failure::Failed("the server sent memory that is not base64".to_owned())
        })?;
        file.write(&bytes)?;
        total += bytes.len() as u64;
        progress.show(total, Some(size));
    }
    file.keep()?;
    Ok(total)
}

/// Copies a file to memory from `address` on. Returns how many bytes it has.
///
/// # Errors
///
/// The address is no number, the file cannot be read, or the connection was lost. What was written by then stays.
pub(super) async fn put(context: &Context, from: &str, address: &str) -> Result<u64, Failure> {
    let start = number(address)?;
    let mut file = Pieces::open(from, PIECE)?;
    let size = file.size;
    checked_end(start, size)?;
    let client = client(context)?;
    let progress = Progress::new(context, address);
    let mut pending = VecDeque::new();
    let (mut sent, mut total) = (0, 0);
    loop {
        while pending.len() < IN_FLIGHT
            && let Some(piece) = file.next()?
        {
            let length = piece.len() as u64;
            let at = start.wrapping_add(sent);
            let line = format!("{at:#x} {length} {}", STANDARD.encode(piece));
            pending.push_back((length, send(&client, "b64write", &line)?));
            sent += length;
        }
        let Some((length, reply)) = pending.pop_front() else {
            break;
        };
        in_time(context, "b64write", reply).await?.value()?;
        total += length;
        progress.show(total, Some(size));
    }
    Ok(total)
}

fn client(context: &Context) -> Result<Arc<Client>, Failure> {
    let session = &context.target.session;
    let client = session.client();
    client.ok_or_else(|| Failure::not_connected(&session.state()))
}

fn send(client: &Client, verb: &str, arguments: &str) -> Result<Pending, Failure> {
    Ok(client.send(Request {
        text: format!("{verb} {arguments}"),
        name: verb.to_owned(),
        ..Request::default()
    })?)
}

fn number(text: &str) -> Result<u64, Failure> {
    qtest::number(text)
        .ok_or_else(|| Failure::Usage(format!("`{text}` is not a number; write 4096 or 0x1000")))
}

fn checked_end(start: u64, size: u64) -> Result<u64, Failure> {
    let end = start.checked_add(size);
    end.ok_or_else(|| Failure::Usage("memory ends before that".to_owned()))
}
