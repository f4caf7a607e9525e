//! `:undo`, `:fail`, `:quit` and `:exit`.

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::Output;
use crate::failure::Failure;

pub(super) const FAIL: Builtin = Builtin {
    name: "fail",
    forms: &[&[Part::Optional(&[Part::Text])]],
    summary: "fail with TEXT: a script ends there, with exit status 1",
    help: "",
    run: |call| {
        Box::pin(async move {
            let text = call.args()?.join(" ");
            Err(Failure::Failed(match text.is_empty() {
                true => "failed".to_owned(),
                false => text,
            }))
        })
    },
};

pub(super) const QUIT: Builtin = Builtin {
    name: "quit",
    forms: &[&[Part::Optional(&[Part::Name("STATUS")])]],
    summary: "leave qmpsh; the VM keeps running",
    help: "A script ends there, with exit status STATUS if one is given. `quit` without the colon is a QMP command and\n\
           ends the VM.",
    run: |call| Box::pin(async move { quit(call) }),
};

pub(super) const EXIT: Builtin = Builtin {
    name: "exit",
    forms: &[&[Part::Optional(&[Part::Name("STATUS")])]],
    summary: "the same as :quit; the colon may be left out",
    help: "",
    run: |call| Box::pin(async move { quit(call) }),
};

pub(super) const UNDO: Builtin = Builtin {
    name: "undo",
    forms: &[&[]],
    summary: "take back the last action of the transaction that is being typed",
    help: "",
    run: |_| {
        Box::pin(async {
            let why = "no transaction is being typed; `:undo` takes back its last action";
            Err(Failure::Usage(why.to_owned()))
        })
    },
};

fn quit(call: &Call<'_>) -> Result<Effect, Failure> {
    let status =
        match &call.args()?[..] {
            [] => None,
            [status] => Some(status.parse().map_err(|_| {
                Failure::Usage(format!("`{status}` is not an exit status: 0 to 255"))
            })?),
            _ => return Err(call.usage()),
        };
    Ok(Output::Quit(status).into())
}
