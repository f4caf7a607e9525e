//! `:undo`, `:quit` and `:exit`.

use super::entry::Builtin;
use crate::context::Output;
use crate::failure::Failure;

pub(super) const QUIT: Builtin = Builtin {
    name: "quit",
    forms: &[&[]],
    summary: "leave qmpsh; the VM keeps running",
    help: "`quit` without the colon is a QMP command and ends the VM.",
    run: |_| Box::pin(async { Ok(Output::Quit.into()) }),
};

pub(super) const EXIT: Builtin = Builtin {
    name: "exit",
    forms: &[&[]],
    summary: "the same as :quit; the colon may be left out",
    help: "",
    run: |_| Box::pin(async { Ok(Output::Quit.into()) }),
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
