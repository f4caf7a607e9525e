//! Interprets the command line: which words are the address, the command and QEMU's arguments.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::iter;

use clap::error::ContextValue;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use super::options::{COMMON, Cli};
use crate::failure::Failure;
use crate::os::stderr::say;
use crate::render::{escape, escape_line};

/// The interpreted command line.
#[derive(Debug)]
pub struct Invocation {
    /// The options as parsed.
    pub cli: Cli,
    /// The address to connect to or listen at, if one was given.
    pub address: Option<String>,
    /// The words of the command; may be empty.
    pub command: Vec<String>,
    /// Whether there is nothing to connect to and nothing to run, so that the user may want to know what there is.
    pub bare: bool,
    /// QEMU's command line, for `--launch`.
    pub qemu: Vec<OsString>,
}

impl Invocation {
    /// Reads this process's command line. `--help`, `--version` and the usage errors that clap finds end the
    /// process.
    ///
    /// # Errors
    ///
    /// Options conflict in a way that clap cannot express.
    pub fn from_env() -> Result<Self, Failure> {
        let (words, qemu) = split_off_qemu(std::env::args_os().collect());
        let (cli, option_after) = match plain(&words) {
            Some(cli) => (cli, None),
            None => parse(end_options_at_builtin(words))?,
        };
        let usage = |message: String| Err(Failure::Usage(message));

        let mut words: Vec<String> = cli.first.iter().chain(&cli.rest).cloned().collect();
        let first_is_address = cli.connect.is_none()
            && cli.listen.is_none()
            && !cli.launch
            && words
                .first()
                .is_some_and(|word| !cli.dry_run || looks_like_address(word));
        let address = match &cli.connect {
            Some(address) => Some(address.clone()),
            None if first_is_address => Some(words.remove(0)),
            None if cli.launch => None,
            None if cli.listen.is_some() => cli.listen.clone(),
            None => std::env::var("QMP_SOCKET").ok().filter(|a| !a.is_empty()),
        };

        if first_is_address
            && std::env::var_os("QMP_SOCKET").is_some()
            && let Some(word) = &address
            && !looks_like_address(word)
            && !std::path::Path::new(word).exists()
        {
            let line = iter::once(word).chain(&words);
            let line = line.map(String::as_str).collect::<Vec<_>>().join(" ");
            return usage(format!(
                "`{word}` was taken as an address; to run a command on QMP_SOCKET, use --execute '{line}'"
            ));
        }
        if !first_is_address && let Some(option) = option_after {
            return usage(misplaced(&format!("--{option}")));
        }
        let is_builtin = words.first().is_some_and(|word| word.starts_with(':'));
        if !is_builtin && let Some(option) = words.iter().find(|word| is_option(word)) {
            return usage(misplaced(option));
        }
        if !words.is_empty() && (!cli.execute.is_empty() || cli.file.is_some()) {
            return usage(format!(
                "`{}` is already a command; give only one of a command, --execute and --file",
                words[0]
            ));
        }
        if cli.repeat.is_some() && words.is_empty() && cli.execute.is_empty() {
            return usage("--repeat needs a command or --execute".to_owned());
        }
        if let Some(command) = words.first()
            && cli.replay.is_some()
        {
            return usage(format!(
                "`{command}` is a command; --replay has those of its log"
            ));
        }
        let prints = cli.list || cli.man || cli.completions.is_some() || !cli.complete.is_empty();
        let needs_none = cli.dry_run || prints || cli.launch || cli.mock.is_some();
        let bare = address.is_none()
            && !needs_none
            && words.is_empty()
            && cli.execute.is_empty()
            && cli.file.is_none()
            && cli.replay.is_none()
            && std::io::stdin().is_terminal();
        if address.is_none() && !needs_none && !bare {
            return usage(
                "no address given; name the socket (qmpsh /path/to/qmp.sock) or set QMP_SOCKET"
                    .to_owned(),
            );
        }
        Ok(Self {
            bare,
            cli,
            address,
            command: words,
            qemu,
        })
    }
}

/// Adds a `--` before a built-in that an option follows: that is the built-in's own, whatever it looks like.
fn end_options_at_builtin(mut words: Vec<OsString>) -> Vec<OsString> {
    let text = |at: usize| words.get(at).and_then(|word| word.to_str());
    let names_builtin = |at: &usize| {
        let name = text(*at).and_then(|word| word.strip_prefix(':'));
        name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    let found = (1..words.len()).find(names_builtin).filter(|at| {
        let is_value = text(at - 1).is_some_and(|word| ["-e", "--execute", "--"].contains(&word));
        !is_value && text(at + 1).is_some_and(|word| word.starts_with('-'))
    });
    if let Some(at) = found {
        words.insert(at, "--".into());
    }
    words
}

/// Parses the command line with clap. Also returns the name of an option given after the first positional word,
/// if there is one.
fn parse(words: Vec<OsString>) -> Result<(Cli, Option<String>), Failure> {
    let command = Cli::command().mut_args(|arg| match COMMON.contains(&arg.get_id().as_str()) {
        true => arg,
        false => arg.hide_short_help(true),
    });
    let mut matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => exit(error),
    };
    let option_after = matches
        .index_of("first")
        .and_then(|at| option_after(&matches, at));
    let cli = Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| exit(error));
    Ok((cli, option_after))
}

/// Ends the process as clap would: with help, the version, or an error. An error may quote any text.
fn exit(mut error: clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    let quoted: Vec<_> = error
        .context()
        .map(|(kind, value)| (kind, value.clone()))
        .collect();
    for (kind, value) in quoted {
        if let ContextValue::String(text) = value {
            let text = escape_line(&text).into_owned();
            error.insert(kind, ContextValue::String(text));
        }
    }
    let text = error.render().to_string();
    say(escape(text.trim_end()));
    std::process::exit(error.exit_code())
}

/// Parses a command line whose only option, if any, is a leading `--connect`; `None` for any other. Most
/// one-shot commands look like this, and clap would take a tenth of their run time.
fn plain(words: &[OsString]) -> Option<Cli> {
    let words: Option<Vec<&str>> = words.iter().skip(1).map(|word| word.to_str()).collect();
    let words = words?;
    let (connect, words) = match &words[..] {
        ["-c" | "--connect", address, words @ ..] => (Some(*address), words),
        words => (None, words),
    };
    if connect
        .iter()
        .chain(words)
        .any(|word| word.starts_with('-'))
    {
        return None;
    }
    let mut words = words.iter().map(|word| (*word).to_owned());
    Some(Cli {
        connect: connect.map(str::to_owned),
        first: words.next(),
        rest: words.collect(),
        ..Cli::default()
    })
}

/// Splits a command line at the `--` that follows `--launch`, into our words and QEMU's.
fn split_off_qemu(mut words: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let launch = words.iter().position(|word| word == "--launch");
    let dashes = words.iter().position(|word| word == "--");
    match (launch, dashes) {
        (Some(launch), Some(dashes)) if launch < dashes => {
            let qemu = words.split_off(dashes + 1);
            words.pop();
            (words, qemu)
        }
        _ => (words, Vec::new()),
    }
}

/// Whether a word that could be an address or a command can only be an address.
fn looks_like_address(word: &str) -> bool {
    !word.starts_with([':', '{', '_']) && word.contains(['/', ':', '.']) && !word.contains('=')
}

/// The name of an option that was given after index `at` of the command line.
fn option_after(matches: &clap::ArgMatches, at: usize) -> Option<String> {
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

/// Whether a word is spelled like one of our options.
fn is_option(word: &str) -> bool {
    if !word.starts_with('-') {
        return false;
    }
    let command = Cli::command();
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
    format!("`{option}` comes after the command; options of qmpsh go before it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        let words = ["qmpsh"].into_iter().chain(line.split_whitespace());
        words.map(OsString::from).collect()
    }

    #[test]
    fn a_plain_command_line_means_the_same_with_and_without_clap() {
        for line in [
            "",
            "vm.sock",
            "vm.sock query-status",
            "host:1 a b=-c d",
            "-c vm.sock",
            "--connect vm.sock qom-list path=/",
        ] {
            let words = words(line);
            let cli = plain(&words).expect("no other option");
            let (parsed, None) = parse(words).expect("clap takes it") else {
                panic!("clap finds an option after the first word of `{line}`");
            };
            assert_eq!(format!("{cli:?}"), format!("{parsed:?}"));
        }
        for line in [
            "-h",
            "-c",
            "vm.sock -v",
            "-c -h",
            "a b -- c",
            "-k vm.sock",
            "-cvm.sock",
        ] {
            assert!(plain(&words(line)).is_none(), "{line}");
        }
    }

    #[test]
    fn our_options_are_recognized_by_their_spelling() {
        for word in ["-p", "--pretty", "--log=x", "--logfile", "-ofoo", "-h"] {
            assert!(is_option(word), "{word}");
        }
        for word in ["a=-p", "-1", "--nope", "-", "--"] {
            assert!(!is_option(word), "{word}");
        }
    }

    #[test]
    fn addresses_are_distinguished_from_commands() {
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
