//! `config.toml` and `rc.qmp`, aliases, and `:source`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::common::terminal::Terminal;
use crate::common::{Qemu, mode, qmpsh, scratch, text};

/// A file of the user's configuration.
fn file(home: &Path, name: &str) -> PathBuf {
    home.join(".config/qmpsh").join(name)
}

/// A home with this `config.toml` and `rc.qmp`.
fn configure(home: &Path, config: &str, rc: &str) {
    let config_file = file(home, "config.toml");
    fs::create_dir_all(config_file.parent().expect("it has one")).expect("a directory");
    fs::write(config_file, config).expect("a file");
    if !rc.is_empty() {
        fs::write(file(home, "rc.qmp"), rc).expect("a file");
    }
}

fn saved(home: &Path) -> String {
    fs::read_to_string(file(home, "config.toml")).expect("config.toml")
}

#[test]
fn the_prompt_starts_with_the_settings_of_its_user() {
    let qemu = Qemu::start();
    let config = "output = \"table\"\ntimeout = 7.5\nconfirm = false\nkeys = 'vi'\nmute = [\"STOP\"]\n\n\
                  [alias]\nst = \"query-status | .status\"\nda = 'device_add driver=pci-bridge'\n";
    configure(qemu.directory.path(), config, "");
    let mut terminal = qemu.prompt();
    let shown = terminal.enter(":set");
    for (name, value) in [
        ("output", "table"),
        ("timeout", "7.5"),
        ("confirm", "off"),
        ("keys", "vi"),
        ("pager", "on"),
    ] {
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(name) && words.next() == Some(value)
        };
        assert!(shown.lines().any(line), "{name}: {shown}");
    }
    terminal.assert_answer("st", "\"running\"");
    // The error is QEMU's, so the line was sent.
    terminal.assert_answer("da id=b bus=nowhere", "nowhere");
    terminal.assert_answer(":events mute", "STOP");
}

#[test]
fn without_a_configuration_or_with_no_config_all_is_as_ever() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.assert_answer(":set timeout", "timeout  off");
    terminal.leave();
    configure(
        qemu.directory.path(),
        "timeout = 3\nnonsense = 1\n",
        "query-nonsense\n",
    );
    let mut terminal = qemu.prompt_with(&["--no-config"]);
    let screen = terminal.assert_answer(":set timeout", "timeout  off");
    assert!(!screen.contains("onsense"), "{screen}");
    terminal.assert_answer(":set --save", "nothing is written");
}

#[test]
fn options_come_before_the_configuration() {
    let qemu = Qemu::start();
    configure(
        qemu.directory.path(),
        "timeout = 3\noutput = \"json\"\nquiet = false\nenvelope = false\n",
        "",
    );
    let mut terminal = qemu.prompt_with(&["-t", "8", "-o", "auto", "-q", "--envelope"]);
    let shown = terminal.enter(":set").replace(' ', "");
    for line in ["timeout8", "outputauto", "quieton", "envelopeon"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn what_is_wrong_in_the_configuration_is_named_with_its_line() {
    let qemu = Qemu::start();
    let config = "# mine\ncomfirm = true\ntimeout = \"soon\"\nquiet = 5\nmute = \"STOP\"\noutput = \"blue\"\nkeys = \"vi\"\n\n\
                  [alias]\nx = 5\nhelp = \"stop\"\n'a b' = \"stop\"\n\n[colours]\n";
    configure(qemu.directory.path(), config, "");
    let terminal = qemu.prompt();
    for (line, why) in [
        (2, "there is no setting `comfirm`; did you mean `confirm`?"),
        (3, "`soon` is neither a number of seconds nor `off`"),
        (4, "`quiet` must be true or false"),
        (5, "`mute` must be a list of names: [\"STOP\"]"),
        (6, "`blue` is not auto, pretty, json, table or raw"),
        (10, "`x` must be a line in quotes"),
        (11, "`help` is a built-in"),
        (12, "`a b` is not the name of an alias"),
        (14, "there is no setting `colours`"),
    ] {
        let wrong = format!("config.toml:{line}: {why}");
        assert!(terminal.shows(&wrong), "{wrong}: {}", terminal.screen());
    }
    // What is right applies.
    let mut terminal = terminal;
    terminal.assert_answer(":set keys", "keys  vi");
}

#[test]
fn a_configuration_that_is_not_toml_is_named_with_its_line_and_kept() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    configure(home, "confirm = false\ntimeout = = 5\n", "");
    let mut terminal = qemu.prompt();
    assert!(terminal.unwrapped().contains("config.toml:2: "));
    terminal.wait_for_text("nothing in the file applies until that is mended");
    terminal.assert_answer(":set confirm", "confirm  on");
    terminal.assert_answer(":set --save timeout 5", "config.toml:2: ");
    assert_eq!(saved(home), "confirm = false\ntimeout = = 5\n");
}

#[test]
fn saving_writes_what_was_changed_and_keeps_the_rest_and_its_comments() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let config =
        "# mine\ntimeout = 3 # seconds\nconfirm = true\n\n[alias]\n# short\nst = 'query-status'\n";
    configure(home, config, "");
    let mut terminal = qemu.prompt_with(&["-o", "json"]);
    terminal.enter(":set timeout 0.5");
    terminal.enter(":events mute STOP");
    terminal.enter(":alias n = query-name | .name");
    terminal.assert_answer(":set --save quiet on", "saved to");
    assert_eq!(
        saved(home),
        "# mine\ntimeout = 0.5 # seconds\nconfirm = true\nquiet = true\nmute = [\"RTC_CHANGE\", \"STOP\"]\n\n\
         [alias]\n# short\nst = 'query-status'\nn = \"query-name | .name\"\n"
    );
    terminal.enter(":unalias st");
    terminal.assert_answer(":set --save", "saved to");
    assert!(!saved(home).contains("query-status"), "{}", saved(home));
    terminal.leave();
    let mut terminal = qemu.prompt();
    terminal.assert_answer(":set quiet", "quiet  on");
    terminal.assert_answer(":alias", "n = query-name | .name");
}

#[test]
fn a_new_configuration_is_private_and_a_link_to_one_stays_a_link() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let mut terminal = qemu.prompt();
    terminal.assert_answer(":set --save confirm off", "saved to");
    let path = file(home, "config.toml");
    assert_eq!(saved(home), "confirm = false\n");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("it has one")), 0o700);
    let elsewhere = home.join("dotfile");
    fs::rename(&path, &elsewhere).expect("it is ours");
    symlink(&elsewhere, &path).expect("a link");
    terminal.assert_answer(":set --save confirm on", "saved to");
    assert!(path.is_symlink());
    let text = fs::read_to_string(&elsewhere).expect("the file");
    assert_eq!(text, "confirm = true\n");
}

#[test]
fn scripts_do_not_follow_the_configuration() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let config = "output = \"pretty\"\nenvelope = true\nquiet = true\ntimeout = 0.001\nwrong = 1\n\n[alias]\nst = 'query-status'\n";
    configure(home, config, "stop\n");
    let mut command = qemu.command(&["-e", "query-name", "-e", ":set timeout"]);
    command.env("HOME", home);
    let outcome = crate::common::run(command, b"");
    outcome
        .assert_status(0)
        .assert_stdout("{}\n{\"timeout\":null}\n");
    assert_eq!(outcome.stderr(), "");
    qemu.script(&["-e", ":set --save"], "")
        .assert_fails(2, "nothing is written");
}

#[test]
fn a_one_shot_that_a_person_reads_shows_values_as_the_configuration_has_it() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    configure(home, "output = \"json\"\ntimeout = 0.000001\n", "");
    let args = ["--connect", qemu.address(), "query-status"];
    let terminal = Terminal::start(home, &args);
    terminal.wait_for_text("\"running\": true}");
    let terminal = Terminal::start(home, &[&["-p"], &args[..]].concat());
    terminal.wait_for_text("  \"running\": true");
}

#[test]
fn every_prompt_starts_with_the_lines_of_rc_qmp() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let rc = "# at every start\n:alias st = query-status\n:let disk = '/a disk'\n:on STOP do query-name\n\
              transaction(\n)\nst | .status\n:set quiet on\n";
    configure(home, "", &rc.replace("transaction(\n)\n", ""));
    let mut terminal = qemu.prompt();
    terminal.wait_for_text("\"running\"");
    terminal.assert_answer(":let", "disk = \"/a disk\"");
    terminal.assert_answer(":on", "STOP");
    // What it sets need not be saved.
    terminal.assert_answer(":set --save", "nothing was changed");
}

#[test]
fn rc_qmp_is_checked_whole_before_its_first_line_is_run() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    configure(home, "", "stop\n:wiat STOP\n\nblockdev-add driver='x\n");
    let mut terminal = qemu.prompt();
    assert!(terminal.unwrapped().contains("rc.qmp:4: "));
    configure(home, "", "stop\n:wiat STOP\n\n:set colour red\n");
    terminal.leave();
    let mut terminal = qemu.prompt();
    for wrong in [
        "rc.qmp:2: `:wiat STOP`: there is no built-in `:wiat`; did you mean `:wait`?",
        "rc.qmp:4: `:set colour red`: there is no setting `colour`",
    ] {
        assert!(terminal.shows(wrong), "{}", terminal.screen());
    }
    terminal.assert_answer("query-status | .status", "\"running\"");
}

#[test]
fn a_line_of_rc_qmp_that_fails_ends_it_and_is_named() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    configure(home, "", "query-name\nquery-nonsense\nstop\n");
    let mut terminal = qemu.prompt();
    terminal.wait_for_text("CommandNotFound");
    let shown = terminal.unwrapped();
    let wrong = "rc.qmp:2: `query-nonsense`: this failed; the lines after it are not run";
    assert!(shown.contains(wrong), "{shown}");
    terminal.assert_answer("query-status | .status", "\"running\"");
}

#[test]
fn rc_qmp_may_leave_the_shell() {
    let qemu = Qemu::start();
    configure(qemu.directory.path(), "", "query-name\n:quit 7\n");
    let args = ["--connect", qemu.address()];
    let mut terminal = Terminal::start(qemu.directory.path(), &args);
    assert_eq!(terminal.wait_for_end(), 7);
}

#[test]
fn an_alias_is_the_beginning_of_a_line_wherever_a_line_stands() {
    let qemu = Qemu::start();
    let script = ":alias st = query-status | .status\nst\nst | length\n:let s = st\n:let\n:alias\n:alias st\n\
                  :alias query-name = query-name | has(\"name\")\nquery-name\n:after 0 st\n:unalias st\n:alias\n";
    let outcome = qemu.script(&[], script);
    let values = outcome.assert_status(0).json();
    let expected = [
        "\"running\"",
        "7",
        "{\"s\":\"running\"}",
        "{\"st\":\"query-status | .status\"}",
        "{\"st\":\"query-status | .status\"}",
        "false",
    ];
    for (value, expected) in values.iter().zip(expected) {
        assert_eq!(value.to_string(), expected, "{outcome}");
    }
    for (line, why) in [
        (":unalias x", "there is no alias `x`"),
        (":alias x", "there is no alias `x`"),
        (":alias a=b = c", "is not the name of an alias"),
        (":alias a = b 'c", "never closed"),
        (":alias a =", "usage: :alias"),
    ] {
        qemu.script(&["-e", line], "").assert_fails(2, why);
    }
}

#[test]
fn a_wrong_line_points_at_what_was_typed_after_the_alias() {
    let qemu = Qemu::start();
    let script = ":alias da = device_add driver=e1000\nda id\n";
    let outcome = qemu.script(&[], script);
    outcome.assert_fails(2, "  da id\n     ^^");
}

#[test]
fn a_file_is_sourced_whole_and_what_it_sets_stays() {
    let qemu = Qemu::start();
    let directory = scratch();
    let inner = directory.path().join("inner");
    let outer = directory.path().join("outer");
    fs::write(
        &inner,
        "# names\n:let status = query-status | .status\n:alias n = query-name\n",
    )
    .expect("a file");
    let lines = format!(":source {}\nquery-name\n", text(&inner));
    fs::write(&outer, lines).expect("a file");
    let lines = format!(":source {}\nn\n:let\n", text(&outer));
    for args in [&[][..], &["-f"]] {
        let script = directory.path().join("script");
        fs::write(&script, &lines).expect("a file");
        let outcome = match args {
            [] => qemu.script(&[], &lines),
            _ => qemu.script(&["-f", text(&script)], ""),
        };
        outcome
            .assert_status(0)
            .assert_stdout("{}\n{}\n{\"status\":\"running\"}\n");
    }
    // A transaction may be in it.
    fs::write(&inner, "transaction(\nabort\n)\nquery-name\n").expect("a file");
    let outcome = qemu.script(&["-k"], format!(":source {}\nquery-kvm\n", text(&inner)));
    assert_eq!(outcome.assert_status(1).json().len(), 2, "{outcome}");
    assert!(outcome.stderr().contains("inner:1: ") || outcome.stderr().contains("inner:3: "));
}

#[test]
fn a_sourced_file_is_checked_with_the_script_that_sources_it() {
    let qemu = Qemu::start();
    let directory = scratch();
    let file = directory.path().join("wrong");
    fs::write(&file, "stop\n:wiat STOP\nblockdev-add x\n").expect("a file");
    let line = format!(":source {}", text(&file));
    let outcome = qemu.script(&["-e", "stop", "-e", &line], "");
    outcome.assert_fails(2, "wrong:2: `:wiat STOP`: there is no built-in");
    outcome.assert_says("wrong:3: ");
    let outcome = qemu.qmpsh(&["query-status"]);
    assert_eq!(outcome.json()[0]["status"], "running");
    // As it is where nothing is checked ahead.
    qemu.script(&[], &line).assert_fails(2, "wrong:2: ");
    qemu.script(&["-e", ":source /no/such/file"], "")
        .assert_fails(1, "cannot read /no/such/file");
    qemu.script(&["-e", ":on STOP do :source x"], "")
        .assert_status(0);
    // It never ends.
    fs::write(&file, &line).expect("a file");
    qemu.script(&["-e", &line], "")
        .assert_fails(2, "files source each other more than 16 deep");
}

#[test]
fn a_dry_run_prints_what_a_sourced_file_would_send() {
    let directory = scratch();
    let file = directory.path().join("lines");
    fs::write(&file, "stop\ncont\n").expect("a file");
    let line = format!(":source {}", text(&file));
    qmpsh(&["-n", "-e", &line, "-e", "quit"], "")
        .assert_status(0)
        .assert_stdout("{\"execute\":\"stop\"}\n{\"execute\":\"cont\"}\n{\"execute\":\"quit\"}\n");
}

#[test]
fn the_prompt_sources_a_file_up_to_the_line_that_fails() {
    let qemu = Qemu::start();
    let path = qemu.directory.path().join("lines");
    fs::write(&path, "query-name\n:let a = 'b'\nquery-nonsense\nstop\n").expect("a file");
    let mut terminal = qemu.prompt();
    terminal.assert_answer(
        ":source lines",
        "lines:3: `query-nonsense`: this failed; the lines after it are not run",
    );
    terminal.assert_answer(":let", "a = \"b\"");
    terminal.assert_answer("query-status | .status", "\"running\"");
}

#[test]
fn aliases_complete_and_so_does_what_follows_them() {
    let qemu = Qemu::q35();
    let config = "[alias]\nshow-block = 'query-block | .[].device'\nda = 'device_add driver=pci-bridge'\n\
                  wd = ':wait DEVICE_DELETED'\n";
    configure(qemu.directory.path(), config, "");
    let mut terminal = qemu.prompt();
    terminal.assert_answer("query-name", "{}");
    terminal.keys("sh\t");
    terminal.wait_for_line("(QEMU) show-block");
    assert!(!terminal.is_red("show-block"));
    terminal.cancel();
    terminal.keys("da chass\t");
    terminal.wait_for_line("(QEMU) da chassis_nr=");
    terminal.cancel();
    terminal.keys(":every 1s da chass\t");
    terminal.wait_for_line("(QEMU) :every 1s da chassis_nr=");
    terminal.cancel();
    terminal.keys("wd --tim\t");
    terminal.wait_for_line("(QEMU) wd --timeout");
    terminal.cancel();
}

#[test]
fn a_theme_says_how_things_look() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let config = "[theme]\nkey = \"bold red\"\nvalue = 208\ntxt = \"red\"\nerror = \"pink\"\n";
    configure(home, config, "");
    let mut terminal = qemu.prompt();
    for wrong in [
        "config.toml:4: a theme has no `txt`; did you mean `text`?",
        "config.toml:5: `pink` is no colour",
    ] {
        assert!(terminal.shows(wrong), "{}", terminal.screen());
    }
    terminal.assert_answer("query-status", "\"running\"");
    let output = terminal.output();
    assert!(output.contains("\x1b[1;31m\"status\""), "{output:?}");
    assert!(output.contains("\x1b[38;5;208mtrue"), "{output:?}");
}
