//! Every option. What is written about one here is what `--help` says, so a bracket is a bracket and no link.
#![allow(rustdoc::broken_intra_doc_links)]

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Parser, ValueEnum};

use crate::lang::{self, Dialect};
use crate::render::Format;
use crate::script::EventsTo;
use crate::vm::{ConsoleDevice, Monitor, PassedFd};

/// The options that `-h` shows; `--help` shows all.
pub(super) const COMMON: [&str; 7] = [
    "connect", "launch", "list", "execute", "file", "output", "dry_run",
];

/// What `-h` and `--help` end with.
macro_rules! examples {
    () => {
        "Examples:
  qmpsh --list                                     which VMs can be reached here
  qmpsh vm.sock                                    a prompt for the VM at this socket
  qmpsh vm.sock query-status | jq -r .status       one command, for a script
  qmpsh --man | man -l -                           everything else"
    };
}

/// An interactive shell for QMP, QEMU's machine protocol.
///
/// Without COMMAND, qmpsh starts the interactive shell if standard input is a terminal; otherwise it reads
/// standard input as a script, one command per line.
#[derive(Debug, Default, Parser)]
#[command(
    name = "qmpsh",
    version = env!("QMPSH_VERSION"),
    long_version = concat!(
        env!("QMPSH_VERSION"),
        "\nfor QEMU 4.2 to 11; tested with 5.2, 7.2, 10.0 and 11.1"
    ),
    max_term_width = 100,
    override_usage = USAGE,
    after_help = examples!(),
    after_long_help = examples!(),
)]
pub struct Cli {
    /// Where QEMU listens: the path of a Unix socket, unix:PATH, HOST:PORT, [V6]:PORT, :PORT, tcp:HOST:PORT,
    /// fd:N (an inherited, connected socket), exec:COMMAND (a program whose input and output lead to the monitor), or
    /// vm:NAME (the QEMU running here with that -name)
    ///
    /// Defaults to the environment variable QMP_SOCKET.
    #[arg(value_name = "ADDRESS")]
    pub first: Option<String>,

    /// The command to run, as at the prompt; each word is one argument
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub rest: Vec<String>,

    /// Connect to ADDRESS; all words are the command
    #[arg(short, long, value_name = "ADDRESS")]
    pub connect: Option<String>,

    /// Listen at ADDRESS (the path of a Unix socket, or HOST:PORT) and wait for QEMU to connect; all remaining
    /// words are the command
    ///
    /// Start QEMU with -chardev socket,id=ID,path=PATH,server=off,reconnect-ms=1000 -qmp chardev:ID; before QEMU 9.2,
    /// write reconnect=1 instead of reconnect-ms=1000.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["connect", "launch", "dry_run"])]
    pub listen: Option<String>,

    /// Start QEMU (`-- QEMU ARG...`), and stop it on exit
    ///
    /// The words before `--` are the command.
    ///
    /// Without QEMU, starts qemu-system-ARCH for this machine's architecture, with no display.
    #[arg(long, conflicts_with_all = ["connect", "dry_run"])]
    pub launch: bool,

    /// List the QEMUs running on this machine and their QMP sockets
    ///
    /// A socket in state `free` is waiting for a client. Use `-o json` to print the list as JSON.
    #[arg(long, conflicts_with_all = ["connect", "execute", "file", "first", "launch", "listen"])]
    pub list: bool,

    /// Run LINE, then exit; can be repeated
    ///
    /// All lines are checked before the first is run.
    #[arg(short, long, value_name = "LINE", action = ArgAction::Append, allow_hyphen_values = true)]
    pub execute: Vec<String>,

    /// Run the script at PATH; `-` is standard input
    ///
    /// It is checked whole before its first line is run.
    #[arg(short, long, value_name = "PATH", conflicts_with = "execute")]
    pub file: Option<PathBuf>,

    /// Serve the VM to others at ADDRESS: the path of a Unix socket, fd:N (an inherited, listening socket), or, with
    /// --tls-creds, HOST:PORT; can be repeated
    ///
    /// QEMU serves one client per monitor; qmpsh serves any number of them, with the one connection that it has. Any QMP
    /// client can connect. Without a command, script or terminal, qmpsh serves until a signal ends it. It reconnects
    /// when the VM restarts; meanwhile, clients wait for their greeting. Only the user who runs qmpsh, and root, can
    /// connect to a Unix socket; over TCP, clients need a certificate. The sockets that systemd passes are served as well.
    #[arg(long, value_name = "ADDRESS", action = ArgAction::Append, conflicts_with_all = ["list", "dry_run"])]
    pub serve: Vec<String>,

    /// Send the commands of LOG, which --log has written, to the VM, and print which replies differ from those in it
    ///
    /// The exit status is 1 if one does. Ids, pids and timestamps are not compared. Where LOG has an event, one of that
    /// name is waited for, 5 s at most. A command is left out if a value was masked, unless --var KEY=VALUE supplies it,
    /// or if file descriptors went along; so is query-qmp-schema.
    #[arg(long, value_name = "LOG", conflicts_with_all = ["execute", "file", "list", "dry_run", "repeat"])]
    pub replay: Option<PathBuf>,

    /// Do not compare what FILTER, a jq path such as `.[].size`, names in a reply of --replay; may be repeated
    ///
    /// A path that does not fit a reply names nothing in it.
    #[arg(long, value_name = "FILTER", requires = "replay", action = ArgAction::Append)]
    pub ignore: Vec<String>,

    /// Serve LOG, which --log has written, at the addresses of --serve as if it were the VM
    ///
    /// Replies go by command and arguments; a value that was masked matches any. A command that LOG does not have is not
    /// found.
    #[arg(long, value_name = "LOG", requires = "serve", conflicts_with_all = ["connect", "execute", "file", "first", "launch", "listen", "policy", "replay"])]
    pub mock: Option<PathBuf>,

    /// What the clients of --serve may do: `read-only`, or what the policy in FILE allows [default: everything]
    #[arg(long, value_name = "read-only|FILE")]
    pub policy: Option<String>,

    /// Continue after an error, with up to 8 commands in flight
    #[arg(short, long)]
    pub keep_going: bool,

    /// How long to wait for each reply [default: no limit]
    #[arg(short, long, value_name = "SECS", value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// How long to wait for the connection and QEMU's greeting [default: 10 in scripts, no limit at the prompt]
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub connect_timeout: Option<Duration>,

    /// Run every reply through FILTER, in jq's language, unless its line has a filter of its own
    #[arg(short, long = "jq", value_name = "FILTER")]
    pub jq: Option<String>,

    /// Do not print empty values, {}
    #[arg(short, long)]
    pub quiet: bool,

    /// Set the variable NAME, so that $NAME in a line is VALUE whatever its characters; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, action = ArgAction::Append)]
    pub var: Vec<(String, String)>,

    /// How to print values: auto, pretty, json, table or raw [default: auto]
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        hide_possible_values = true
    )]
    pub output: Option<Format>,

    /// Same as -o pretty
    #[arg(short, long, conflicts_with = "output")]
    pub pretty: bool,

    /// Print whole replies, {"return": …} or {"error": …}, instead of just the value
    #[arg(long)]
    pub envelope: bool,

    /// Check every line, and print the JSON that would be sent; send nothing
    ///
    /// With an address, the server is asked for the types of bare words, and for nothing else.
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Take the types of bare words from the schema in PATH, a saved reply to query-qmp-schema
    #[arg(long, value_name = "PATH")]
    pub schema: Option<PathBuf>,

    /// Print each message sent and received to standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// Append each message sent and received to PATH, as JSON lines with `time`, `dir`, `conn` (the number of the
    /// connection), `fds` (how many file descriptors went along, if any) and `msg`
    #[arg(short, long, value_name = "PATH", visible_alias = "logfile")]
    pub log: Option<PathBuf>,

    /// Where to print events while a script runs, as JSON lines
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    pub events: EventsTo,

    /// Run the command N times; 0 repeats it until interrupted
    #[arg(long, value_name = "N")]
    pub repeat: Option<u64>,

    /// With --repeat, start a run every SECS seconds
    #[arg(long, value_name = "SECS", value_parser = seconds, requires = "repeat")]
    pub interval: Option<Duration>,

    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: When,

    /// Do not read or write the history file
    #[arg(long)]
    pub no_history: bool,

    /// Do not read config.toml and rc.qmp
    #[arg(long)]
    pub no_config: bool,

    /// Use TLS for TCP connections, with the credentials in DIR
    ///
    /// DIR has the layout of QEMU's tls-creds-x509: ca-cert.pem, client-cert.pem and client-key.pem if the
    /// server verifies its clients, and optionally ca-crl.pem. For --serve and --listen: ca-cert.pem, server-cert.pem and
    /// server-key.pem; clients have to have a certificate.
    #[arg(long, value_name = "DIR")]
    pub tls_creds: Option<PathBuf>,

    /// Expect the server's certificate to be for NAME instead of the address's host
    #[arg(long, value_name = "NAME", requires = "tls_creds")]
    pub tls_hostname: Option<String>,

    /// Speak to the human monitor (HMP): through QMP, or on a socket of its own
    #[arg(short = 'H', long, conflicts_with = "dialect")]
    pub hmp: bool,

    /// Speak to a guest agent (QGA), which sends no greeting
    #[arg(short = 'N', long, conflicts_with_all = ["dialect", "hmp"])]
    pub skip_negotiation: bool,

    /// What the other end speaks [default: qmp]
    #[arg(long, value_name = "NAME", value_parser = dialects())]
    pub dialect: Option<Dialect>,

    /// Do not negotiate out-of-band execution
    #[arg(long)]
    pub no_oob: bool,

    /// Retry a connection that fails or ends, for at most SECS [default: only at the prompt, with no limit]
    #[arg(long, value_name = "SECS", value_parser = seconds, num_args = 0..=1, require_equals = true)]
    pub reconnect: Option<Option<Duration>>,

    /// Do not reconnect
    #[arg(long, conflicts_with = "reconnect")]
    pub no_reconnect: bool,

    /// Print the manual page, for `man -l -`
    #[arg(long, exclusive = true)]
    pub man: bool,

    /// Print the completion script for SHELL
    ///
    /// For bash: qmpsh --completions bash > ~/.local/share/bash-completion/completions/qmpsh
    #[arg(long, value_name = "SHELL", value_enum, exclusive = true)]
    pub completions: Option<Shell>,

    /// Print what the last word of a command line can be, for a shell's completion
    #[arg(hide = true, long, num_args = 1.., allow_hyphen_values = true, exclusive = true)]
    pub complete: Vec<String>,

    // Must be last: the heading applies to everything that follows.
    #[command(flatten, next_help_heading = "Options for --launch")]
    pub vm: VmOptions,
}

const USAGE: &str = "qmpsh [OPTIONS] ADDRESS [COMMAND [ARG]...]\n       \
                     qmpsh [OPTIONS] --connect ADDRESS [COMMAND [ARG]...]\n       \
                     qmpsh [OPTIONS] --listen ADDRESS [COMMAND [ARG]...]\n       \
                     qmpsh [OPTIONS] --launch [COMMAND [ARG]...] [-- [QEMU] [ARG]...]\n       \
                     qmpsh --list";

/// The options that go with `--launch`.
#[derive(Debug, Default, clap::Args)]
pub struct VmOptions {
    /// Where to put QEMU's monitor: the path of a Unix socket or HOST:PORT, which other clients can use too, or
    /// `none` [default: a private socket]
    #[arg(long, value_name = "ADDRESS|none", requires = "launch")]
    pub monitor: Option<Monitor>,

    /// Run QEMU under COMMAND, for example `strace -f`; it is split at whitespace
    #[arg(
        long,
        value_name = "COMMAND",
        requires = "launch",
        allow_hyphen_values = true
    )]
    pub wrapper: Option<String>,

    /// Pass the inherited descriptor N[,set=M][,opaque=TEXT] to QEMU, as with -add-fd; M defaults to N; can be
    /// repeated
    #[arg(long, value_name = "N", requires = "launch", action = ArgAction::Append)]
    pub add_fd: Vec<PassedFd>,

    /// Name of the VM and of its log files
    #[arg(long, value_name = "NAME", requires = "launch")]
    pub name: Option<String>,

    /// Give the guest a console, which is logged; `:console` attaches to it. DEVICE is `virtconsole`, `isa-serial` or
    /// another device with a chardev [default: the first serial port]
    #[arg(long, value_name = "DEVICE", requires = "launch", num_args = 0..=1, require_equals = true,
          default_missing_value = "serial")]
    pub console: Option<ConsoleDevice>,

    /// Size at which the console's log is renamed to LOG.1 and a new one started: 512K, 64M, 2G, or 0 for no limit
    /// [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "console")]
    pub console_log_limit: Option<u64>,

    /// Keep the logs of QEMU's output and of the console in DIR [default: deleted on exit]
    #[arg(long, value_name = "DIR", requires = "launch")]
    pub log_dir: Option<PathBuf>,

    /// Create the directory for temporary files in DIR; it is removed on exit
    #[arg(long, value_name = "DIR", requires = "launch")]
    pub temp_dir: Option<PathBuf>,

    /// How long QEMU may take to shut down before it is killed [default: 30]
    #[arg(long, value_name = "SECS", value_parser = seconds, requires = "launch")]
    pub shutdown_timeout: Option<Duration>,
}

/// A shell that has completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    #[default]
    Auto,
    Always,
    Never,
}

fn dialects() -> impl TypedValueParser<Value = Dialect> {
    let names = Dialect::NAMES.map(|(name, _)| name);
    PossibleValuesParser::new(names).map(|name| {
        let all = Dialect::NAMES.into_iter();
        let mut named = all.filter(|(other, _)| *other == name);
        named.next().map_or(Dialect::Qmp, |(_, dialect)| dialect)
    })
}

/// Parses a duration in seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(lang::seconds)
        .ok_or_else(|| "expected a number of seconds".to_owned())
}

/// A variable's name and its value.
fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    match lang::is_name(name) {
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err("a name has letters, digits and `_`".to_owned()),
    }
}

/// A number of bytes, or of KiB, MiB or GiB with a `K`, `M` or `G` after it.
fn size(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(['K', 'M', 'G']);
    let unit: u64 = match &text[number.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => 0,
    };
    let number: Option<u64> = number.parse().ok().filter(|_| unit > 0);
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "expected a size: 4096, 512K, 64M, 2G".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_options_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_size_has_a_unit_or_none() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("2K", 2048),
            ("64M", 64 << 20),
            ("1G", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "K", "1KM", "1k", "-1", "1.5G", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
