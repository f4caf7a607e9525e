//! `:tree`: what contains what in the VM.
//!
//! The VM is asked nothing that changes it or makes it load code.

mod block;
mod order;
mod pci;
mod qom;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output};
use crate::exec::query::query;
use crate::failure::Failure;
use crate::qmp::QmpError;
use crate::render::{self, Tree};

pub(super) const TREE: Builtin = Builtin {
    name: "tree",
    forms: &[
        &[],
        &[Part::QomPath],
        &[Part::Word(&["block"])],
        &[Part::Word(&["pci"])],
    ],
    summary: "draw the tree of objects, block nodes or PCI devices",
    help: "PATH: the QOM objects below it; without it, all of them, with their types. Objects of the types memory-region and irq are\n\
           only counted, but for those of PATH itself.\n\
           block: the devices, exports and jobs with the block nodes that they use: driver, access, size, file, and\n\
           the node that holds the data. An arrow leads to a backing file.\n\
           pci: the PCI devices by address, with id, kind, and vendor:device.",
    run: |call| Box::pin(tree(call)),
};

async fn tree(call: &Call<'_>) -> Result<Effect, Failure> {
    let context = call.context;
    let words = call.args()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let trees = match words[..] {
        [] => vec![qom::tree(context, "/").await?],
        ["block"] => block::trees(context).await?,
        ["pci"] => pci::trees(context).await?,
        [path] if path.starts_with('/') => vec![qom::tree(context, path).await?],
        [word] => {
            return Err(Failure::Usage(format!(
                "`{word}` is neither `block` nor `pci` nor a QOM path, which begins with `/`"
            )));
        }
        _ => return Err(call.usage()),
    };
    let layout = context.settings().style.layout();
    Ok(Output::text(render::trees(&trees, layout)).into())
}

/// The value of the reply to a command that changes nothing.
///
/// # Errors
///
/// Those of [`query`]; or the value is not a `T`.
async fn ask<T: DeserializeOwned>(
    context: &Context,
    command: &str,
    arguments: Option<Value>,
) -> Result<T, Failure> {
    let json = query(context, command, arguments).await?;
    serde_json::from_str(&json).map_err(|error| {
        Failure::from(QmpError {
            class: command.to_owned(),
            desc: format!("cannot read its reply: {error}"),
        })
    })
}

/// A node whose name is a heading.
fn heading(name: impl Into<String>) -> Tree {
    Tree::new(name, [])
}
