//! Where the schema that types words comes from, and that it makes no difference to the message.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::fake::{Fake, failure, success};
use crate::common::log::Log;
use crate::common::process::copy_program;
use crate::common::qemu::takes;
use crate::common::{Outcome, Qemu, command, in_shell, mode, qmpsh, run, scratch, text};

/// A line whose message depends on the schema, and what it becomes.
const LINE: &str = "block_resize node-name=5 size=1k";

fn typed() -> Value {
    json!({"node-name": "5", "size": 1024})
}

/// What one run did.
struct Run {
    /// The arguments of the last message sent.
    arguments: Value,
    /// Whether the server was asked for its schema.
    asked: bool,
    outcome: Outcome,
}

/// Runs `line` with this home.
fn run_line(home: &Path, address: &str, line: &str) -> Run {
    run_command(command(home), home, address, line)
}

fn run_command(mut command: Command, home: &Path, address: &str, line: &str) -> Run {
    // Elsewhere: the home may be no directory.
    let elsewhere = scratch();
    let log = Log::at(elsewhere.path().join("log"));
    command.args(["--connect", address, "-e", line, "-l", log.path()]);
    let outcome = run(command, b"");
    let sent = log.sent();
    let wanted = log.wanted();
    let last = wanted
        .last()
        .unwrap_or_else(|| panic!("it sent nothing: {}: {outcome}", home.display()));
    Run {
        arguments: last["arguments"].clone(),
        asked: sent
            .iter()
            .any(|message| message["execute"] == "query-qmp-schema"),
        outcome,
    }
}

impl Run {
    #[track_caller]
    fn assert_typed(&self) -> &Self {
        assert_eq!(self.arguments, typed(), "{}", self.outcome);
        self
    }

    #[track_caller]
    fn assert_asked(&self, asked: bool) -> &Self {
        assert_eq!(self.asked, asked, "{}", self.outcome);
        self
    }
}

/// The files in the cache of this home.
fn cached(home: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(home.join(".cache/qmpsh"))
        .into_iter()
        .flatten();
    files
        .map(|file| file.expect("it is listed").path())
        .collect()
}

/// A QEMU, and a home that has its schema in the cache.
fn warm() -> (Qemu, TempDir, PathBuf) {
    let (qemu, home) = (Qemu::start(), scratch());
    run_line(home.path(), qemu.address(), LINE)
        .assert_typed()
        .assert_asked(true);
    let mut files = cached(home.path());
    assert_eq!(files.len(), 1, "{files:?}");
    (qemu, home, files.remove(0))
}

#[test]
fn a_warm_cache_is_used_and_changes_nothing() {
    let (qemu, home, file) = warm();
    let before = fs::metadata(&file)
        .expect("it is there")
        .modified()
        .expect("a time");
    for _ in 0..3 {
        run_line(home.path(), qemu.address(), LINE)
            .assert_typed()
            .assert_asked(false);
    }
    let after = fs::metadata(&file)
        .expect("it is there")
        .modified()
        .expect("a time");
    assert_eq!(before, after, "it was written again");
}

#[test]
fn a_damaged_cache_changes_nothing_and_is_mended() {
    let (qemu, home, file) = warm();
    let whole = fs::read(&file).expect("it is there");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let other = String::from_utf8(whole.clone())
        .expect("text")
        .replace("\"int\"", "\"str\"");
    let mut damages = vec![
        Vec::new(),
        b"\n".to_vec(),
        b"\xff\xfe\n[]".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], b"x"].concat(),
        other.into_bytes(),
    ];
    damages.extend([0, 20, whole.len() / 3, whole.len() - 2].map(flipped));
    for (number, damaged) in damages.iter().enumerate() {
        fs::write(&file, damaged).expect("written");
        let run = run_line(home.path(), qemu.address(), LINE);
        assert!(run.asked, "damage {number} was not seen");
        run.assert_typed();
        run_line(home.path(), qemu.address(), LINE)
            .assert_typed()
            .assert_asked(false);
    }
    assert_eq!(cached(home.path()), [file]);
}

#[test]
fn a_cache_that_cannot_be_read_or_written_changes_nothing() {
    let (qemu, home, file) = warm();
    let socket = qemu.address();
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("a directory in its place");
    run_line(home.path(), socket, LINE)
        .assert_typed()
        .assert_asked(true);
    fs::remove_dir(&file).expect("removed");
    symlink("/nowhere/schema", &file).expect("a link in its place");
    run_line(home.path(), socket, LINE)
        .assert_typed()
        .assert_asked(true);

    let directory = home.path().join(".cache/qmpsh");
    for file in cached(home.path()) {
        fs::remove_file(file).expect("removed");
    }
    fs::set_permissions(&directory, Permissions::from_mode(0o500)).expect("ours");
    run_line(home.path(), socket, LINE).assert_typed();
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).expect("ours");
    fs::remove_dir_all(&directory).expect("removed");
    fs::write(&directory, "").expect("a file in its place");
    run_line(home.path(), socket, LINE)
        .assert_typed()
        .assert_asked(true);
    // Even root writes nothing here.
    for home in ["/dev/null", "/proc/nowhere"] {
        let run = run_line(Path::new(home), socket, LINE);
        run.assert_typed().assert_asked(true);
        assert!(!run.outcome.stderr().contains("cache"), "{}", run.outcome);
    }
}

#[test]
fn the_cache_is_private_to_its_owner_whatever_the_umask() {
    let (qemu, home) = (Qemu::start(), scratch());
    let open = in_shell("umask 0; exec \"$0\" \"$@\"", &command(home.path()));
    run_command(open, home.path(), qemu.address(), LINE).assert_typed();
    let files = cached(home.path());
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(mode(&files[0]), 0o600);
    assert_eq!(mode(&home.path().join(".cache/qmpsh")), 0o700);
}

#[test]
fn concurrent_runs_do_not_disturb_each_other() {
    let (qemu, home) = (Qemu::start(), scratch());
    for _ in 0..5 {
        thread::scope(|scope| {
            for socket in [&qemu.socket, &qemu.control] {
                for _ in 0..3 {
                    scope.spawn(|| {
                        run_line(home.path(), text(socket), LINE).assert_typed();
                    });
                }
            }
        });
        let files = cached(home.path());
        assert_eq!(files.len(), 1, "{files:?}");
        run_line(home.path(), qemu.address(), LINE)
            .assert_typed()
            .assert_asked(false);
        fs::remove_file(&files[0]).expect("removed");
    }
}

#[test]
fn another_binary_at_the_same_path_is_another_qemu() {
    let (running, home) = (Qemu::start(), scratch());
    // What `running` was started with may be a script that leads to the binary.
    let binary = fs::read_link(format!("/proc/{}/exe", running.pid())).expect("it runs");
    // QEMU looks for its modules relative to where it is itself.
    let prefix = binary
        .parent()
        .and_then(Path::parent)
        .expect("it lies in a bin");
    let ours = home.path().join("usr");
    fs::create_dir_all(ours.join("bin")).expect("ours");
    for entry in fs::read_dir(prefix).expect("it is there").flatten() {
        if entry.file_name() != "bin" {
            symlink(entry.path(), ours.join(entry.file_name())).expect("ours");
        }
    }
    let program = ours.join("bin/qemu-copy");
    let machine = ["-machine", "none"];
    copy_program(&binary, &program);
    let old = Qemu::of_program(text(&program), &machine);
    run_line(home.path(), text(&old.socket), LINE)
        .assert_typed()
        .assert_asked(true);
    run_line(home.path(), text(&old.socket), LINE)
        .assert_typed()
        .assert_asked(false);

    let upgrade = home.path().join("upgrade");
    copy_program(&binary, &upgrade);
    fs::rename(&upgrade, &program).expect("the same directory");
    let new = Qemu::of_program(text(&program), &machine);
    run_line(home.path(), text(&new.socket), LINE)
        .assert_typed()
        .assert_asked(true);
    run_line(home.path(), text(&new.socket), LINE)
        .assert_typed()
        .assert_asked(false);
    // The old one still runs, and is still known though its file is gone.
    run_line(home.path(), text(&old.socket), LINE)
        .assert_typed()
        .assert_asked(false);
    assert_eq!(cached(home.path()).len(), 2);
    drop((old, new));

    // The same file, touched.
    let later = std::time::SystemTime::now() + Duration::from_secs(10);
    OpenOptions::new()
        .write(true)
        .open(&program)
        .and_then(|file| file.set_modified(later))
        .expect("it is ours");
    let touched = Qemu::of_program(text(&program), &machine);
    run_line(home.path(), text(&touched.socket), LINE)
        .assert_typed()
        .assert_asked(true);
}

#[test]
fn a_server_whose_binary_is_not_known_for_sure_is_asked_every_time() {
    let home = scratch();
    // A socket that was passed to QEMU, which may or may not make it its own.
    let passed = home.path().join("passed.sock");
    let listener = UnixListener::bind(&passed).expect("a socket of ours");
    let fd = listener.as_raw_fd();
    let mut args: Vec<String> = ["-machine", "none"].map(str::to_owned).to_vec();
    for socket in [format!("fd={fd}"), "host=127.0.0.1,port=0".to_owned()] {
        let id = format!("c{}", args.len());
        args.extend([
            "-chardev".to_owned(),
            format!("socket,id={id},{socket},server=on,wait=off"),
        ]);
        args.extend(["-mon".to_owned(), format!("chardev={id},mode=control")]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let qemu = Qemu::with_descriptors(&args, vec![listener.into()]);
    let tcp = qemu.tcp_address();
    let relay = relay(home.path(), &qemu.socket);

    for cached_before in [false, true] {
        for address in [&tcp, text(&relay)] {
            for _ in 0..2 {
                run_line(home.path(), address, LINE)
                    .assert_typed()
                    .assert_asked(true);
            }
            assert_eq!(cached(home.path()).is_empty(), !cached_before);
        }
        for address in [&qemu.control, &passed] {
            run_line(home.path(), text(address), LINE).assert_typed();
            run_line(home.path(), text(address), LINE).assert_typed();
        }
    }
}

/// A socket whose clients are led to `server`, as socat and ssh do it.
fn relay(directory: &Path, server: &Path) -> PathBuf {
    let path = directory.join("relay.sock");
    let (listener, server) = (
        UnixListener::bind(&path).expect("a socket of ours"),
        server.to_owned(),
    );
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = UnixStream::connect(&server).expect("it listens");
            let pass = |mut from: UnixStream, mut to: UnixStream| {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                })
            };
            let twin = |stream: &UnixStream| stream.try_clone().expect("a descriptor to spare");
            let there = pass(twin(&client), twin(&server));
            let back = pass(server, client);
            let _ = (there.join(), back.join());
        }
    });
    path
}

#[test]
fn a_qemu_that_hides_a_part_of_its_schema_neither_fills_nor_uses_the_cache() {
    let line = "blockdev-open-tray device=5";
    let hide = ["-machine", "none", "-compat", "deprecated-output=hide"];
    if !takes(&hide) {
        // Such a QEMU always tells all of it.
        return;
    }
    let (whole, hiding, home) = (Qemu::start(), Qemu::with_args(&hide), scratch());
    for _ in 0..2 {
        let run = run_line(home.path(), text(&hiding.socket), line);
        assert_eq!(run.arguments, json!({"device": 5}), "{}", run.outcome);
        run.assert_asked(true);
    }
    let run = run_line(home.path(), text(&whole.socket), line);
    assert_eq!(run.arguments, json!({"device": "5"}), "{}", run.outcome);
    let run = run_line(home.path(), text(&hiding.socket), line);
    assert_eq!(run.arguments, json!({"device": 5}), "{}", run.outcome);
    run.assert_asked(true);
}

#[test]
fn the_cache_is_read_only_if_the_type_of_a_word_matters() {
    let (qemu, home, file) = warm();
    let content = fs::read(&file).expect("it is there");
    fs::remove_file(&file).expect("removed");
    // We notice when somebody opens it.
    nix::unistd::mkfifo(&file, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe in its place");
    let (opened, wait) = mpsc::channel();
    let pipe = file.clone();
    let writer = thread::spawn(move || {
        let mut pipe = OpenOptions::new()
            .write(true)
            .open(pipe)
            .expect("somebody reads");
        let _ = opened.send(());
        pipe.write_all(&content).expect("they read all");
    });
    for line in [
        // They succeed: after an error, advice reads it.
        "query-status",
        "blockdev-add driver=null-co node-name=n size:=1024",
        "block_resize node-name=n size:=1024",
        "blockdev-del node-name='n'",
        r#"{"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "n"}}"#,
        "blockdev-del node-name=n",
    ] {
        run_line(home.path(), qemu.address(), line).assert_asked(false);
    }
    assert!(wait.try_recv().is_err(), "the cache was read");
    run_line(home.path(), qemu.address(), LINE)
        .assert_typed()
        .assert_asked(false);
    wait.recv().expect("the cache was read");
    writer.join().expect("the writer does not panic");
}

#[test]
fn a_given_schema_takes_precedence_over_the_servers() {
    let (qemu, home, _) = warm();
    let schema = home.path().join("schema.json");
    let other = r#"[{"meta-type": "command", "name": "block_resize", "arg-type": "0", "ret-type": "0"},
        {"meta-type": "object", "name": "0", "members": [{"name": "size", "type": "str"}]},
        {"meta-type": "builtin", "name": "str", "json-type": "string"}]"#;
    fs::write(&schema, other).expect("written");
    let mut given = command(home.path());
    given.arg("--schema").arg(&schema);
    let run = run_command(given, home.path(), qemu.address(), LINE);
    assert_eq!(
        run.arguments,
        json!({"node-name": 5, "size": "1k"}),
        "{}",
        run.outcome
    );
    run.assert_asked(false);
}

#[test]
fn one_shot_words_and_dry_runs_are_typed_the_same() {
    let qemu = Qemu::start();
    let schema = qemu.directory.path().join("schema.json");
    let reply = qemu.qmpsh(&["-o", "json", "query-qmp-schema"]);
    std::fs::write(&schema, reply.assert_status(0).stdout()).expect("written");
    let expected = json!({"node-name": "5", "size": 1024});
    let one_shot = qemu.qmpsh(&["-v", "block_resize", "node-name=5", "size=1k"]);
    let message = format!(r#"-> {{"execute":"block_resize","arguments":{expected}"#);
    one_shot.assert_says(&message);

    let whole = schema.with_file_name("reply.json");
    std::fs::write(
        &whole,
        format!("{{\"return\": {}, \"id\": 1}}\r\n", reply.stdout()),
    )
    .expect("written");
    for schema in [schema, whole] {
        let schema = text(&schema);
        let dry = qmpsh(
            &[
                "-n",
                "--schema",
                schema,
                "block_resize",
                "node-name=5",
                "size=1k",
            ],
            "",
        );
        assert_eq!(
            dry.assert_status(0).json()[0]["arguments"],
            expected,
            "{dry}"
        );
    }
    let looks = qmpsh(&["-n", "block_resize", "node-name=5", "size=1k"], "");
    assert_eq!(
        looks.assert_status(0).json()[0]["arguments"],
        json!({"node-name": 5, "size": "1k"})
    );
}

#[test]
fn an_invalid_schema_is_an_error_that_says_why() {
    let home = scratch();
    let path = home.path().join("schema.json");
    let name = text(&path);
    let whole = r#"[{"meta-type": "enum", "name": "1", "values": ["a"]}]"#;
    for (text, why) in [
        (&b""[..], "EOF"),
        (&whole.as_bytes()[..whole.len() - 1], "EOF"),
        (b"{\"return\": {}}", "expected a sequence"),
        (
            b"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}}",
            "missing field `return`",
        ),
        (b"[1]", "invalid type"),
        (
            b"[{\"meta-type\": \"array\", \"name\": \"a\", \"element-type\": \"b\"}]",
            "no type `b`",
        ),
        (b"\xff\xfe", "UTF-8"),
        (b"hello\x1b[2J", "expected value"),
    ] {
        std::fs::write(&path, text).expect("written");
        let outcome = qmpsh(&["-n", "--schema", name, "device_del", "id=1"], "");
        outcome
            .assert_fails(1, "cannot read the schema in ")
            .assert_says(why);
        outcome.assert_stdout("");
    }
    let directory = text(home.path());
    for (path, why) in [
        ("/nowhere/schema.json", "No such file"),
        (directory, "Is a directory"),
    ] {
        let outcome = qmpsh(&["-n", "--schema", path, "device_del", "id=1"], "");
        outcome.assert_fails(1, why);
    }
}

#[test]
fn a_server_without_a_schema_gets_words_by_their_looks() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("echo") => success(command, command["arguments"].clone()),
        Some("query-qmp-schema") => {
            failure(command, "The command query-qmp-schema has not been found")
        }
        other => panic!("nobody asked for {other:?}"),
    });
    let outcome = fake.script(&[], "echo a=1 b=on\necho a=007 b=x\n");
    let replies = outcome.assert_status(0).json();
    assert_eq!(
        replies,
        [json!({"a": 1, "b": "on"}), json!({"a": 7, "b": "x"})]
    );
}

#[test]
fn a_schema_that_does_not_come_in_time_ends_the_command() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let command = peer.command().expect("a question");
        assert_eq!(command["execute"], "query-qmp-schema");
        assert!(peer.command().is_none(), "nothing is sent on a guess");
    });
    let outcome = fake.qmpsh(&["-t", "0.3", "device_del", "id=1"]);
    outcome.assert_fails(4, "query-qmp-schema");
}

#[test]
fn the_schema_is_asked_for_only_if_the_type_of_a_word_matters() {
    let fake = Fake::answering(|command| {
        let name = command["execute"].as_str().expect("a command");
        assert_eq!(name, "echo", "nobody asked for it");
        success(command, command["arguments"].clone())
    });
    for line in [
        "echo",
        "echo id=disk0 file.driver=qcow2 mac=52:54:00:12:34:56 path=/dev/null",
        "echo a='1' b=\"on\" c:=5 d={\"a\": 1, \"b\": true} e=[1,2]",
        r#"{"execute": "echo", "arguments": {"a": 1}}"#,
    ] {
        fake.script(&[], line).assert_status(0);
    }
    fake.qmpsh(&["echo", "id=disk0", "a='1'"]).assert_status(0);
}
