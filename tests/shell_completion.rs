//! Completion of qmpsh's own command line, in real shells.

use std::fs;
use std::path::Path;

use portable_pty::CommandBuilder;

use crate::common::fake::Fake;
use crate::common::run::PATIENCE;
use crate::common::terminal::{TAB, Terminal};
use crate::common::{Qemu, command, qmpsh, run, scratch, text};

/// The shells, how each is started without anybody's settings, and how it loads our completions.
const SHELLS: [(&str, &[&str], &str, &str); 3] = [
    (
        "bash",
        &["--norc", "--noprofile", "-i"],
        "source",
        "qmpsh.bash",
    ),
    (
        "zsh",
        &["-f", "-i"],
        "autoload -U compinit; compinit -u -D; source",
        "_qmpsh",
    ),
    ("fish", &["--no-config"], "source", "qmpsh.fish"),
];

/// Each shell with the completions loaded, at a prompt of `$ `, in this directory.
fn shells(directory: &Path) -> impl Iterator<Item = (&'static str, Terminal)> {
    SHELLS.iter().map(move |(shell, options, load, script)| {
        let mut command = CommandBuilder::new(shell);
        command.args(*options);
        command.env_clear();
        command.env(PATIENCE.0, PATIENCE.1);
        let program = Path::new(env!("CARGO_BIN_EXE_qmpsh"));
        let path = format!(
            "{}:/usr/bin:/bin",
            text(program.parent().expect("a directory"))
        );
        for (name, value) in [
            ("PATH", &*path),
            ("HOME", text(directory)),
            ("TERM", "xterm-256color"),
            ("LC_ALL", "C.UTF-8"),
            ("PS1", "$ "),
        ] {
            command.env(name, value);
        }
        command.cwd(directory);
        let mut terminal = Terminal::run(command);
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        let ready = "echo rea''dy";
        let prompt = match *shell {
            "fish" => "function fish_prompt; echo -n '$ '; end; ",
            _ => "",
        };
        terminal.keys(&format!(
            "{prompt}{load} {}/{script}; {ready}\r",
            text(&scripts)
        ));
        terminal.wait(shell, |screen| screen.contains("\nready\n$"));
        (*shell, terminal)
    })
}

/// Types `line` and TAB, waits until the line is `completed`, and clears it.
#[track_caller]
fn becomes(shell: &str, terminal: &mut Terminal, line: &str, completed: &str) {
    terminal.keys(line);
    terminal.wait(&format!("{shell}: {line}"), |screen| {
        screen.contains(&format!("$ {}", line.trim_end()))
    });
    terminal.keys(TAB);
    terminal.wait(&format!("{shell}: {completed}"), |screen| {
        screen
            .lines()
            .any(|row| row.trim_end() == format!("$ {completed}").trim_end())
    });
    clear(terminal);
}

/// Types `line` and TABs, until all of this is listed, and returns the screen.
#[track_caller]
fn lists(shell: &str, terminal: &mut Terminal, line: &str, listed: &[&str]) -> String {
    terminal.keys(line);
    terminal.wait(&format!("{shell}: {line}"), |screen| {
        screen.contains(&format!("$ {}", line.trim_end()))
    });
    terminal.keys(TAB);
    if shell == "bash" {
        terminal.keys(TAB);
    }
    let screen = terminal.wait(&format!("{shell}: {listed:?}"), |screen| {
        listed.iter().all(|word| screen.contains(word))
    });
    clear(terminal);
    screen
}

fn clear(terminal: &mut Terminal) {
    // To the end of the line, and cut all of it. What is printed tells this prompt from that of a line just cut.
    terminal.keys("\x05\x15clear; echo cle''ared\r");
    terminal.wait("an empty screen", |screen| screen.trim() == "cleared\n$");
}

#[test]
fn devices_commands_keys_values_and_built_ins_of_the_running_vm_complete() {
    let qemu = Qemu::with_args(&[
        "-machine",
        "q35",
        "-device",
        "virtio-rng-pci,id=rng0",
        "-device",
        "pcie-root-port,id=port0",
    ]);
    for (shell, mut terminal) in shells(qemu.directory.path()) {
        let socket = qemu.socket.file_name().expect("a name").to_string_lossy();
        let line = |rest: &str| format!("qmpsh {socket} {rest}");
        for (typed, completed) in [
            ("device_del id=rn", "device_del id=rng0"),
            ("device_d", "device_del"),
            ("device_del i", "device_del id="),
            ("blockdev-add driver=null-c", "blockdev-add driver=null-co"),
            (":wait RESE", ":wait RESET"),
            (":discon", ":disconnect"),
        ] {
            becomes(shell, &mut terminal, &line(typed), &line(completed));
        }
        lists(
            shell,
            &mut terminal,
            &line("device_del id="),
            &["port0", "rng0"],
        );
    }
}

#[test]
fn sockets_files_and_options_complete_each_where_they_belong() {
    // No other VM's name begins like this.
    let name = format!("of-{}-only", std::process::id());
    let qemu = Qemu::named(&name);
    let home = scratch();
    fs::create_dir(home.path().join("a-directory")).expect("created");
    fs::write(home.path().join("a-file"), "").expect("written");
    for (shell, mut terminal) in shells(home.path()) {
        becomes(
            shell,
            &mut terminal,
            "qmpsh --log-dir ",
            "qmpsh --log-dir a-directory/",
        );
        becomes(shell, &mut terminal, "qmpsh -f a-f", "qmpsh -f a-file");
        becomes(
            shell,
            &mut terminal,
            "qmpsh --color=al",
            "qmpsh --color=always",
        );
        becomes(shell, &mut terminal, "qmpsh --dry", "qmpsh --dry-run");
        // The VM's socket, among others that this machine may have.
        let socket = qemu.address();
        becomes(
            shell,
            &mut terminal,
            &format!("qmpsh {}", &socket[..socket.len() - 2]),
            &format!("qmpsh {socket}"),
        );
        for (typed, completed) in [
            (
                format!("vm:{}", &name[..name.len() - 1]),
                format!("vm:{name}"),
            ),
            (
                format!("vm:{name} device_d"),
                format!("vm:{name} device_del"),
            ),
            (format!("{name} device_d"), format!("{name} device_del")),
        ] {
            let line = |words: &str| format!("qmpsh {words}");
            becomes(shell, &mut terminal, &line(&typed), &line(&completed));
        }
        let screen = lists(shell, &mut terminal, "qmpsh a-", &["a-directory", "a-file"]);
        assert!(!screen.contains("--"), "{shell}: {screen}");
    }
}

#[test]
fn a_vm_is_left_alone_where_asking_it_could_disturb_somebody() {
    let qemu = Qemu::start();
    let line = format!("qmpsh {} device_d", qemu.address());
    let complete = || qmpsh(&["--complete", "line", &line], "").stdout();
    assert!(complete().contains("-device_del\t"), "{}", complete());
    // Somebody else is connected.
    let mut other = qemu.prompt();
    assert_eq!(complete(), "");
    other.leave();
}

#[test]
fn an_empty_word_offers_no_options_and_garbage_nothing() {
    let complete = |line: &str| {
        qmpsh(&["--complete", "line", line], "")
            .assert_status(0)
            .stdout()
    };
    assert!(!complete("qmpsh ").contains("--"));
    assert!(complete("qmpsh ").ends_with("f\n"));
    for line in [
        "",
        "qmpsh /no/such/socket query-",
        "qmpsh exec:false query-",
        "qmpsh \u{9b} '",
    ] {
        assert!(!complete(line).contains("query"), "{line}");
    }
    assert_eq!(
        qmpsh(&["--complete", "x"], "").assert_status(0).stdout(),
        ""
    );
}

#[test]
fn a_server_that_says_nothing_is_given_up_on() {
    let fake = Fake::start(|peer| while peer.command().is_some() {});
    let home = scratch();
    let mut complete = command(home.path());
    let line = format!("qmpsh {} query-", text(&fake.socket));
    // As users have it: no more patience than it takes to press TAB.
    complete.env_remove(PATIENCE.0);
    complete.args(["--complete", "line", &line]);
    assert_eq!(run(complete, b"").stdout(), "");
}
