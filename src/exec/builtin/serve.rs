//! `:serve` and `:unserve`.

use serde_json::json;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::render::{escape_line, span, table};
use crate::server::{self, Policy, Served};
use crate::transport::Address;

pub(super) const SERVE: Builtin = Builtin {
    name: "serve",
    forms: &[
        &[],
        &[Part::Address, Part::Flag("--policy", "read-only|FILE")],
    ],
    summary: "let others use this VM through ADDRESS, or list who does",
    help: "Any number of QMP clients can connect there, while QEMU itself serves one per monitor. A policy limits what\n\
           they may do: `read-only`, or a file (see the manual). Without arguments, lists addresses and clients; scripts\n\
           get the list as JSON.",
    run: |call| Box::pin(async move { serve(call) }),
};

pub(super) const UNSERVE: Builtin = Builtin {
    name: "unserve",
    forms: &[&[Part::Address]],
    summary: "no longer serve the VM at ADDRESS; its clients there are disconnected",
    help: "",
    run: |call| Box::pin(unserve(call)),
};

fn serve(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (address, policy) = match words[..] {
        [] => return Ok(list(call.context)),
        [address] => (address, None),
        [address, "--policy", policy] | ["--policy", policy, address] => (address, Some(policy)),
        _ => return Err(call.usage()),
    };
    let policy = policy.map(Policy::read).transpose();
    let policy = policy.map_err(Failure::Usage)?;
    let target = &call.context.target;
    let socket = server::bind(&address.parse()?, target.tls.as_ref())?;
    let notice = format!("serving this VM at {}", socket.address());
    target.share.serve(socket, policy);
    Ok(Output::notice(escape_line(&notice)).into())
}

async fn unserve(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let [address] = &args[..] else {
        return Err(call.usage());
    };
    let served: Address = address.parse()?;
    if call.context.target.share.stop(Some(&served)).await {
        return Ok(Output::nothing().into());
    }
    Err(Failure::Usage(format!(
        "the VM is not served at {address}; `:serve` lists where it is"
    )))
}

fn list(context: &Context) -> Effect {
    let servings = context.target.share.servings();
    let json = json(&servings);
    if servings.is_empty() {
        let none = "the VM is served nowhere; `:serve ADDRESS` serves it\n";
        return Output::list(none, &json).into();
    }
    let heading = [
        "ADDRESS", "POLICY", "CLIENT", "PID", "PROGRAM", "FOR", "COMMANDS",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for served in &servings {
        let address = served.address.to_string();
        let policy = served.policy.clone().unwrap_or_else(|| "-".to_owned());
        if served.clients.is_empty() {
            let mut row = vec![address.clone(), policy.clone(), "none".to_owned()];
            row.resize(heading.len(), String::new());
            rows.push(row);
        }
        for who in &served.clients {
            rows.push(vec![
                address.clone(),
                policy.clone(),
                who.number.to_string(),
                who.pid.map_or(String::new(), |pid| pid.to_string()),
                who.program.clone().unwrap_or_default(),
                span(who.since.elapsed().as_secs_f64().floor()),
                who.commands().to_string(),
            ]);
        }
    }
    Output::list(table(&rows), &json).into()
}

fn json(servings: &[Served]) -> serde_json::Value {
    let servings = servings.iter().map(|served| {
        let clients = served.clients.iter().map(|who| {
            json!({
                "client": who.number,
                "pid": who.pid,
                "program": who.program,
                "seconds": who.since.elapsed().as_secs(),
                "commands": who.commands(),
            })
        });
        json!({
            "address": served.address.to_string(),
            "policy": served.policy,
            "clients": clients.collect::<Vec<_>>(),
        })
    });
    servings.collect()
}
