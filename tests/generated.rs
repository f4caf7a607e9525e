//! The man page, the shell completions and the licences are generated, and checked in so that packagers need not run
//! anything. `QMPSH_GENERATE=1 cargo test generated::` writes them anew.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use qmpsh::cli::Cli;
use qmpsh::exec::builtin::BUILTINS;

use crate::common::licences;

#[test]
fn the_man_page_is_current() {
    let man = Man::new(Cli::command());
    let mut page = Vec::new();
    man.render_title(&mut page).expect("memory takes it");
    man.render_name_section(&mut page).expect("memory takes it");
    man.render_synopsis_section(&mut page)
        .expect("memory takes it");
    man.render_description_section(&mut page)
        .expect("memory takes it");
    page.extend(include_bytes!("../man/language.roff"));
    built_ins().to_writer(&mut page).expect("memory takes it");
    man.render_options_section(&mut page)
        .expect("memory takes it");
    page.extend(include_bytes!("../man/ends.roff"));
    let page = String::from_utf8(page).expect("the page is text");
    // A new version must not change the page of an old one.
    check("man/qmpsh.1", &page);
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
        roff.text([roman(format!("{}. {}", builtin.summary, builtin.help))]);
    }
    roff
}

#[test]
fn the_shell_completions_are_current() {
    for (shell, name) in [
        (Shell::Bash, "qmpsh.bash"),
        (Shell::Zsh, "_qmpsh"),
        (Shell::Fish, "qmpsh.fish"),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "qmpsh", &mut script);
        let script = String::from_utf8(script).expect("a script is text");
        check(&format!("completions/{name}"), &script);
    }
}

/// Compares a generated text with what is checked in, or writes it.
pub fn check(path: &str, generated: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("QMPSH_GENERATE").is_some() {
        std::fs::write(&file, generated).expect("the file can be written");
    }
    let current = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        current == generated,
        "{path} is not what the options say: run QMPSH_GENERATE=1 cargo test generated::"
    );
}
