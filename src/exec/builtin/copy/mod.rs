//! `:get` and `:put`: copy a file from or to the other end, a guest agent or a guest's memory.

mod guest;
mod handle;
mod local;
mod memory;
mod progress;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::Output;
use crate::failure::Failure;
use crate::lang::Dialect;
use crate::render::clip;

pub(super) const GET: Builtin = Builtin {
    name: "get",
    forms: &[
        &[Part::Name("GUESTPATH"), Part::File],
        &[Part::Name("ADDR"), Part::Name("SIZE"), Part::File],
    ],
    summary: "copy a file (guest agent) or memory (qtest) out of the guest",
    help: "FILE appears once it is whole. ADDR and SIZE are those of guest memory, in bytes.",
    run: |call| Box::pin(get(call)),
};

pub(super) const PUT: Builtin = Builtin {
    name: "put",
    forms: &[
        &[Part::File, Part::Name("GUESTPATH")],
        &[Part::File, Part::Name("ADDR")],
    ],
    summary: "copy a file into the guest (guest agent) or its memory (qtest)",
    help: "If the copy is cut off, what there is of it in the guest is removed, if the guest has `rm`.",
    run: |call| Box::pin(put(call)),
};

async fn get(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = call.args()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (total, to) = match (call.context.target.dialect, &words[..]) {
        (Dialect::Qtest, [address, size, to]) => {
            (memory::get(call.context, address, size, to).await?, to)
        }
        (Dialect::Qga, [from, to]) => (guest::get(call.context, from, to).await?, to),
        (dialect, _) => return Err(misfit(call, dialect)),
    };
    Ok(done(total, to))
}

async fn put(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = call.args()?;
    let [from, to] = &words[..] else {
        return Err(call.usage());
    };
    let total = match call.context.target.dialect {
        Dialect::Qtest => memory::put(call.context, from, to).await?,
        Dialect::Qga => guest::put(call.context, from, to).await?,
        dialect => return Err(misfit(call, dialect)),
    };
    Ok(done(total, to))
}

/// The failure for words that are none of this dialect's.
fn misfit(call: &Call<'_>, dialect: Dialect) -> Failure {
    match dialect {
        Dialect::Qga | Dialect::Qtest => call.usage(),
        Dialect::Qmp | Dialect::Hmp => {
            Failure::Usage("this needs a guest agent (-N) or qtest (--dialect qtest)".to_owned())
        }
    }
}

fn done(total: u64, to: &str) -> Effect {
    Output::notice(format!("{total} bytes copied to {}", clip(to))).into()
}
