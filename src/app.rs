//! Turns the command line into a typed plan, and carries it out.

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::{self, Cli, Invocation, MAN, When, completions};
use crate::config::{Config, THEME};
use crate::context::{PromptSettings, Settings, TargetPlan};
use crate::dialect;
use crate::failure::{Failure, Status};
use crate::lang::{Dialect, FilterText, Value, Variables};
use crate::os::{self, service, stderr::say, stop::StopSignals};
use crate::qmp::{self, Retry};
use crate::recording;
use crate::render::{self, Format, Style};
use crate::schema::Schema;
use crate::script::{self, Source};
use crate::server::{self, Policy};
use crate::shell;
use crate::transport::{Address, Endpoint, ServerSocket, Tls};
use crate::vm::{self, Vm, shutdown};

/// What follows the list of the QEMUs if nothing was asked for.
const HOW_TO_CONNECT: &str = "`qmpsh vm:NAME` or `qmpsh ADDRESS` connects to one, `qmpsh --launch` starts one; \
                              `qmpsh --help` lists the options";

/// What this run of the program does. Options are interpreted here and nowhere else.
enum Plan {
    /// `--list`
    List(Format),
    /// `--man`, `--completions`
    Print(&'static str),
    Prompt(shell::Plan),
    Script(script::Plan),
    /// `--replay`
    Replay(recording::Plan),
    /// `--mock`
    Mock(PathBuf),
}

/// Does what the command line asks for, and returns the exit status.
///
/// # Errors
///
/// The run could not start: there is no connection, a file is unreadable, options contradict each other. Errors
/// of single lines go to standard error and into the status.
pub async fn run(invocation: Invocation) -> anyhow::Result<Status> {
    if !invocation.cli.complete.is_empty() {
        return Ok(print(&cli::candidates(&invocation.cli.complete).await));
    }
    let plan = plan(&invocation)?;
    match plan {
        Plan::List(format) => {
            let status = list(format);
            if invocation.bare {
                say(HOW_TO_CONNECT);
            }
            return Ok(status);
        }
        Plan::Print(text) => return Ok(print(text)),
        Plan::Prompt(_) | Plan::Script(_) | Plan::Replay(_) | Plan::Mock(_) => {}
    }
    let interactive = matches!(plan, Plan::Prompt(_));
    let settings = settings(&invocation.cli, interactive);
    let mut target = target(&invocation, interactive)?;
    // The session may outlive this function, but the socket's file must not.
    let mut _file = None;
    if invocation.cli.listen.is_some()
        && let Some(Endpoint::Dial(address)) = &target.endpoint
    {
        let mut socket = ServerSocket::bind(address).map_err(Failure::from)?;
        _file = socket.take_file();
        if let Some(tls) = &target.options.tls {
            socket = socket.with_tls(tls.clone()).map_err(Failure::from)?;
        }
        target.endpoint = Some(Endpoint::Listen(Arc::new(socket)));
    }
    let _served: Vec<_> = target.serve.iter().map(ServerSocket::file).collect();
    if !target.serve.is_empty() {
        service::notify("READY=1");
    }
    if invocation.cli.launch {
        let vm = Vm::new(launch(&invocation)?).map_err(Failure::from)?;
        target.vm = Some(Arc::new(vm));
    }
    let vm = target.vm.clone();
    let _end = vm.clone().map(vm::KillOnDrop);
    let result = match plan {
        Plan::Prompt(plan) => shell::run(plan, settings, target).await,
        Plan::Script(plan) => script::run(plan, settings, target).await,
        Plan::Replay(plan) => recording::replay(plan, settings, target).await,
        Plan::Mock(log) => recording::mock(&log, target.serve).await,
        Plan::List(_) | Plan::Print(_) => unreachable!("handled above"),
    };
    service::notify("STOPPING=1");
    if let Some(vm) = vm {
        // Usually a no-op; after an error the VM may still be running.
        let report = |text| say(format!("qmpsh: {text}"));
        shutdown::end(&vm, None, &mut StopSignals::all()?, &report).await;
        if vm.has_failed() {
            return result.map(Status::or_failed);
        }
    }
    result
}

fn plan(invocation: &Invocation) -> Result<Plan, Failure> {
    let cli = &invocation.cli;
    if cli.list || invocation.bare {
        return Ok(Plan::List(format(cli)));
    }
    if cli.man {
        return Ok(Plan::Print(MAN));
    }
    if let Some(shell) = cli.completions {
        return Ok(Plan::Print(completions(shell)));
    }
    if let Some(log) = &cli.mock {
        return Ok(Plan::Mock(log.clone()));
    }
    if let Some(log) = &cli.replay {
        return Ok(Plan::Replay(recording::Plan {
            log: log.clone(),
            secrets: cli.var.clone(),
            ignored: cli.ignore.clone(),
        }));
    }
    let source = if !invocation.command.is_empty() {
        Source::Command(invocation.command.clone())
    } else if !cli.execute.is_empty() {
        Source::Lines(cli.execute.clone())
    } else {
        let file = cli.file.clone().filter(|path| path != Path::new("-"));
        if cli.file.is_none() && !cli.dry_run && std::io::stdin().is_terminal() {
            return Ok(Plan::Prompt(shell::Plan {
                history: !cli.no_history,
                config: config(cli, true),
            }));
        }
        Source::Stream(file)
    };
    Ok(Plan::Script(script::Plan {
        source,
        rounds: cli.repeat.unwrap_or(1),
        interval: cli.interval.unwrap_or_default(),
        keep_going: cli.keep_going,
        events: cli.events,
        config: config(cli, false),
    }))
}

fn format(cli: &Cli) -> Format {
    match cli.pretty {
        true => Format::Pretty,
        false => cli.output.unwrap_or_default(),
    }
}

/// What `config.toml` says and the command line does not. A script follows it only in how values look to a person, and
/// does not even look for it when its output goes elsewhere.
fn config(cli: &Cli, interactive: bool) -> Option<Config> {
    if cli.no_config || !interactive && !std::io::stdout().is_terminal() {
        return None;
    }
    let is_given = |key: &str| match key {
        "output" => cli.pretty || cli.output.is_some(),
        "envelope" => cli.envelope,
        "quiet" => cli.quiet,
        "timeout" => cli.timeout.is_some(),
        _ => false,
    };
    let applies = |key: &str| interactive || matches!(key, "output" | THEME);
    Some(Config::read().without(|key| is_given(key) || !applies(key)))
}

fn settings(cli: &Cli, interactive: bool) -> Settings {
    let terminal = std::io::stdout().is_terminal();
    Settings {
        style: Style {
            format: format(cli),
            color: match cli.color {
                When::Always => true,
                When::Never => false,
                When::Auto => {
                    let is = |name, value: &dyn Fn(&OsStr) -> bool| {
                        std::env::var_os(name).is_some_and(|set| value(&set))
                    };
                    // A dumb terminal would show the escape sequences themselves.
                    terminal
                        && !is("NO_COLOR", &|set| !set.is_empty())
                        && !is("TERM", &|set| set == "dumb")
                }
            },
            terminal,
        },
        envelope: cli.envelope,
        timeout: cli.timeout.or(dialect::patience(dialect_of(cli))),
        confirm: true,
        pager: true,
        dry_run: cli.dry_run,
        filter: cli.jq.as_deref().map(FilterText::alone),
        quiet: cli.quiet,
        variables: variables(&cli.var),
        wait_for_connection: !interactive && cli.reconnect.is_some(),
        aliases: Arc::default(),
        muted: Arc::default(),
        prompt: PromptSettings::default(),
    }
}

/// `--var`
fn variables(given: &[(String, String)]) -> Arc<Variables> {
    let mut variables = Variables::default();
    for (name, text) in given {
        variables.set(name, Value::Text(text.clone()));
    }
    Arc::new(variables)
}

/// How to reach the server. A listening socket or a VM is created later.
fn target(invocation: &Invocation, interactive: bool) -> Result<TargetPlan, Failure> {
    let cli = &invocation.cli;
    let tls = cli.tls_creds.clone().map(|creds| Tls {
        creds,
        hostname: cli.tls_hostname.clone(),
    });
    let serve = serve(cli, tls.as_ref())?;
    let serves_tcp = serve.iter().any(|socket| !socket.is_unix());
    let address: Option<Address> = match invocation.address.as_deref() {
        Some(text) if cli.listen.is_none() => Some(vm::list::address(text)?),
        Some(text) => Some(text.parse()?),
        None => None,
    };
    if tls.is_some() && !serves_tcp && !matches!(address, None | Some(Address::Tcp { .. })) {
        let why = "--tls-creds works only with a TCP address (HOST:PORT)";
        return Err(Failure::Usage(why.to_owned()));
    }
    let dialect = dialect_of(cli);
    Ok(TargetPlan {
        endpoint: address.map(Endpoint::from),
        options: qmp::Options {
            wire: dialect::wire(dialect),
            connect_timeout: cli.connect_timeout,
            no_oob: cli.no_oob,
            tls,
            ..qmp::Options::default()
        },
        retry: match cli.reconnect {
            Some(limit) => Retry::Within(limit),
            None if (interactive || !serve.is_empty()) && !cli.no_reconnect => Retry::Within(None),
            None => Retry::Never,
        },
        dialect,
        schema: match &cli.schema {
            Some(path) => Some(read_schema(path)?),
            None => dialect::schema(dialect),
        },
        vm: None,
        verbose: cli.verbose,
        log: cli.log.clone(),
        serve,
        policy: cli.policy.as_deref().map(policy).transpose()?,
    })
}

/// What the other end speaks.
fn dialect_of(cli: &Cli) -> Dialect {
    match cli {
        Cli { hmp: true, .. } => Dialect::Hmp,
        Cli {
            skip_negotiation: true,
            ..
        } => Dialect::Qga,
        cli => cli.dialect.unwrap_or_default(),
    }
}

/// Listens at the addresses of `--serve`, and takes the sockets that systemd has passed.
fn serve(cli: &Cli, tls: Option<&Tls>) -> Result<Vec<ServerSocket>, Failure> {
    let given = cli.serve.iter().map(|address| Ok(address.parse()?));
    let passed = service::passed().into_iter().map(Address::Inherited);
    given
        .chain(passed.map(Ok))
        .map(|address: Result<_, Failure>| Ok(server::bind(&address?, tls)?))
        .collect()
}

fn policy(what: &str) -> Result<Policy, Failure> {
    Policy::read(what).map_err(Failure::Usage)
}

/// Reads a saved reply to `query-qmp-schema`: either the whole reply or just its value.
fn read_schema(path: &Path) -> Result<Arc<Schema>, Failure> {
    let cannot = |why: String| {
        Failure::Local(format!(
            "cannot read the schema in {}: {why}",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow, rename = "return")]
        value: &'a RawValue,
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

/// What `--launch` starts.
fn launch(invocation: &Invocation) -> Result<vm::Plan, Failure> {
    let options = &invocation.cli.vm;
    if let dialect @ (Dialect::Qga | Dialect::Qtest) = dialect_of(&invocation.cli) {
        let why = format!(
            "--launch connects to the VM's monitor, which does not speak {}; leave -N and --dialect out",
            dialect.name()
        );
        return Err(Failure::Usage(why));
    }
    // A daemon would leave our process tree, and we could no longer stop it.
    if invocation
        .qemu
        .iter()
        .any(|word| word == "-daemonize" || word == "--daemonize")
    {
        let why = "a QEMU started with -daemonize would outlive qmpsh; leave -daemonize out, or start QEMU without --launch";
        return Err(Failure::Usage(why.to_owned()));
    }
    for passed in &options.add_fd {
        os::sys::inherited(passed.number).map_err(|error| {
            let number = passed.number;
            Failure::Usage(format!("cannot pass descriptor {number} to QEMU: {error}"))
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
        console: options.console.clone(),
        console_log_limit: options.console_log_limit.unwrap_or(vm::CONSOLE_LOG_LIMIT),
        log_dir: options.log_dir.clone(),
        temp_dir: options.temp_dir.clone(),
        shutdown_timeout: options.shutdown_timeout.unwrap_or(vm::SHUTDOWN_TIMEOUT),
    })
}

/// `--list`
fn list(format: Format) -> Status {
    let machines = vm::list::machines();
    let text = match format {
        Format::Json => render::compact(&vm::list::json(&machines).to_string()).into_owned() + "\n",
        Format::Pretty => render::pretty(&vm::list::json(&machines).to_string(), false) + "\n",
        _ => vm::list::table(&machines),
    };
    if machines.is_empty() {
        say("No running QEMU found");
    }
    print(&text)
}

fn print(text: &str) -> Status {
    // It is not an error if nobody reads the output.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Status::Success
}
