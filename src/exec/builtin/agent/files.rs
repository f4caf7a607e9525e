use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use tempfile::NamedTempFile;

use super::Agent;
use super::handle::Handle;
use crate::context::{Context, Output};
use crate::exec::builtin::entry::{Builtin, Call, Effect, Part};
use crate::failure::Failure;

/// How many bytes of a file travel in one message.
const PIECE: usize = 1 << 20;

/// How many messages are on their way at once.
const IN_FLIGHT: usize = 2;

pub(in crate::exec::builtin) const GET: Builtin = Builtin {
    name: "get",
    forms: &[&[Part::Name("GUESTPATH"), Part::File]],
    summary: "copy a file out of the guest (guest agent)",
    help: "FILE appears once it is whole.",
    run: |call| Box::pin(get(call)),
};

pub(in crate::exec::builtin) const PUT: Builtin = Builtin {
    name: "put",
    forms: &[&[Part::File, Part::Name("GUESTPATH")]],
    summary: "copy a file into the guest (guest agent)",
    help: "If the copy is cut off, what there is of it in the guest is removed, if the guest has `rm`.",
    run: |call| Box::pin(put(call)),
};

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

async fn get(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = call.args()?;
    let [from, to] = &words[..] else {
        return Err(call.usage());
    };
    let agent = Agent::of(call.context)?;
    let to = Path::new(to);
    let cannot =
        |error: io::Error| Failure::Local(format!("cannot write {}: {error}", to.display()));
    let directory = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Removed when it is dropped.
    let mut file = NamedTempFile::new_in(directory).map_err(cannot)?;
    let handle = Handle::open(&agent, from, "r").await?;
    let ask = || {
        let arguments = json!({"handle": handle.number, "count": PIECE});
        agent.send("guest-file-read", &arguments)
    };
    let progress = Progress::new(call.context, from);
    let mut pending = VecDeque::new();
    let mut total = 0;
    loop {
        while pending.len() < IN_FLIGHT {
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
        file.write_all(&bytes).map_err(cannot)?;
        total += bytes.len() as u64;
        progress.show(total, None);
        if piece.eof {
            break;
        }
    }
    handle.close(&agent).await?;
    file.persist(to).map_err(|error| cannot(error.error))?;
    Ok(done(total, &to.display().to_string()))
}

async fn put(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = call.args()?;
    let [from, to] = &words[..] else {
        return Err(call.usage());
    };
    let agent = Agent::of(call.context)?;
    let cannot = |error: io::Error| Failure::Local(format!("cannot read {from}: {error}"));
    let mut file = File::open(from).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    let handle = Handle::open(&agent, to, "w").await?;
    let progress = Progress::new(call.context, to);
    let mut pending = VecDeque::new();
    let mut piece = vec![0; PIECE];
    let (mut total, mut at_end) = (0, false);
    loop {
        while !at_end && pending.len() < IN_FLIGHT {
            let length = read_full(&mut file, &mut piece).map_err(cannot)?;
            at_end = length < piece.len();
            if length > 0 {
                let data = STANDARD.encode(&piece[..length]);
                let arguments = json!({"handle": handle.number, "buf-b64": data});
                pending.push_back((length, agent.send("guest-file-write", &arguments)?));
            }
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
    Ok(done(total, to))
}

/// Fills `buffer` as far as the file goes.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn done(total: u64, to: &str) -> Effect {
    Output::notice(format!(
        "{total} bytes copied to {}",
        crate::render::clip(to)
    ))
    .into()
}

/// The progress of a copy, on a terminal if there is one. Dropping it removes it from the screen.
struct Progress<'a> {
    context: &'a Context,
    name: &'a str,
}

impl<'a> Progress<'a> {
    fn new(context: &'a Context, name: &'a str) -> Self {
        Self { context, name }
    }

    fn show(&self, total: u64, of: Option<u64>) {
        let Some(show) = &self.context.progress else {
            return;
        };
        let percent = of.filter(|of| *of > 0).map(|of| total * 100 / of);
        let percent = percent.map_or(String::new(), |percent| format!(", {percent}%"));
        show(&format!("{}: {} MiB{percent}", self.name, total >> 20));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(show) = &self.context.progress {
            show("");
        }
    }
}
