//! `help` in the words of QEMU's installed reference.

use std::fs;
use std::path::Path;

use qmpsh::lang::{Parser, Words};
use qmpsh::manual::reference::{Reference, Which, program_of};
use qmpsh::manual::{Manual, Sheet};
use serde_json::json;
use tempfile::TempDir;

use crate::common::fake::{Fake, success};
use crate::common::run::assert_harmless;
use crate::common::told::Told;
use crate::common::{Outcome, Qemu, command, mode, run, scratch, text};

/// The reference installed for a QEMU.
fn installed(qemu: &Qemu, told: &Told) -> Reference {
    let exe = program_of(i32::try_from(qemu.pid()).expect("a process id"));
    let path = Reference::find(Which::of(&told.schema()), exe.as_deref());
    let path = path.expect("the reference is installed: run tests/setup");
    Reference::open(&path).expect("it can be read")
}

#[test]
fn nearly_every_command_and_event_is_in_the_reference() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema = told.schema();
    let reference = installed(&qemu, &told);
    let commands = schema.commands().map(|(name, _)| name);
    let names: Vec<&str> = commands
        .chain(schema.events().map(|(name, _)| name))
        .collect();
    let mut unknown = names.clone();
    unknown.retain(|name| reference.get(name).is_none());
    // QEMU itself keeps a few out of its reference.
    eprintln!("{} of {} are not: {unknown:?}", unknown.len(), names.len());
    assert!(unknown.len() * 100 <= names.len() * 2);
}

#[test]
fn examples_are_lines_that_this_qemu_accepts() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema = told.schema();
    let reference = installed(&qemu, &told);
    let (mut lines, mut wrong) = (0, Vec::new());
    for (name, _) in schema.commands() {
        let mut parser = Parser::default();
        for line in reference.example_lines(name).iter().flat_map(|l| l.lines()) {
            let words = Words::split(line).expect("it splits");
            let parsed = parser.parse(&words).expect("it parses");
            lines += 1;
            let command = parsed.command();
            if let Some(problem) = command.and_then(|command| schema.check(&command).pop()) {
                wrong.push(format!("{line}: {problem}"));
            }
        }
    }
    eprintln!("{} of {lines} are not: {wrong:#?}", wrong.len());
    // A few of QEMU's examples are out of date.
    assert!(
        lines > 150 && wrong.len() * 20 <= lines,
        "{lines}: {wrong:#?}"
    );
}

#[test]
fn a_page_has_the_words_of_the_reference_at_every_depth() {
    let qemu = Qemu::start();
    let help = |words: &[&str]| {
        let outcome = qemu.qmpsh(&[&["help"], words].concat());
        let text = outcome.assert_status(0).stdout();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (line, says) in [
        (
            &["block-commit"][..],
            &[
                "Live commit of data from overlay image nodes",
                "speed integer the maximum speed, in bytes per second",
                // A value.
                "ignore ignore the error, only report a QMP event",
                "Since QEMU 1.3.",
                "Examples block-commit device=virtio0 top=/tmp/snap1.qcow2",
            ][..],
        ),
        (
            &["blockdev-add", "driver=qcow2", "file.driver=file"],
            &[
                "lazy-refcounts bool whether to enable the lazy refcounts feature",
                "file.filename required string path to the image file",
            ],
        ),
        (
            &["transaction", "actions.0.type=blockdev-backup"],
            &[
                "actions.0.data.sync required, one of",
                "what parts of the disk image should be copied",
            ],
        ),
        // What a command returns, and an event's data.
        (
            &["query-status"],
            &["running bool true if all VCPUs are runnable"],
        ),
        (
            &["SHUTDOWN"],
            &[
                "Emitted when the virtual machine has shut down",
                "guest bool If true, the shutdown was triggered by a guest",
            ],
        ),
    ] {
        let page = help(line);
        for says in says {
            assert!(page.contains(says), "no `{says}` in\n{page}");
        }
    }
}

#[test]
fn help_searches_the_reference() {
    let qemu = Qemu::start();
    let found = qemu.qmpsh(&["help", "ResumeS"]);
    let text = found.assert_status(0).stdout();
    assert!(text.starts_with("Descriptions\n"), "{found}");
    let resume = "RESUME           Emitted when the virtual machine resumes execution";
    assert!(text.contains(resume), "{found}");
    // Names come first, and what is said of arguments last.
    let found = qemu.qmpsh(&["help", "acpi"]).stdout();
    let place = |text| {
        found
            .find(text)
            .unwrap_or_else(|| panic!("no {text} in {found}"))
    };
    assert!(place("query-acpi-ospm-status") < place("Descriptions\n"));
    assert!(place("via ACPI.") < place("Descriptions of arguments\n"));
    let paging = |line: &str| line.split_whitespace().eq(["dump-guest-memory", "paging"]);
    assert!(found.lines().any(paging), "{found}");
}

#[test]
fn examples_are_shown_with_the_replies() {
    let qemu = Qemu::start();
    let examples = qemu.qmpsh(&["help", "query-status", "--examples"]);
    let text = examples.assert_status(0).stdout();
    assert!(text.contains("  query-status\n    {\n"), "{examples}");
    assert!(text.contains("\"running\": true"), "{examples}");
    qemu.qmpsh(&["help", "no-such-command", "--examples"])
        .assert_fails(2, "there is no command `no-such-command`");
}

/// A server with one command and one event.
fn server() -> Fake {
    Fake::answering(|command| {
        let schema = json!([
            {"meta-type": "command", "name": "set-it", "arg-type": "1", "ret-type": "0"},
            {"meta-type": "command", "name": "query-status", "arg-type": "0", "ret-type": "0"},
            {"meta-type": "object", "name": "0", "members": []},
            {"meta-type": "object", "name": "1", "members": [
                {"name": "password", "type": "2", "default": null}, {"name": "mode", "type": "3"}]},
            {"meta-type": "builtin", "name": "2", "json-type": "string"},
            {"meta-type": "enum", "name": "3", "values": ["on", "off"]},
        ]);
        success(command, schema)
    })
}

/// A page in the layout of QEMU 10.
const PAGE: &str = r#".TH "QEMU-QMP-REF" "7" "Aug 29, 2026" "99.1" "QEMU"
.INDENT 0.0
.TP
.B Command set\-it (Since: 1.2)
Sets the frobnication.
.INDENT 7.0
.TP
.B Arguments
.INDENT 7.0
.IP \(bu 2
\fBpassword\fP (\fBstring\fP, \fIoptional\fP) \-\- the pass phrase
.IP \(bu 2
\fBmode\fP (\fI\%Mode\fP) \-\- which way
.UNINDENT
.UNINDENT
.INDENT 7.0
.INDENT 3.5
.IP "Example:"
.INDENT 0.0
.INDENT 3.5
.sp
.EX
\-> { "execute": "set\-it", "arguments": { "password": "hunter2", "mode": "on" } }
<\- { "return": { "password": "hunter3" } }
.EE
.UNINDENT
.UNINDENT
.UNINDENT
.UNINDENT
.UNINDENT
.INDENT 0.0
.TP
.B Enum Mode
.INDENT 7.0
.TP
.B Values
.INDENT 7.0
.IP \(bu 2
\fBon\fP \-\- forwards
.IP \(bu 2
\fBgone\fP \-\- a value that this server does not have
.UNINDENT
.UNINDENT
.UNINDENT
"#;

/// A directory for manual pages, with this one.
fn pages(page: &str) -> TempDir {
    let directory = scratch();
    fs::create_dir(directory.path().join("man7")).expect("created");
    fs::write(page_in(&directory), page).expect("written");
    directory
}

fn page_in(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("man7/qemu-qmp-ref.7")
}

/// Runs `qmpsh help WORDS` where the manual pages are in `pages`.
fn help(home: &Path, fake: &Fake, pages: &Path, words: &[&str]) -> Outcome {
    let mut command = command(home);
    command.env("MANPATH", pages);
    command
        .args(["--connect", fake.address(), "help"])
        .args(words);
    run(command, b"")
}

#[test]
fn what_the_server_says_wins_over_the_reference() {
    let (fake, home, pages) = (server(), scratch(), pages(PAGE));
    let outcome = help(home.path(), &fake, pages.path(), &["set-it"]);
    let text = outcome.assert_status(0).stdout();
    for says in [
        "Sets the frobnication.",
        "Since QEMU 1.2.",
        "which way",
        "forwards",
        // It is of another version.
        "The descriptions are QEMU 99.1's",
    ] {
        assert!(text.contains(says), "no `{says}` in\n{outcome}");
    }
    assert!(!text.contains("gone"), "{outcome}");
    let found = help(home.path(), &fake, pages.path(), &["frobnication"]);
    let text = found.assert_status(0).stdout();
    assert!(text.contains("set-it  Sets the frobnication."), "{found}");
}

#[test]
fn secrets_in_examples_are_masked() {
    let (fake, home, pages) = (server(), scratch(), pages(PAGE));
    for words in [&["set-it"][..], &["set-it", "--examples"]] {
        let outcome = help(home.path(), &fake, pages.path(), words);
        let text = outcome.assert_status(0).stdout();
        assert!(
            text.contains("set-it password=******* mode=on"),
            "{outcome}"
        );
        assert!(!text.contains("hunter"), "{outcome}");
    }
}

#[test]
fn without_a_reference_one_line_says_where_to_get_it() {
    let (fake, home) = (server(), scratch());
    let outcome = help(home.path(), &fake, home.path(), &["set-it"]);
    let text = outcome.assert_status(0).stdout();
    assert!(text.contains("password  string"), "{outcome}");
    assert!(text.contains("qemu-system-common"), "{outcome}");
    help(home.path(), &fake, home.path(), &["set-it", "--examples"])
        .assert_fails(2, "not installed here");
}

#[test]
fn a_reference_is_indexed_once_and_again_when_it_has_changed_or_the_index_is_damaged() {
    let (fake, home, pages) = (server(), scratch(), pages(PAGE));
    let shown = |says: &str| {
        let outcome = help(home.path(), &fake, pages.path(), &["set-it"]);
        let text = outcome.assert_status(0).stdout();
        assert!(text.contains(says), "no `{says}` in\n{outcome}");
    };
    let index = || {
        let files = fs::read_dir(home.path().join(".cache/qmpsh")).expect("a cache");
        let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        files.retain(|file| text(file).contains("/file-"));
        files
    };
    shown("frobnication");
    let [file] = &index()[..] else {
        panic!("{:?}", index());
    };
    assert_eq!(mode(file), 0o600);
    let kept = fs::read(file).expect("readable");
    shown("frobnication");
    assert_eq!(fs::read(file).expect("readable"), kept);
    fs::write(file, &kept[..kept.len() / 2]).expect("written");
    shown("frobnication");
    assert_eq!(fs::read(file).expect("readable"), kept);
    fs::write(
        page_in(&pages),
        PAGE.replace("frobnication", "another thing"),
    )
    .expect("written");
    shown("another thing");
    assert_eq!(index().len(), 2);
}

#[test]
fn a_reference_is_not_read_until_somebody_asks_for_help() {
    let (fake, home, pages) = (server(), scratch(), pages(PAGE));
    let mut command = command(home.path());
    command.env("MANPATH", pages.path());
    command.args(["--connect", fake.address(), "set-it"]);
    run(command, b"").assert_status(0);
    let files = fs::read_dir(home.path().join(".cache/qmpsh"));
    let names = files
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.file_name());
    assert!(
        names
            .into_iter()
            .all(|name| !name.to_string_lossy().starts_with("file-"))
    );
}

/// Anybody may have written a page that `MANPATH` leads to.
#[test]
fn a_reference_never_reaches_the_terminal_raw() {
    let evil = PAGE
        .replace("frobnication", "\u{1b}[31m \\[u9B]31m \u{202e}")
        .replace("which way", "\u{9b}31m")
        .replace("\"mode\": \"on\"", "\"mode\": \"\u{9b}31m\"")
        .replace("99.1", "\u{9b}1");
    let (fake, home, pages) = (server(), scratch(), pages(&evil));
    for words in [&["set-it"][..], &["set-it", "--examples"], &["Sets"]] {
        let outcome = help(home.path(), &fake, pages.path(), words);
        let text = outcome.assert_status(0).stdout();
        assert_harmless(&text);
        assert!(
            text.contains("\\u{9b}") || text.contains("\\u009b"),
            "{outcome}"
        );
        assert!(!text.contains('\u{202e}'), "{outcome}");
    }
    // Types that include themselves, and lists without end.
    let round = ".INDENT 0.0\n.TP\n.B Command set\\-it\n.INDENT 7.0\n.TP\n.B Arguments\n.INDENT 7.0\n.IP \\(bu 2\n\
                 The members of \\fBset\\-it\\fP\\&.\n";
    let deep = ".INDENT 0.0\n.IP \\(bu 2\n".repeat(100_000);
    for page in [round.to_owned(), format!("{round}{deep}x")] {
        fs::write(page_in(&pages), page).expect("written");
        help(home.path(), &fake, pages.path(), &["set-it"]).assert_status(0);
    }
}

#[test]
fn pages_with_prose_fit_the_width() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let (schema, reference) = (told.schema(), installed(&qemu, &told));
    for width in [60, 100] {
        let sheet = Sheet {
            width,
            color: false,
        };
        let manual = Manual::new(&schema, Some(&reference), sheet);
        for (event, _) in schema.events() {
            let page = manual.event(event).expect("a page");
            let (text, _) = page.split_once("\nExamples").unwrap_or((&page, ""));
            for line in text.lines() {
                let is_one_name = line.split_whitespace().count() == 1 || line.contains('`');
                assert!(
                    line.chars().count() <= width || is_one_name,
                    "{event}: {line}"
                );
            }
        }
    }
}
