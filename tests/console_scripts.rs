//! Scripts that talk to the guest over its console: `:expect` and `:send`.

use crate::common::{Outcome, Qemu, guest, qemu, qmpsh, scratch, wait_for};

/// Runs lines against a VM that is launched with a console and the guest that asks for a login.
fn with_login(options: &[&str], lines: &str) -> Outcome {
    let directory = scratch();
    let mut args = vec!["--launch"];
    args.extend(options);
    let qemu = qemu();
    let guest = guest::login(directory.path());
    args.extend(["--", &qemu]);
    args.extend(guest.iter().map(String::as_str));
    qmpsh(&args, lines)
}

#[test]
fn one_script_boots_a_vm_logs_in_asks_over_qmp_and_shuts_down() {
    let lines = r"
        :expect 'SeaBIOS .version [^)]*.' --timeout 170
        :expect 'login: $' --timeout 170
        :send root\n
        :expect 'root\s+welcome' --timeout=60
        query-status
        :expect login:
        :send 'literally\n'
        :expect 'ly.n' --timeout 170
        :vm stop
    ";
    let outcome = with_login(&["--console"], lines);
    outcome.assert_status(0);
    let stdout = outcome.stdout();
    let said: Vec<&str> = stdout.lines().collect();
    assert!(said[0].starts_with("SeaBIOS (version "), "{stdout}");
    assert_eq!(said[1], "login: ", "{stdout}");
    assert!(
        stdout.contains("root\\r\n\\r\nwelcome") || stdout.contains("welcome"),
        "{stdout}"
    );
    assert!(stdout.contains(r#""status": "running""#), "{stdout}");
    assert!(stdout.contains("ly\\n\n"), "{stdout}");
}

#[test]
fn what_does_not_come_in_time_ends_with_the_last_lines_of_the_console() {
    let lines = "
        :expect 'login: ' --timeout 170
        :send me\\n
        :expect welcome --timeout 170
        :expect 'login: ' --timeout 170
        :send again
        :expect again --timeout 170
        :expect welcome --timeout 0.2
    ";
    let outcome = with_login(&["--console"], lines);
    outcome.assert_fails(4, "the console has not shown `welcome` within 0.2 s");
    // The time limit of replies bounds it, too.
    let outcome = with_login(&["--console", "-t", "0.2"], ":expect never");
    outcome.assert_fails(4, "has not shown `never` within 0.2 s");
}

#[test]
fn expecting_ends_when_the_vm_does() {
    let lines = "
        :expect 'login: ' --timeout 170
        quit
        :expect never --timeout 170
    ";
    let outcome = with_login(&["--console"], lines);
    outcome.assert_fails(1, "the VM has ended, and its console has not shown `never`");
}

#[test]
fn the_console_of_a_running_vm_can_be_scripted() {
    let directory = scratch();
    let console = directory.path().join("console");
    let mut options = guest::login(directory.path());
    for option in [
        "-chardev",
        &format!(
            "socket,id=mine,path={},server=on,wait=off",
            console.display()
        ),
        "-serial",
        "chardev:mine",
    ] {
        options.push(option.to_owned());
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let qemu = Qemu::with_args(&options);
    let lines = "
        :console mine
        :send hello\\n
        :expect 'hello\\s+welcome' --timeout 1
    ";
    // The firmware swallows what is typed too early.
    let outcome = wait_for("an answer of the guest", || {
        let outcome = qemu.script(&[], lines);
        (outcome.status() == Some(0)).then_some(outcome)
    });
    assert!(outcome.stdout().contains("welcome"));
}

#[test]
fn the_guest_may_get_its_console_as_another_device() {
    let lines = "
        query-chardev
        :expect never --timeout 0.01
    ";
    for device in ["virtconsole", "isa-serial", "isa-serial,index=1"] {
        let outcome = with_login(&[&format!("--console={device}")], lines);
        outcome.assert_status(4);
        assert!(outcome.stdout().contains("qmpsh-console"), "{device}");
    }
}

#[test]
fn wrong_lines_say_what_is_wrong() {
    for (line, part) in [
        (":expect", "usage: :expect REGEX [--timeout SECS]"),
        (":expect a b", "usage: :expect"),
        (":expect '('", "is not a regular expression"),
        (":expect a --timeout soon", "is not a duration"),
        (":send", "usage: :send TEXT"),
        (r":send \q", "escape"),
    ] {
        with_login(&["--console"], line).assert_fails(2, part);
    }
    for line in [":expect a", ":send a", ":console"] {
        with_login(&[], line).assert_fails(2, "no console");
    }
}
