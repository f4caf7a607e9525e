//! A command line of qmpsh that is being typed in a shell: what the last word of it is.

use clap::{Arg, Command, CommandFactory};

use super::options::Cli;

/// What a word can be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An option.
    Option,
    /// The value of an option, which takes these.
    OneOf(Vec<String>),
    /// A value that is a file, or a directory.
    File,
    Directory,
    /// Where to connect.
    Address,
    /// A word of a command, or of a built-in. The words before it are of it, too.
    Command {
        /// Where to connect, if that is on the line.
        address: Option<String>,
        words: Vec<String>,
    },
    /// Nothing that we could know.
    Anything,
}

/// What the last of `words` is, and the part of it that is to be completed: all but `--NAME=`.
pub(super) fn place(words: &[String]) -> (Place, &str) {
    let Some((typed, before)) = words.split_last() else {
        return (Place::Anything, "");
    };
    let command = Cli::command();
    let mut address = None;
    // The address, and then the command.
    let mut plain = Vec::new();
    let mut is_launched = false;
    let mut waiting: Option<&Arg> = None;
    for word in before {
        if let Some(option) = waiting.take() {
            if matches!(option.get_id().as_str(), "connect" | "listen") {
                address = Some(word.clone());
            }
            continue;
        }
        if plain.is_empty() && word == "--" {
            // QEMU's own options follow.
            return (Place::Anything, typed);
        }
        if !plain.is_empty() || !word.starts_with('-') || word == "-" {
            plain.push(word.clone());
            continue;
        }
        is_launched |= word == "--launch";
        let (name, value) = word
            .split_once('=')
            .map_or((&**word, None), |(n, v)| (n, Some(v)));
        let option = find(&command, name);
        match value {
            Some(value) if name == "--connect" => address = Some(value.to_owned()),
            Some(_) => {}
            None => waiting = option.filter(|option| takes_next(option)),
        }
    }
    if let Some(option) = waiting {
        return (value_of(option), typed);
    }
    if is_launched && before.iter().any(|word| word == "--") {
        return (Place::Anything, typed);
    }
    if plain.is_empty() && typed.starts_with('-') {
        return match typed.split_once('=') {
            Some((name, value)) => (
                find(&command, name).map_or(Place::Anything, value_of),
                value,
            ),
            None => (Place::Option, typed),
        };
    }
    let has_address = address.is_some() || is_launched;
    if !has_address && plain.is_empty() {
        return (Place::Address, typed);
    }
    if !has_address {
        address = Some(plain.remove(0));
    }
    (
        Place::Command {
            address,
            words: plain,
        },
        typed,
    )
}

/// The option that a word names, or that is the last of its letters.
fn find<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| match word.strip_prefix("--") {
            Some(name) => {
                let aliases = arg.get_all_aliases().unwrap_or_default();
                arg.get_long() == Some(name) || aliases.contains(&name)
            }
            None => arg.get_short().is_some_and(|letter| word.ends_with(letter)),
        })
}

/// Whether the word after the option is its value.
fn takes_next(option: &Arg) -> bool {
    option.get_action().takes_values() && !option.is_require_equals_set()
}

fn value_of(option: &Arg) -> Place {
    let values = option.get_possible_values();
    if !values.is_empty() {
        let shown = values.iter().filter(|value| !value.is_hide_set());
        return Place::OneOf(shown.map(|value| value.get_name().to_owned()).collect());
    }
    let names = option.get_value_names().unwrap_or_default();
    match names.first().map(|name| name.as_str()) {
        Some("PATH") => Place::File,
        Some("DIR") => Place::Directory,
        Some("ADDRESS") => Place::Address,
        _ => Place::Anything,
    }
}

/// All options that are not hidden, each with what it does.
pub(super) fn options() -> Vec<(String, String)> {
    let command = Cli::command();
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let help = |arg: &Arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        // A list has room for a clause.
        let clause = [". ", "; ", ": ", ", ", " (", " ["]
            .iter()
            .filter_map(|end| help.find(end))
            .min();
        help[..clause.unwrap_or(help.len())].to_owned()
    };
    let mut options = vec![
        ("--help".to_owned(), "Print help".to_owned()),
        ("--version".to_owned(), "Print version".to_owned()),
    ];
    options.extend(shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), help(arg)))));
    options.sort();
    options
}

/// Splits a line of a shell, up to the cursor, into words without their quotes. The last one is the one at the cursor,
/// and may be empty; the program's name is left out.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.push(word.unwrap_or_default());
    // Variables may be set for the program before its name.
    let is_set = |word: &String| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let name = words.iter().take_while(|word| is_set(word)).count();
    words.split_off((name + 1).min(words.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> (Place, String) {
        let words = split(&format!("qmpsh {line}"));
        let (place, typed) = place(&words);
        (place, typed.to_owned())
    }

    fn command(address: Option<&str>, words: &[&str]) -> Place {
        Place::Command {
            address: address.map(str::to_owned),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn what_a_word_can_be_follows_from_the_words_before() {
        for (line, place, typed) in [
            ("", Place::Address, ""),
            ("-", Place::Option, "-"),
            ("--no", Place::Option, "--no"),
            ("-k --file ", Place::File, ""),
            ("-f a", Place::File, "a"),
            ("--log-dir ", Place::Directory, ""),
            ("--connect ", Place::Address, ""),
            ("-kc ", Place::Address, ""),
            (
                "--color=al",
                Place::OneOf(vec!["auto".into(), "always".into(), "never".into()]),
                "al",
            ),
            ("-t ", Place::Anything, ""),
            ("vm.sock ", command(Some("vm.sock"), &[]), ""),
            (
                "-v vm.sock device_del id=",
                command(Some("vm.sock"), &["device_del"]),
                "id=",
            ),
            ("-c a.sock query", command(Some("a.sock"), &[]), "query"),
            ("--connect=a.sock x ", command(Some("a.sock"), &["x"]), ""),
            (
                "vm.sock :wait X --ti",
                command(Some("vm.sock"), &[":wait", "X"]),
                "--ti",
            ),
            ("--launch ", command(None, &[]), ""),
            ("--launch -- qemu-system-x86_64 -", Place::Anything, "-"),
            ("--reconnect vm.sock x", command(Some("vm.sock"), &[]), "x"),
            ("'my vm.sock' a", command(Some("my vm.sock"), &[]), "a"),
        ] {
            assert_eq!(of(line), (place, typed.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_line_is_split_as_a_shell_does_it() {
        let words = |line| split(line).join("|");
        assert_eq!(words("qmpsh a 'b c'\\ d \"e\\\"f\""), "a|b c d|e\"f");
        assert_eq!(words("A=1 ./qmpsh a "), "a|");
        assert_eq!(words("qmpsh a 'b c"), "a|b c");
        assert_eq!(words("qmpsh"), "");
    }

    #[test]
    fn nothing_hidden_is_offered() {
        let names: Vec<String> = options().into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"--connect".to_owned()));
        assert!(!names.contains(&"--complete".to_owned()));
    }
}
