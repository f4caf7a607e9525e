//! What commands set in motion.

use crate::lang::{Command, Line, Value};

/// What a command sets in motion that has an end of its own, besides the jobs that it creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The job of this id goes on, to its conclusion or to where it waits for a command.
    Job(String),
    /// The guest releases the device of this id or QOM path.
    Device(String),
    /// The export of this id ends.
    Export(String),
    /// The migration that it starts ends.
    Migration,
    /// The dump that goes on in the background ends.
    Dump,
    /// The guest shuts down.
    Powerdown,
    Reset,
    /// The VM runs, or does not.
    Running(bool),
    /// The guest opens the tray of the device of this id.
    Eject(String),
    /// The guest has this much memory, in bytes.
    Balloon(u64),
    /// QEMU ends.
    Quit,
}

impl End {
    /// `None` if the command has no such end. The words of `command` must have been typed.
    pub fn of(command: &Command) -> Option<Self> {
        let text = |key: &str| command.arguments.get(key)?.as_str().map(str::to_owned);
        match &*command.name {
            "job-complete" | "job-cancel" | "job-finalize" => text("id").map(Self::Job),
            "block-job-complete" | "block-job-cancel" => text("device").map(Self::Job),
            "block-job-finalize" => text("id").map(Self::Job),
            "device_del" => text("id").map(Self::Device),
            "block-export-del" => text("id").map(Self::Export),
            "migrate" => Some(Self::Migration),
            "dump-guest-memory" => {
                let detach = command.arguments.get("detach");
                matches!(detach, Some(Value::Bool(true))).then_some(Self::Dump)
            }
            "system_powerdown" => Some(Self::Powerdown),
            "system_reset" => Some(Self::Reset),
            "stop" => Some(Self::Running(false)),
            "cont" => Some(Self::Running(true)),
            "eject" | "blockdev-open-tray" => {
                text("id").or_else(|| text("device")).map(Self::Eject)
            }
            "balloon" => match command.arguments.get("value") {
                Some(Value::Number(bytes)) => bytes.parse().ok().map(Self::Balloon),
                _ => None,
            },
            "quit" => Some(Self::Quit),
            _ => None,
        }
    }
}

/// What has not happened yet while the command of `line` has not reached its end, for messages.
pub(super) fn not_yet(line: &Line) -> String {
    let name = line.command_name().unwrap_or("the command");
    match line.command().and_then(|command| End::of(&command)) {
        Some(End::Device(id)) => format!("the guest has not released `{id}`"),
        Some(End::Migration) => "the migration has not ended".to_owned(),
        Some(End::Powerdown) => "the guest has not shut down".to_owned(),
        Some(End::Eject(id)) => format!("the guest has not opened the tray of `{id}`"),
        Some(End::Balloon(_)) => "the guest has not changed its memory to that size".to_owned(),
        Some(End::Quit) => "QEMU has not ended".to_owned(),
        _ => format!("what `{name}` set in motion has not ended"),
    }
}

/// The ids that a command gives to the jobs that it creates.
pub(super) fn job_ids(command: &Command) -> Vec<String> {
    let id = |arguments: &crate::lang::Object| {
        let id = arguments.get("job-id").and_then(Value::as_str);
        id.map(str::to_owned)
    };
    match command.arguments.get("actions") {
        Some(Value::Array(actions)) if command.name == "transaction" => {
            let data = actions.iter().filter_map(|action| match action {
                Value::Object(action) => action.get("data"),
                _ => None,
            });
            data.filter_map(|data| match data {
                Value::Object(data) => id(data),
                _ => None,
            })
            .collect()
        }
        _ => id(&command.arguments).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Parser, Words};

    fn command(line: &str) -> Command {
        let words = Words::split(line).expect("words");
        let line = Parser::default().parse(&words).expect("a line");
        line.command().expect("a command").into_owned()
    }

    #[test]
    fn commands_have_ends() {
        for (line, end) in [
            ("device_del id=d", Some(End::Device("d".to_owned()))),
            ("balloon value:=1024", Some(End::Balloon(1024))),
            (
                "dump-guest-memory paging:=false detach:=true",
                Some(End::Dump),
            ),
            ("dump-guest-memory paging:=false", None),
            ("eject device=cd", Some(End::Eject("cd".to_owned()))),
            ("stop", Some(End::Running(false))),
            ("query-status", None),
        ] {
            assert_eq!(End::of(&command(line)), end, "{line}");
        }
    }

    #[test]
    fn a_transaction_names_the_jobs_of_its_actions() {
        let line = "transaction actions=[{'type':'blockdev-backup','data':{'job-id':'a','device':'x'}},\
                    {'type':'block-dirty-bitmap-add','data':{'name':'n'}},\
                    {'type':'blockdev-backup','data':{'job-id':'b'}}]";
        assert_eq!(job_ids(&command(line)), ["a", "b"]);
        assert_eq!(job_ids(&command("block-stream job-id=s device=d")), ["s"]);
        assert!(job_ids(&command("block-stream device=d")).is_empty());
    }
}
