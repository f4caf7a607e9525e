use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};

use crate::lang;
use crate::render::Format;
use crate::script::EventsTo;
use crate::vm::{Monitor, PassedFd};

/// An interactive shell for QMP, QEMU's machine protocol.
///
/// With no COMMAND, standard input decides: a terminal gets the interactive shell, anything else is
/// read as a script, a line a command.
#[derive(Debug, Default, Parser)]
#[command(name = "qmpsh", version, max_term_width = 100, override_usage = USAGE)]
pub struct Cli {
    /// Where QEMU listens: a Unix socket's path or unix:PATH, HOST:PORT, [V6]:PORT, :PORT or tcp:HOST:PORT,
    /// fd:N for a connected socket that was inherited, exec:COMMAND for a program that leads there
    ///
    /// Without it, the environment variable QMP_SOCKET gives the address.
    #[arg(value_name = "ADDRESS")]
    pub first: Option<String>,

    /// The command to run, as at the prompt; each word is an argument of its own
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub rest: Vec<String>,

    /// Connect to ADDRESS; every word left over is the command
    #[arg(short, long, value_name = "ADDRESS")]
    pub connect: Option<String>,

    /// Listen at ADDRESS, a Unix socket's path or HOST:PORT, and serve the QEMU that connects; every word left
    /// over is the command
    ///
    /// QEMU is told to with -chardev socket,id=ID,path=PATH,server=off,reconnect-ms=1000 -qmp chardev:ID; before QEMU 9.2
    /// write reconnect=1 instead of reconnect-ms=1000.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["connect", "launch", "dry_run", "tls_creds"])]
    pub listen: Option<String>,

    /// Start a QEMU of our own, `-- QEMU ARG...`, and end it when we end; every word before `--` is the command
    ///
    /// With no QEMU named it is the one for this machine's architecture, without display.
    #[arg(long, conflicts_with_all = ["connect", "dry_run", "tls_creds"])]
    pub launch: bool,

    /// List the QEMUs that run here: pid, name, QMP sockets, and whether somebody is connected
    ///
    /// `free` is a socket that waits for a client. `-o json` prints the list for programs.
    #[arg(long, conflicts_with_all = ["connect", "execute", "file", "first", "launch", "listen"])]
    pub list: bool,

    /// Run a line, then exit; may be given again
    #[arg(short, long, value_name = "LINE", action = ArgAction::Append, allow_hyphen_values = true)]
    pub execute: Vec<String>,

    /// Run a script file; `-` is standard input
    #[arg(short, long, value_name = "PATH", conflicts_with = "execute")]
    pub file: Option<PathBuf>,

    /// Go on with a script after an error; up to 8 commands are then in flight
    #[arg(short, long)]
    pub keep_going: bool,

    /// How long to wait for each reply [default: as long as it takes]
    #[arg(short, long, value_name = "SECS", value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// How long connection and greeting may take [default: 10 for scripts; the prompt waits]
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub connect_timeout: Option<Duration>,

    /// How to print values
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// The same as -o pretty
    #[arg(short, long, conflicts_with = "output")]
    pub pretty: bool,

    /// Print whole replies, {"return": …} or {"error": …}, not just the value
    #[arg(long)]
    pub envelope: bool,

    /// Print the JSON that would be sent; send nothing, and need no connection
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Type bare words by the schema in PATH, a saved reply to query-qmp-schema
    #[arg(long, value_name = "PATH")]
    pub schema: Option<PathBuf>,

    /// Echo each message sent and received on standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// Append each message to PATH, as JSON lines with `time`, `dir` and `msg`
    #[arg(short, long, value_name = "PATH", visible_alias = "logfile")]
    pub log: Option<PathBuf>,

    /// Where a script's events go, as JSON lines
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    pub events: EventsTo,

    /// Run the command N times; 0 is until stopped
    #[arg(long, value_name = "N")]
    pub repeat: Option<u64>,

    /// With --repeat, start one every SECS
    #[arg(long, value_name = "SECS", value_parser = seconds, requires = "repeat")]
    pub interval: Option<Duration>,

    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: When,

    /// Neither read nor write the history file
    #[arg(long)]
    pub no_history: bool,

    /// Read no configuration file (there is none so far)
    #[arg(long, hide = true)]
    pub no_config: bool,

    /// Wrap TCP connections in TLS, with the credentials in DIR
    ///
    /// They are laid out as QEMU's own tls-creds-x509 wants them: ca-cert.pem, and client-cert.pem and
    /// client-key.pem where the server verifies its peers. ca-crl.pem is honoured.
    #[arg(long, value_name = "DIR")]
    pub tls_creds: Option<PathBuf>,

    /// The name that the server's certificate must be for, instead of the address's host
    #[arg(long, value_name = "NAME", requires = "tls_creds")]
    pub tls_hostname: Option<String>,

    /// Do not negotiate out-of-band execution
    #[arg(long)]
    pub no_oob: bool,

    /// Seek the connection again when it is not there or ends, for at most SECS [default: at the prompt only, for
    /// as long as it takes]
    #[arg(long, value_name = "SECS", value_parser = seconds, num_args = 0..=1, require_equals = true)]
    pub reconnect: Option<Option<Duration>>,

    /// Do not seek the connection again
    #[arg(long, conflicts_with = "reconnect")]
    pub no_reconnect: bool,

    // Last, for the heading counts for all that follows.
    #[command(flatten, next_help_heading = "Options for --launch")]
    pub vm: VmOptions,
}

const USAGE: &str = "qmpsh [OPTIONS] ADDRESS [COMMAND [ARG]...]\n       \
                     qmpsh [OPTIONS] --connect ADDRESS [COMMAND [ARG]...]\n       \
                     qmpsh [OPTIONS] --listen ADDRESS [COMMAND [ARG]...]\n       \
                     qmpsh [OPTIONS] --launch [COMMAND [ARG]...] [-- [QEMU] [ARG]...]\n       \
                     qmpsh --list";

/// How a QEMU is started.
#[derive(Debug, Default, clap::Args)]
pub struct VmOptions {
    /// Where its monitor is: a Unix socket's path or HOST:PORT, for others too, or `none` [default: ours alone]
    #[arg(long, value_name = "ADDRESS|none", requires = "launch")]
    pub monitor: Option<Monitor>,

    /// Run QEMU with this, `strace -f` for example; words are split at blanks
    #[arg(
        long,
        value_name = "COMMAND",
        requires = "launch",
        allow_hyphen_values = true
    )]
    pub wrapper: Option<String>,

    /// Pass an inherited descriptor on: N[,set=M][,opaque=TEXT] is QEMU's -add-fd, in set N unless M is given;
    /// may be given again
    #[arg(long, value_name = "N", requires = "launch", action = ArgAction::Append)]
    pub add_fd: Vec<PassedFd>,

    /// Name the VM, and its logs
    #[arg(long, value_name = "NAME", requires = "launch")]
    pub name: Option<String>,

    /// Give the guest a serial console, drained into a log; `:console` attaches to it
    #[arg(long, requires = "launch")]
    pub console: bool,

    /// How large the console's log may be: 512K, 64M, 2G; then it is begun anew, and what there was is kept once, as
    /// LOG.1; 0 is without a limit [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "console")]
    pub console_log_limit: Option<u64>,

    /// Where to put, and leave, the logs of QEMU's output and of the console
    #[arg(long, value_name = "DIR", requires = "launch")]
    pub log_dir: Option<PathBuf>,

    /// Where to make the directory for temporary files, which is removed in the end
    #[arg(long, value_name = "DIR", requires = "launch")]
    pub temp_dir: Option<PathBuf>,

    /// How long QEMU may take to end before it is killed [default: 30]
    #[arg(long, value_name = "SECS", value_parser = seconds, requires = "launch")]
    pub shutdown_timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// A length of time in seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(lang::seconds)
        .ok_or_else(|| "expected a number of seconds".to_owned())
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
