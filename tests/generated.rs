//! The man page and the licences are generated, and checked in so that packagers need not run anything.
//! `QMPSH_GENERATE=1 cargo test generated::` writes them anew.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use qmpsh::cli::Cli;
use qmpsh::exec::builtin::{BUILTINS, example};
use qmpsh::manual::recipes::{RECIPES, Recipe};

use crate::common::{licences, qmpsh};

/// When this version of the man page was written.
const DATE: &str = "2026-11-21";

#[test]
fn the_man_page_is_current() {
    let man = Man::new(Cli::command());
    let mut page = Vec::new();
    man.render_name_section(&mut page).expect("memory takes it");
    man.render_synopsis_section(&mut page)
        .expect("memory takes it");
    man.render_description_section(&mut page)
        .expect("memory takes it");
    page.extend(include_bytes!("../man/language.roff"));
    built_ins().to_writer(&mut page).expect("memory takes it");
    recipes().to_writer(&mut page).expect("memory takes it");
    man.render_options_section(&mut page)
        .expect("memory takes it");
    page.extend(include_bytes!("../man/ends.roff"));
    let page = String::from_utf8(page).expect("the page is text");
    let title = format!(
        ".TH QMPSH 1 {DATE} \"qmpsh {}\" \"User Commands\"\n",
        env!("CARGO_PKG_VERSION")
    );
    check("man/qmpsh.1", &(title + &tidy(&page)));
}

#[test]
fn the_licences_of_what_is_linked_are_current() {
    check("THIRD-PARTY.md", &licences::text());
}

fn built_ins() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["BUILT-INS"]);
    roff.text([roman("Lines that start with a colon are qmpsh's own.")]);
    for builtin in BUILTINS {
        roff.control("TP", []);
        roff.text([
            bold(format!(":{}", builtin.name)),
            roman(format!(" {}", builtin.synopsis())),
        ]);
        roff.text([roman(format!("{}.", capital(builtin.summary)))]);
        for line in builtin.help.lines() {
            roff.text([roman(line)]);
        }
        if let Some(line) = example(builtin.name) {
            roff.control("IP", []);
            roff.text([roman("Example: "), bold(line)]);
        }
    }
    roff
}

fn recipes() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["RECIPES"]);
    roff.text([
        roman("What people do over QMP, as files to read and to change; "),
        bold(":recipe NAME"),
        roman(" shows one."),
    ]);
    for recipe in RECIPES {
        roff.control("TP", []);
        roff.text([bold(recipe.name())]);
        roff.text([roman(recipe.title())]);
    }
    roff
}

#[test]
fn the_list_of_recipes_is_current() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes/README.md");
    let page = std::fs::read_to_string(page).expect("it is checked in");
    let (before, _) = page.split_once("| `").expect("a list");
    let (_, after) = page.rsplit_once("|\n").expect("a list");
    let row = |recipe: &Recipe| format!("| `{}` | {} |\n", recipe.file, recipe.title());
    let rows: String = RECIPES.iter().map(row).collect();
    check("tests/recipes/README.md", &format!("{before}{rows}{after}"));
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// Makes a page as `mandoc -Tlint` wants it: no line of text longer than 80 bytes, no white space at the end, no empty
/// line where a paragraph of an option ends, and what clap_mangen writes before each section only once.
fn tidy(page: &str) -> String {
    const LONGEST: usize = 79;
    let mut tidy = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n".to_owned();
    // A terminal without UTF-8 lacks these.
    for (character, instead) in [("2016", "|"), ("2026", "..."), ("25CF", "*"), ("2726", "+")] {
        let character = format!("\\[u{character}]");
        tidy.push_str(&format!(
            ".if \\n(.g .if !c{character} .char {character} {instead}\n"
        ));
    }
    let mut as_it_is = false;
    let mut is_tag = false;
    let mut lines = page.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() && lines.peek().is_some_and(|next| !next.starts_with('.')) {
            tidy.push_str(".IP\n");
        }
        if line.starts_with(".ie ") || line.starts_with(".el ") || line.is_empty() {
            continue;
        }
        if line == ".br" && tidy.ends_with("\n.br\n") {
            continue;
        }
        as_it_is = match line {
            ".nf" => true,
            ".fi" => false,
            _ => as_it_is,
        };
        let stays = as_it_is || is_tag || line.starts_with('.');
        is_tag = line == ".TP";
        let mut rest = line;
        while !stays && let Some(end) = end_of(rest, LONGEST) {
            let Some(at) = rest[..end].rfind(' ').filter(|at| *at > 0) else {
                break;
            };
            tidy.push_str(rest[..at].trim_end());
            rest = rest[at..].trim_start();
            // At the start of a line, these make a request of it.
            tidy.push_str(match rest.starts_with(['.', '\'']) {
                true => "\n\\&",
                false => "\n",
            });
        }
        tidy.push_str(rest);
        tidy.push('\n');
    }
    tidy
}

/// Where a line that is longer than this has to end. mandoc reads `…` as `\[u2026]`.
fn end_of(line: &str, longest: usize) -> Option<usize> {
    let mut length = 0;
    line.char_indices().find_map(|(at, c)| {
        length += if c.is_ascii() { 1 } else { 8 };
        (length > longest).then_some(at)
    })
}

#[test]
fn the_man_page_is_free_of_warnings() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/qmpsh.1");
    for (program, options) in [
        ("mandoc", &["-Tlint", "-Wstyle"][..]),
        ("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]),
        ("man", &["--warnings", "-E", "ascii", "-l", "-Tascii", "-Z"]),
    ] {
        let checked = Command::new(program).args(options).arg(&page).output();
        let checked = checked.unwrap_or_else(|error| panic!("{program}: {error}: run tests/setup"));
        let said = match program {
            "mandoc" => checked.stdout,
            _ => checked.stderr,
        };
        assert_eq!(String::from_utf8_lossy(&said), "", "{program}");
    }
}

#[test]
fn the_program_prints_its_manual_and_its_completions() {
    // The program was built with what there was before.
    if is_generating() {
        return;
    }
    let file = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(path).expect("it is checked in")
    };
    let printed = qmpsh(&["--man"], "");
    printed.assert_status(0).assert_stdout(&file("man/qmpsh.1"));
    for (shell, path) in [
        ("bash", "completions/qmpsh.bash"),
        ("fish", "completions/qmpsh.fish"),
        ("zsh", "completions/_qmpsh"),
    ] {
        let printed = qmpsh(&["--completions", shell], "");
        printed.assert_status(0).assert_stdout(&file(path));
    }
    qmpsh(&["--completions", "tcsh"], "").assert_status(2);
    qmpsh(&["--man", "vm.sock"], "").assert_status(2);
}

#[test]
fn help_is_short_with_one_dash_and_no_line_is_too_long() {
    let short = qmpsh(&["-h"], "").assert_status(0).stdout();
    let long = qmpsh(&["--help"], "").assert_status(0).stdout();
    assert!(short.lines().count() <= 24, "{short}");
    for text in [&short, &long] {
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        let (_, examples) = text.split_once("\nExamples:\n").expect("examples");
        assert!(examples.lines().count() >= 3, "{text}");
    }
    for argument in Cli::command()
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
    {
        if let Some(name) = argument.get_long() {
            assert!(long.contains(&format!("--{name}")), "--{name}");
        }
    }
}

pub fn is_generating() -> bool {
    std::env::var_os("QMPSH_GENERATE").is_some()
}

/// Compares a generated text with what is checked in, or writes it.
pub fn check(path: &str, generated: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if is_generating() {
        std::fs::write(&file, generated).expect("the file can be written");
    }
    let current = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        current == generated,
        "{path} is not what the options say: run QMPSH_GENERATE=1 cargo test generated::"
    );
}
