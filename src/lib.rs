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
//! - [`advice`]: what would have been right, after an error
//! - [`agenda`]: what listeners and timers run
//! - [`runner`]: sends what a line asks for, and shows the reply
//! - [`leave`]: ends the VM we launched when we leave
//! - [`traffic`]: `--verbose` and `--log`
//! - [`manual`]: what the server accepts, as pages to read
//! - [`inspector`]: what the server says of itself
//! - [`vm`]: the QEMUs of this machine
//! - [`render`]: values, errors and events as text
//! - [`schema`]: the QAPI schema: its model, the typing of bare words, what is wrong with a command, its cache on disk
//! - [`lang`]: text to commands; pure
//! - [`qmp`]: the protocol's client
//! - [`transport`]: addresses and byte streams
//! - [`failure`]: exit statuses, and what leads to them
//! - [`os`]: processes that we start, signals, private files, and what needs `unsafe`
//!
//! Imports point down this list only: script, shell → advice → builtin → runner → agenda, manual → inspector,
//! render → schema → lang, qmp → transport → os.
//! `qmp` knows no terminal and no command line, `transport` no protocol, `lang` and `schema` no socket.

pub mod advice;
pub mod agenda;
pub mod builtin;
pub mod cli;
pub mod failure;
pub mod inspector;
pub mod lang;
pub mod leave;
pub mod manual;
pub mod os;
pub mod qmp;
pub mod render;
pub mod runner;
pub mod schema;
pub mod script;
pub mod shell;
pub mod traffic;
pub mod transport;
pub mod vm;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use cli::{Invocation, When};
use failure::Status;
use qmp::Retry;
use render::Style;
use runner::Settings;
use schema::Schema;
use transport::{Address, Endpoint, ServerSocket, Tls};
use vm::Vm;

/// What a session starts with.
pub struct Start {
    pub endpoint: Option<Endpoint>,
    pub settings: Settings,
    pub options: qmp::Options,
    pub retry: Retry,
    /// The schema that counts, whatever the server says.
    pub schema: Option<Arc<Schema>>,
    /// A VM to launch.
    pub vm: Option<Arc<Vm>>,
}

/// Does what the command line asks for.
///
/// # Errors
///
/// What kept it from starting: no connection, an unreadable file. What happens to single lines is told
/// on standard error and in the status.
pub async fn run(invocation: Invocation) -> anyhow::Result<Status> {
    let cli = &invocation.cli;
    if cli.list {
        return Ok(list(cli));
    }
    let interactive = invocation.command.is_empty()
        && cli.execute.is_empty()
        && cli.file.is_none()
        && !cli.dry_run
        && std::io::stdin().is_terminal();
    let address = invocation.address.as_deref().map(str::parse).transpose();
    let address: Option<Address> = address.map_err(failure::Failure::from)?;
    if cli.tls_creds.is_some() && !matches!(address, None | Some(Address::Tcp { .. })) {
        let why = "--tls-creds wraps TCP connections, and the address is none (HOST:PORT)";
        return Err(failure::Failure::Usage(why.to_owned()).into());
    }
    let terminal = std::io::stdout().is_terminal();
    let settings = Settings {
        style: Style {
            format: if cli.pretty {
                render::Format::Pretty
            } else {
                cli.output
            },
            color: match cli.color {
                When::Always => true,
                When::Never => false,
                When::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
            },
            terminal,
        },
        envelope: cli.envelope,
        timeout: cli.timeout,
        confirm: true,
        muted: Arc::default(),
    };
    let options = qmp::Options {
        connect_timeout: cli.connect_timeout,
        no_oob: cli.no_oob,
        tls: cli.tls_creds.clone().map(|creds| Tls {
            creds,
            hostname: cli.tls_hostname.clone(),
        }),
        ..qmp::Options::default()
    };
    let retry = match cli.reconnect {
        Some(limit) => Retry::Within(limit),
        None if interactive && !cli.no_reconnect => Retry::Within(None),
        None => Retry::Never,
    };
    // The session may outlive this function; the socket's file must not.
    let mut _file = None;
    let endpoint = match address {
        Some(address) if cli.listen.is_some() => {
            let mut socket = ServerSocket::bind(&address).map_err(failure::Failure::from)?;
            _file = socket.take_file();
            Some(Endpoint::Listen(Arc::new(socket)))
        }
        address => address.map(Endpoint::from),
    };
    let vm = cli.launch.then(|| plan(&invocation)).transpose()?;
    let vm = vm
        .map(Vm::new)
        .transpose()
        .map_err(failure::Failure::Launch)?;
    let vm = vm.map(Arc::new);
    let _end = vm.clone().map(vm::KillOnDrop);
    let start = Start {
        vm: vm.clone(),
        endpoint,
        settings,
        options,
        retry,
        schema: cli.schema.as_deref().map(read_schema).transpose()?,
    };
    let result = if interactive {
        shell::run(&invocation, start).await
    } else {
        script::run(&invocation, start).await
    };
    if let Some(vm) = vm {
        // Unless it has been ended already, this was no orderly way out.
        leave::end(&vm, None, &|text| os::stderr::say(format!("qmpsh: {text}"))).await?;
    }
    result
}

/// Reads a saved reply to `query-qmp-schema`: the value alone, or the whole reply.
fn read_schema(path: &Path) -> Result<Arc<Schema>, failure::Failure> {
    let cannot = |why: String| {
        failure::Failure::Usage(format!(
            "cannot read the schema in {}: {why}",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    #[derive(serde::Deserialize)]
    struct Reply<'a> {
        #[serde(borrow, rename = "return")]
        value: &'a serde_json::value::RawValue,
    }
    let value = if text.trim_start().starts_with('{') {
        let reply: Reply =
            serde_json::from_str(&text).map_err(|error| cannot(error.to_string()))?;
        reply.value.get()
    } else {
        &text
    };
    let schema = Schema::read(value).map_err(|error| cannot(error.to_string()))?;
    Ok(Arc::new(schema))
}

/// `--list`.
fn list(cli: &cli::Cli) -> Status {
    let machines = vm::list::machines();
    let text = match cli.output {
        render::Format::Json => vm::list::json(&machines).to_string() + "\n",
        render::Format::Pretty => render::pretty(&vm::list::json(&machines).to_string(), false),
        _ => vm::list::table(&machines),
    };
    if machines.is_empty() {
        os::stderr::say("no QEMU runs here, as far as we may see");
    }
    // That nobody reads it is no error.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    Status::Success
}

/// What `--launch` is to start.
fn plan(invocation: &Invocation) -> Result<vm::Plan, failure::Failure> {
    let options = &invocation.cli.vm;
    // It would leave us behind, and nobody to end it.
    if invocation
        .qemu
        .iter()
        .any(|word| word == "-daemonize" || word == "--daemonize")
    {
        let why = "with -daemonize QEMU would not end with us; leave it out, or start QEMU without --launch";
        return Err(failure::Failure::Usage(why.to_owned()));
    }
    for passed in &options.add_fd {
        os::sys::inherited(passed.number).map_err(|error| {
            let number = passed.number;
            failure::Failure::Usage(format!("cannot pass descriptor {number} on: {error}"))
        })?;
    }
    let wrapper = options
        .wrapper
        .iter()
        .flat_map(|words| words.split_whitespace());
    Ok(vm::Plan {
        words: invocation.qemu.clone(),
        wrapper: wrapper.map(str::to_owned).collect(),
        monitor: options.monitor.clone().unwrap_or(vm::Monitor::Pair),
        passed: options.add_fd.clone(),
        name: options.name.clone(),
        console: options.console,
        log_dir: options.log_dir.clone(),
        temp_dir: options.temp_dir.clone(),
        shutdown_timeout: options.shutdown_timeout.unwrap_or(vm::SHUTDOWN_TIMEOUT),
    })
}
