//! Every option, once. Help, man page and shell completions come from here.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::exit::Failure;
use crate::render::Format;

/// An interactive shell for QMP, QEMU's machine protocol.
///
/// With no COMMAND, standard input decides: a terminal gets the interactive shell, anything else is
/// read as a script, a line a command.
#[derive(Debug, Parser)]
#[command(name = "qmpsh", version, max_term_width = 100, override_usage = USAGE)]
pub struct Cli {
    /// Where QEMU listens: a Unix socket's path or unix:PATH, HOST:PORT, [V6]:PORT, :PORT or tcp:HOST:PORT
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
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "auto")]
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

    /// Echo each message sent and received on standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// Append each message to PATH, as JSON lines with `time`, `dir` and `msg`
    #[arg(short, long, value_name = "PATH", visible_alias = "logfile")]
    pub log: Option<PathBuf>,

    /// Where a script's events go, as JSON lines
    #[arg(long, value_name = "WHERE", value_enum, default_value = "none")]
    pub events: EventsTo,

    /// Run the command N times; 0 is until stopped
    #[arg(long, value_name = "N")]
    pub repeat: Option<u64>,

    /// With --repeat, start one every SECS
    #[arg(long, value_name = "SECS", value_parser = seconds, requires = "repeat")]
    pub interval: Option<Duration>,

    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    pub color: When,

    /// Neither read nor write the history file
    #[arg(long)]
    pub no_history: bool,

    /// Read no configuration file (there is none so far)
    #[arg(long, hide = true)]
    pub no_config: bool,

    /// Do not negotiate out-of-band execution
    #[arg(long)]
    pub no_oob: bool,

    /// Do not reconnect (nothing does so far)
    #[arg(long, hide = true)]
    no_reconnect: bool,
}

/// Options that are specified and not there yet, with what they are for. They are known by name alone, so
/// that they cost nothing.
const UNBUILT: &[(&str, &str)] = &[
    ("-H", "the HMP shell (-H, --hmp)"),
    ("--hmp", "the HMP shell (-H, --hmp)"),
    ("-N", "talking to a guest agent (-N, --skip-negotiation)"),
    (
        "--skip-negotiation",
        "talking to a guest agent (-N, --skip-negotiation)",
    ),
    ("-j", "jq filters (-j, --jq)"),
    ("--jq", "jq filters (-j, --jq)"),
    ("--listen", "--listen"),
    ("--launch", "--launch"),
    ("--list", "--list"),
    ("--dialect", "--dialect"),
    ("--reconnect", "--reconnect"),
    ("--tls-creds", "--tls-creds"),
    ("--tls-hostname", "--tls-hostname"),
];

/// The error for an option that is not built yet, if that is what `error` is about.
fn unbuilt(error: &clap::Error) -> Option<Failure> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let (_, what) = UNBUILT.iter().find(|(name, _)| name == option)?;
    Some(Failure::Usage(format!("{what} is not built yet")))
}

const USAGE: &str = "qmpsh [OPTIONS] ADDRESS [COMMAND [ARG]...]\n       \
                     qmpsh [OPTIONS] --connect ADDRESS [COMMAND [ARG]...]";

/// Where a script's events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventsTo {
    None,
    Stderr,
    Stdout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

/// The command line, understood.
#[derive(Debug)]
pub struct Invocation {
    pub cli: Cli,
    /// Where to connect, if anybody said.
    pub address: Option<String>,
    /// The command's words, possibly none.
    pub command: Vec<String>,
}

impl Invocation {
    /// Reads this process's command line. Help, version and usage errors end the process, as clap
    /// has it.
    ///
    /// # Errors
    ///
    /// Options that do not go together in a way clap cannot know, or that are not built yet.
    pub fn from_env() -> Result<Self, Failure> {
        let mut matches = match Cli::command().try_get_matches() {
            Ok(matches) => matches,
            Err(error) => return Err(unbuilt(&error).unwrap_or_else(|| error.exit())),
        };
        let option_behind = matches
            .index_of("first")
            .and_then(|at| option_behind(&matches, at));
        let cli = Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit());
        if cli.output == Format::Table {
            return Err(Failure::Usage(
                "the output format `table` is not built yet".to_owned(),
            ));
        }
        let usage = |message: String| Err(Failure::Usage(message));

        let mut words: Vec<String> = cli.first.iter().chain(&cli.rest).cloned().collect();
        let first_is_address = cli.connect.is_none()
            && words
                .first()
                .is_some_and(|word| !cli.dry_run || looks_like_address(word));
        let address = match &cli.connect {
            Some(address) => Some(address.clone()),
            None if first_is_address => Some(words.remove(0)),
            None => std::env::var("QMP_SOCKET").ok().filter(|a| !a.is_empty()),
        };

        if !first_is_address && let Some(option) = option_behind {
            return usage(misplaced(&format!("--{option}")));
        }
        let is_builtin = words.first().is_some_and(|word| word.starts_with(':'));
        if !is_builtin && let Some(option) = words.iter().find(|word| is_option(word)) {
            return usage(misplaced(option));
        }
        if first_is_address
            && std::env::var_os("QMP_SOCKET").is_some()
            && let Some(word) = &address
            && !looks_like_address(word)
            && !std::path::Path::new(word).exists()
        {
            return usage(format!(
                "`{word}` is taken for an address; with QMP_SOCKET set, say --execute '{word}'"
            ));
        }
        if !words.is_empty() && (!cli.execute.is_empty() || cli.file.is_some()) {
            return usage(format!(
                "`{}` is a command already; give either a command, --execute or --file",
                words[0]
            ));
        }
        if cli.repeat.is_some() && words.is_empty() && cli.execute.is_empty() {
            return usage("--repeat needs a command to run, or --execute".to_owned());
        }
        if address.is_none() && !cli.dry_run {
            return usage(
                "no address: say where QEMU listens (qmpsh /path/to/qmp.sock), or set QMP_SOCKET"
                    .to_owned(),
            );
        }
        Ok(Self {
            cli,
            address,
            command: words,
        })
    }
}

/// Whether a word can only be meant as an address, in a place where it could also be a command.
fn looks_like_address(word: &str) -> bool {
    !word.starts_with([':', '{', '_']) && word.contains(['/', ':', '.']) && !word.contains('=')
}

/// The name of an option that was given behind the `at`th word of the command line.
fn option_behind(matches: &clap::ArgMatches, at: usize) -> Option<String> {
    matches
        .ids()
        .filter(|id| !matches!(id.as_str(), "first" | "rest" | "Cli"))
        .filter(|id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine))
        .find(|id| {
            matches
                .indices_of(id.as_str())
                .is_some_and(|mut indices| indices.any(|index| index > at))
        })
        .map(|id| id.as_str().replace('_', "-"))
}

/// Whether a word is spelled as one of our options is.
fn is_option(word: &str) -> bool {
    let command = Cli::command();
    if UNBUILT.iter().any(|(name, _)| *name == word) {
        return true;
    }
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or(long);
        return command.get_arguments().any(|arg| {
            arg.get_long() == Some(name)
                || arg
                    .get_all_aliases()
                    .is_some_and(|aliases| aliases.contains(&name))
        });
    }
    let mut letters = word.chars();
    letters.next() == Some('-')
        && letters.next().is_some_and(|letter| {
            letter == 'h'
                || letter == 'V'
                || command
                    .get_arguments()
                    .any(|arg| arg.get_short() == Some(letter))
        })
}

fn misplaced(option: &str) -> String {
    format!("`{option}` stands behind the command; options of qmpsh go before it")
}

/// A length of time in seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_options_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn our_options_are_known_by_their_spelling() {
        for word in ["-p", "--pretty", "--log=x", "--logfile", "-ofoo", "-h"] {
            assert!(is_option(word), "{word}");
        }
        for word in ["a=-p", "-1", "--nope", "-", "--"] {
            assert!(!is_option(word), "{word}");
        }
    }

    #[test]
    fn addresses_are_told_from_commands() {
        for word in ["/run/vm.sock", "vm.sock", "host:1", "./a"] {
            assert!(looks_like_address(word), "{word}");
        }
        for word in [
            "query-status",
            ":oob",
            "{\"execute\": \"stop\"}",
            "__com.redhat_x",
        ] {
            assert!(!looks_like_address(word), "{word}");
        }
    }
}
