//! The map of qmpsh, a shell for QMP, QEMU's machine protocol.
//!
//! A line flows one way, a reply flows back one way:
//!
//! ```text
//! terminal ─ shell ──▶ lang ─▶ runner ─▶ qmp::Client ─▶ socket
//! stdin ─── script ─┘                        │
//!               stdout ◀─ render ◀─ replies, events
//! ```
//!
//! - [`cli`]: every option
//! - [`script`]: one-shot commands, `--execute`, `--file`, standard input
//! - [`shell`]: what a person meets: prompt, history, completion, events above the line
//! - [`builtin`]: the lines that start with `:`
//! - [`runner`]: sends what a line asks for, and shows the reply
//! - [`traffic`]: `--verbose` and `--log`
//! - [`render`]: values, errors and events as text
//! - [`lang`]: text to commands; pure
//! - [`qmp`]: the protocol's client
//! - [`exit`]: exit statuses, and what leads to them
//!
//! Imports point down this list only: script, shell → builtin → runner → render → lang → qmp. `qmp`
//! knows no terminal and no command line, `lang` no socket.

pub mod builtin;
pub mod cli;
pub mod exit;
pub mod lang;
pub mod qmp;
pub mod render;
pub mod runner;
pub mod script;
pub mod shell;
pub mod traffic;

use std::io::IsTerminal;
use std::sync::Arc;

use cli::{Invocation, When};
use exit::Status;
use render::Style;
use runner::{Runner, Settings};

/// Does what the command line asks for.
///
/// # Errors
///
/// What kept it from starting: no connection, an unreadable file. What happens to single lines is told
/// on standard error and in the status.
pub async fn run(invocation: Invocation) -> anyhow::Result<Status> {
    let cli = &invocation.cli;
    let interactive = invocation.command.is_empty()
        && cli.execute.is_empty()
        && cli.file.is_none()
        && !cli.dry_run
        && std::io::stdin().is_terminal();
    let terminal = std::io::stdout().is_terminal();
    let runner = Runner {
        settings: Settings {
            style: Style {
                format: if cli.pretty {
                    render::Format::Pretty
                } else {
                    cli.output
                },
                color: match cli.color {
                    When::Always => true,
                    When::Never => false,
                    When::Auto => {
                        terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                    }
                },
                terminal,
            },
            envelope: cli.envelope,
            timeout: cli.timeout,
            confirm: true,
        },
        options: qmp::Options {
            connect_timeout: cli.connect_timeout,
            no_oob: cli.no_oob,
            tap: None,
            silence: Some(Arc::new(|why| exit::say(format!("qmpsh: {why}")))),
        },
        client: None,
        address: invocation
            .address
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(exit::Failure::from)?,
    };
    if interactive {
        shell::run(invocation, runner).await
    } else {
        script::run(invocation, runner).await
    }
}
