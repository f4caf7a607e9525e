//! `:recipe`: the recipes in `tests/recipes`, as the program has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use qmpsh::manual::recipes::RECIPES;

use crate::common::terminal::TAB;
use crate::common::{Outcome, Qemu, qmpsh};
use crate::tab::prompt;

/// `qmpsh -n LINE`, without a VM.
fn dry(line: &[&str]) -> Outcome {
    qmpsh(&[&["-n"], line].concat(), "")
}

#[test]
fn the_program_has_every_recipe_there_is() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes");
    let entries = fs::read_dir(directory).expect("it is there");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a text");
    let mut files: BTreeSet<String> = entries.flatten().map(name).collect();
    files.remove("README.md");
    let known = RECIPES.iter().map(|recipe| recipe.file.to_owned());
    assert_eq!(files, known.collect());
    let listed = dry(&[":recipe"]).assert_status(0).stdout();
    for recipe in RECIPES {
        let shown = dry(&[":recipe", recipe.name()]);
        shown.assert_status(0).assert_stdout(recipe.text);
        assert!(listed.contains(recipe.name()), "{listed}");
    }
}

#[test]
fn a_recipe_with_its_blanks_filled_in_runs_as_it_is() {
    let qemu = Qemu::start();
    let image = qemu.directory.path().join("a $disk.img");
    fs::write(&image, vec![0; 1 << 20]).expect("a file of ours");
    qemu.control("blockdev-add driver=file node-name=disk filename='a $disk.img'");
    let lines = dry(&[":recipe", "resize", "node=disk", "size=2M"]);
    let lines = lines.assert_status(0).stdout();
    qemu.script(&[], &lines).assert_status(0);
    let length = || fs::metadata(&image).expect("it is there").len();
    assert_eq!(length(), 2 << 20);
    // One of them is enough; another may be set elsewhere.
    let lines = dry(&["-e", ":recipe resize size=3M"])
        .assert_status(0)
        .stdout();
    qemu.script(&["--var", "node=disk"], &lines)
        .assert_status(0);
    assert_eq!(length(), 3 << 20);
    qemu.script(&[], &lines).assert_fails(2, "node");
    let lines = dry(&["-e", ":recipe inject-fault node=bad file='a $disk.img'"]);
    qemu.script(&[], lines.assert_status(0).stdout())
        .assert_status(0);
}

#[test]
fn what_a_recipe_does_not_have_is_named() {
    for (line, says) in [
        (":recipe throtle", "did you mean `throttle`?"),
        (":recipe frobnicate", "`:recipe` lists them"),
        (
            ":recipe throttle idd=x",
            "`throttle` has no `idd`; its blanks are `id` and `iops`",
        ),
        (":recipe ask-hmp id=x", "`ask-hmp` has no blanks"),
        (":recipe power-down seconds=5", "is a shell script"),
        (":recipe throttle id", "id"),
    ] {
        dry(&["-e", line]).assert_fails(2, says);
    }
}

#[test]
fn blanks_complete_from_the_vm() {
    let qemu = Qemu::start();
    qemu.control("blockdev-add driver=null-co node-name=disk7 size=1M");
    let mut terminal = prompt(&qemu);
    terminal.keys(":recipe resize\r");
    terminal.wait_for_text("`:recipe resize node=… size=…` fills it in.");
    terminal.keys(":recipe resi");
    terminal.keys(TAB);
    terminal.wait_for_text(":recipe resize");
    terminal.keys("no");
    terminal.keys(TAB);
    terminal.wait_for_text(":recipe resize node=");
    terminal.keys("di");
    terminal.keys(TAB);
    terminal.wait_for_text(":recipe resize node=disk7");
    terminal.keys("size=2M\r");
    terminal.wait_for_text("block_resize node-name=$node size=$size");
}
