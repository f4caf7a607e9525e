//! The human monitor (HMP): lines of text in, text out (`monitor/hmp.c`). It is spoken to through QMP's
//! `human-monitor-command`, or on a socket of its own.

mod help;
mod wire;

use std::borrow::Cow;

use serde::Deserialize;

use crate::lang::{Dialect, Line, Message, Statement, quote};
use crate::qmp::{Reply, Request};
use crate::render::{Format, Style, escape};

pub use help::parse;
pub use wire::Monitor;

/// The commands that print nothing when they succeed, so that what they print is an error. Of those that print `Error:`
/// before it in every QEMU, none need be listed.
const SILENT: [&str; 26] = [
    "boot_set",
    "change",
    "chardev-send-break",
    "closefd",
    "cpu",
    "delvm",
    "device_del",
    "drive_del",
    "eject",
    "expire_password",
    "getfd",
    "hostfwd_add",
    "loadvm",
    "logfile",
    "memsave",
    "migrate_cancel",
    "mouse_button",
    "mouse_move",
    "nmi",
    "pmemsave",
    "savevm",
    "sendkey",
    "set_link",
    "set_password",
    "trace-event",
    "watchdog_action",
];

/// Makes a line of the human monitor's `text`. It is about the CPU with this index, if one was selected.
pub fn line(text: &str, cpu: Option<u64>) -> Line {
    let text = text.trim();
    let name = text.split_whitespace().next();
    // Selecting another one works even if this one does not exist any more.
    let cpu = cpu.filter(|_| name != Some("cpu"));
    let cpu = cpu.map_or(String::new(), |cpu| format!(",\"cpu-index\":{cpu}"));
    Statement::Message(Message {
        text: format!(
            r#"{{"execute":"{COMMAND}","arguments":{{"command-line":{}{cpu}}}}}"#,
            quote(text)
        ),
        id: None,
        name: name.map(str::to_owned),
        dialect: Dialect::Hmp,
    })
    .into()
}

/// A command that asks whether the monitor is there.
pub(super) fn ping() -> Request {
    let line = quote("info version");
    Request {
        text: format!(r#"{{"execute":"{COMMAND}","arguments":{{"command-line":{line}}}}}"#),
        name: "info".to_owned(),
        ..Request::default()
    }
}

/// QMP's command for a line of the human monitor.
const COMMAND: &str = "human-monitor-command";

/// The line of the human monitor in a message of ours; `None` for any other message.
pub(super) fn command_line(message: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Command {
        execute: String,
        arguments: Arguments,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Arguments {
        command_line: String,
    }
    let command: Command = serde_json::from_str(message).ok()?;
    (command.execute == COMMAND).then_some(command.arguments.command_line)
}

/// The CPU that a message selects for the lines after it.
pub(super) fn selected_cpu(message: &Message) -> Option<u64> {
    if message.name.as_deref() != Some("cpu") {
        return None;
    }
    let line = command_line(&message.text)?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The error that the monitor printed. Errors and other output differ by their wording alone.
pub(super) fn refusal(message: &Message, reply: &Reply) -> Option<String> {
    match reply.value() {
        Ok(json) => {
            let output = output(json)?;
            let verb = message.name.as_deref().unwrap_or_default();
            is_error(verb, &output).then(|| output.trim_end().to_owned())
        }
        Err(error) if error.class == "CommandNotFound" => Some(
            "this server has no human monitor: it is no QEMU, or one that was built without it"
                .to_owned(),
        ),
        Err(error) => Some(error.desc),
    }
}

fn is_error(verb: &str, output: &str) -> bool {
    let mut lines = output
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("warning: "));
    let Some(first) = lines.clone().next() else {
        return false;
    };
    // The monitor's parser ends with this.
    let advises = |line: &str| {
        line.starts_with("Try \"help ") && line.trim_end().ends_with("for more information")
    };
    SILENT.contains(&verb)
        || first.starts_with("unknown command: ")
        || first.starts_with("Command '") && first.contains("not available")
        || lines.any(|line| line.starts_with("Error: ") || advises(line))
        // `drive_add` prints OK, or in QEMU before 10 an error without `Error:`.
        || verb == "drive_add" && !output.lines().any(|line| line.trim() == "OK")
        || verb == "hostfwd_remove" && !first.trim_end().ends_with(" removed")
}

/// The text in a reply's value.
fn output(json: &str) -> Option<String> {
    let text: String = serde_json::from_str(json).ok()?;
    Some(text.replace("\r\n", "\n"))
}

/// Output is shown as text, unless JSON was asked for.
pub(super) fn text(json: &str, style: Style) -> Option<Cow<'static, str>> {
    if style.format != Format::Auto {
        return None;
    }
    let text = output(json)?;
    Some(match style.terminal {
        true => escape(&text).into_owned().into(),
        false => text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_from_output_by_their_wording() {
        for (verb, output) in [
            ("info", "unknown command: 'info foo'\r\n"),
            ("device_del", "Error: Device 'x' not found\r\n"),
            (
                "x",
                "unknown register\r\nTry \"help x\" for more information\r\n",
            ),
            ("cpu", "invalid CPU index\r\n"),
            ("drive_add", "Must specify either driver or file\r\n"),
            (
                "hostfwd_remove",
                "host forwarding rule for tcp::1 not found\r\n",
            ),
            ("savevm", "warning: slow\r\nError while writing\r\n"),
        ] {
            assert!(is_error(verb, output), "{output}");
        }
        for (verb, output) in [
            ("info", "VM status: running\r\n"),
            ("drive_add", "OK\r\n"),
            (
                "hostfwd_remove",
                "host forwarding rule for tcp::1 removed\r\n",
            ),
            ("savevm", "warning: slow\r\n"),
            ("cont", ""),
            ("help", "info status  -- show the current VM status\r\n"),
        ] {
            assert!(!is_error(verb, output), "{output}");
        }
    }

    #[test]
    fn a_line_is_about_the_selected_cpu() {
        let Statement::Message(message) = line(" info registers ", Some(1)).statement else {
            panic!("a message");
        };
        assert_eq!(
            message.text,
            r#"{"execute":"human-monitor-command","arguments":{"command-line":"info registers","cpu-index":1}}"#
        );
        assert_eq!(message.name.as_deref(), Some("info"));
        assert_eq!(
            command_line(&message.text).as_deref(),
            Some("info registers")
        );
    }
}
