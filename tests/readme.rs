//! README.md. The tour is typed line by line into a terminal, which must show what README.md shows; the other examples are
//! lines that this qmpsh takes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use clap::CommandFactory;
use qmpsh::cli::Cli;

use crate::common::terminal::{TAB, Terminal};
use crate::common::{Qemu, qemu, qmpsh, scratch, text};

/// A line to type, and what the terminal shows then, up to the next prompt.
struct Step {
    /// The prompt that the line stands after.
    prompt: String,
    line: String,
    shown: Vec<String>,
}

fn readme() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    fs::read_to_string(readme).expect("it is there")
}

/// The steps of the blocks in the tour.
fn steps() -> Vec<Step> {
    let readme = readme();
    let (_, tour) = readme.split_once("\n## A tour\n").expect("a tour");
    let (tour, _) = tour.split_once("\n## ").expect("an end");
    let mut steps: Vec<Step> = Vec::new();
    for block in tour.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("an end");
        for row in block.lines() {
            let ends = [("(tour ", ") "), ("$", " "), ("Leaving", "[y/N] ")];
            let typed = ends.iter().find_map(|(start, end)| {
                let (prompt, line) = row.split_once(end)?;
                prompt
                    .starts_with(start)
                    .then(|| (format!("{prompt}{end}"), line))
            });
            match (typed, steps.last_mut()) {
                (Some((prompt, line)), _) => steps.push(Step {
                    prompt: prompt.trim_end().to_owned(),
                    line: line.to_owned(),
                    shown: Vec::new(),
                }),
                (None, Some(step)) => step.shown.push(row.to_owned()),
                (None, None) => panic!("`{row}` comes before the first line to type"),
            }
        }
    }
    steps
}

/// Whether a row on the screen is the one in README.md, where `…` is any text and any time of the day is as good.
fn fits(pattern: &str, row: &str) -> bool {
    let timeless = |text: &str| -> String {
        let is_time = |word: &str| word.len() == 12 && word.matches(':').count() == 2;
        let words: Vec<&str> = text.split_whitespace().collect();
        let words = words
            .iter()
            .map(|word| if is_time(word) { "TIME" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let (pattern, row) = (timeless(pattern), timeless(row));
    match pattern.split_once('…') {
        Some((start, end)) => {
            let rest = row.strip_prefix(start);
            rest.is_some_and(|rest| rest.ends_with(end))
        }
        None => pattern == row,
    }
}

/// Whether the rows are those in README.md; a row of `…` alone is any number of them. Events come when they like, so the
/// order is free.
fn all_fit(patterns: &[String], rows: &[&str]) -> bool {
    let mut rows = rows.to_vec();
    let (any, patterns): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| *pattern == "…");
    for pattern in patterns {
        let Some(at) = rows.iter().position(|row| fits(pattern, row)) else {
            return false;
        };
        rows.remove(at);
    }
    rows.is_empty() == any.is_empty()
}

#[test]
fn the_tour_goes_as_readme_says() {
    let home = scratch();
    // The QEMU under test, by the name that README.md has for it.
    let programs = home.path().join("programs");
    fs::create_dir(&programs).expect("a directory of ours");
    let found = Path::new(&qemu()).to_owned();
    let found = match found.is_absolute() {
        true => found,
        false => std::env::split_paths(&std::env::var_os("PATH").expect("a path"))
            .map(|directory| directory.join(&found))
            .find(|path| path.exists())
            .expect("QEMU is installed"),
    };
    symlink(found, programs.join("qemu-system-x86_64")).expect("a link of ours");
    symlink(env!("CARGO_BIN_EXE_qmpsh"), programs.join("qmpsh")).expect("a link of ours");

    let mut shell = Terminal::command("sh", home.path());
    shell.arg("-i");
    shell.env("PS1", "$ ");
    let path = std::env::var("PATH").expect("a path");
    shell.env("PATH", format!("{}:{path}", text(&programs)));
    let mut terminal = Terminal::run(shell);
    // Nothing scrolls away.
    terminal.resize(200, 140);
    let contents = |terminal: &Terminal| {
        let screen = terminal.look(vt100::Screen::contents);
        screen.trim_end().to_owned()
    };
    let steps = steps();
    assert!(steps.len() > 10, "the tour is gone");
    for (at, step) in steps.iter().enumerate() {
        terminal.wait(&step.prompt, |_| {
            contents(&terminal).lines().last() == Some(&step.prompt)
        });
        let typed = format!("{} {}", step.prompt, step.line.replace('⇥', ""));
        if let Some((before, completed)) = step.line.split_once('⇥') {
            terminal.keys(before);
            terminal.keys(TAB);
            terminal.wait(completed, |_| contents(&terminal).ends_with(&typed));
        } else {
            terminal.keys(&step.line);
        }
        terminal.keys("\r");
        let next = steps.get(at + 1).map_or("$", |next| &next.prompt);
        terminal.wait(&step.line, |_| {
            let screen = contents(&terminal);
            let rows: Vec<&str> = screen.lines().collect();
            let Some(at) = rows.iter().rposition(|row| row.trim_end() == typed) else {
                return false;
            };
            let [shown @ .., last] = &rows[at + 1..] else {
                return false;
            };
            *last == next && all_fit(&step.shown, shown)
        });
    }
    terminal.keys("exit\r");
    terminal.wait_for_end();
}

/// The lines of the indented blocks.
fn examples() -> Vec<String> {
    let readme = readme();
    let lines = readme.lines();
    lines
        .filter_map(|line| line.strip_prefix("    ").map(str::to_owned))
        .collect()
}

#[test]
fn every_command_line_in_readme_has_options_that_there_are() {
    let mut checked = 0;
    for line in examples() {
        let Some(at) = line
            .find("qmpsh ")
            .filter(|at| *at == 0 || line[..*at].ends_with("| "))
        else {
            continue;
        };
        let words = shell_words::split(&line[at..]).expect("words");
        // What follows is the shell's, or a comment.
        let ours = words.iter().take_while(|word| {
            !["&&", "|", "#"].contains(&word.as_str()) && !word.starts_with('>')
        });
        Cli::command()
            .try_get_matches_from(ours)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn every_command_in_readme_is_one_that_qemu_has_and_parses() {
    let home = scratch();
    let schema = home.path().join("schema.json");
    let qemu = Qemu::start();
    let reply = qemu.qmpsh(&["query-qmp-schema"]).assert_status(0).stdout();
    fs::write(&schema, reply).expect("a file of ours");
    let commands = qemu.qmpsh(&["-o", "raw", "-j", ".[].name", "query-commands"]);
    let commands = commands.assert_status(0).stdout();
    let mut lines: Vec<String> = examples()
        .iter()
        .map(|line| line.strip_prefix("(QEMU) ").unwrap_or(line).to_owned())
        .filter(|line| {
            let name = line.split([' ', '<']).next().unwrap_or_default();
            name.starts_with(':') || commands.lines().any(|command| command == name)
        })
        .collect();
    // A heading of the recipes, and what stands after two spaces or more, are not part of a line.
    for line in &mut lines {
        line.truncate(line.find("   ").unwrap_or(line.len()));
    }
    assert!(lines.len() > 20, "{lines:?}");
    for line in &lines {
        let dry = [
            "-n",
            "--schema",
            text(&schema),
            "--var",
            "f=x",
            "--var",
            "nodes=[]",
            "-e",
        ];
        // What `:let` keeps is known only when it runs.
        let line = &line.replace("${nodes.0.node-name}", "$f");
        let outcome = qmpsh(&[&dry[..], &[line]].concat(), "");
        assert_eq!(outcome.status(), Some(0), "{line}: {}", outcome.stderr());
    }
}
