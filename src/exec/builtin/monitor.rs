//! `:monitor`, and the monitors that `:status` names.

use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::qmp::{QmpError, Request};
use crate::render::escape_line;
use crate::schema::{Schema, Type};
use crate::transport::Address;

/// The QOM type of a QMP monitor.
const TYPE: &str = "monitor-qmp";

pub(super) const MONITOR: Builtin = Builtin {
    name: "monitor",
    forms: &[&[Part::Address]],
    summary: "add a monitor of QEMU's own at ADDRESS, the path of a Unix socket, for one client",
    help: "QEMU 11.1 can add monitors while it runs. This one is there until its client leaves, and needs no qmpsh in\n\
           between. With an older QEMU, use `:serve`.",
    run: |call| Box::pin(monitor(call)),
};

async fn monitor(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let [address] = &args[..] else {
        return Err(call.usage());
    };
    let Address::Unix(path) = address.parse()? else {
        let why =
            "QEMU would let everybody on the network control the VM; use the path of a Unix socket";
        return Err(Failure::Usage(why.to_owned()));
    };
    let context = call.context;
    if let Some(schema) = context.schema().await
        && !has_monitors(&schema)
    {
        let why = "this QEMU cannot add monitors (11.1 can); `:serve ADDRESS` serves it without";
        return Err(Failure::Local(why.to_owned()));
    }
    // QEMU has a working directory of its own.
    let path = std::path::absolute(&path).unwrap_or(path);
    let id = format!("qmpsh-{:08x}", fastrand::u32(..));
    let place = json!({"type": "unix", "data": {"path": path}});
    let socket = json!({"addr": place, "server": true, "wait": false});
    let backend = json!({"type": "socket", "data": socket});
    ask(
        context,
        "chardev-add",
        &json!({"id": id, "backend": backend}),
    )
    .await?;
    let object = json!({"qom-type": TYPE, "id": id, "chardev": id, "close-action": "delete"});
    if let Err(failure) = ask(context, "object-add", &object).await {
        let _ = ask(context, "chardev-remove", &json!({"id": id})).await;
        return Err(failure);
    }
    let notice = format!(
        "QEMU has a monitor at {} for one client, until that leaves",
        path.display()
    );
    Ok(Output::notice(escape_line(&notice)).into())
}

/// Whether `object-add` takes monitors.
fn has_monitors(schema: &Schema) -> bool {
    let object = |command: &str| schema.object(schema.command(command)?.arguments);
    let Some(arguments) = object("object-add") else {
        return false;
    };
    let mut members = arguments.members.iter();
    members.any(|member| match schema.get(member.of) {
        Type::Enum(values) => values.iter().any(|value| &*value.name == TYPE),
        _ => false,
    })
}

/// Sends a command and waits for its reply.
async fn ask(context: &Context, command: &str, arguments: &Value) -> Result<(), Failure> {
    let session = &context.target.session;
    let Some(client) = session.client() else {
        return Err(Failure::not_connected(&session.state()));
    };
    let request = Request {
        text: json!({"execute": command, "arguments": arguments}).to_string(),
        name: command.to_owned(),
        ..Request::default()
    };
    let reply = client.send(request)?.await?;
    reply.value().map(|_| ()).map_err(QmpError::into)
}

/// Where the monitors are that were added while QEMU runs.
pub(super) async fn added(context: &Context) -> Vec<String> {
    #[derive(Deserialize)]
    struct Child {
        name: String,
        r#type: String,
    }
    #[derive(Deserialize)]
    struct Chardev {
        label: String,
        filename: String,
    }
    let inspector = context.target.inspector();
    let children = inspector.ask::<Vec<Child>>("qom-list", json!({"path": "/objects"}));
    let children = children.await.unwrap_or_default().into_iter();
    let ours = children.filter(|child| {
        child.r#type == format!("child<{TYPE}>") && child.name.starts_with("qmpsh-")
    });
    let ours: Vec<String> = ours.map(|child| child.name).collect();
    if ours.is_empty() {
        return ours;
    }
    let chardevs = inspector.ask::<Vec<Chardev>>("query-chardev", json!({}));
    let chardevs = chardevs.await.unwrap_or_default().into_iter();
    let places = chardevs.filter(|chardev| ours.contains(&chardev.label));
    let places = places.map(|chardev| {
        let place = chardev.filename;
        let waits = place.strip_prefix("disconnected:").map(str::to_owned);
        let path = waits.as_deref().unwrap_or(&place);
        let path = path.trim_start_matches("unix:");
        let path = path.split_once(",server").map_or(path, |(path, _)| path);
        let state = if waits.is_some() { "free" } else { "in use" };
        format!("{path} ({state})")
    });
    places.collect()
}
