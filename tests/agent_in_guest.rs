//! A guest agent in a Linux guest, through virtio-serial.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::common::{Outcome, Qemu, guest, qmpsh, scratch, text};

struct Guest {
    qemu: Qemu,
    agent: PathBuf,
    directory: tempfile::TempDir,
}

impl Guest {
    fn boot() -> Self {
        let directory = scratch();
        let agent = directory.path().join("agent.sock");
        let options = guest::with_agent(&agent);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Self {
            qemu: Qemu::with_args(&options),
            agent,
            directory,
        }
    }

    /// Runs `qmpsh ARGS` against the agent, which may still have to start.
    fn qmpsh(&self, args: &[&str]) -> Outcome {
        self.within("170", args)
    }

    fn within(&self, seconds: &str, args: &[&str]) -> Outcome {
        let socket = text(&self.agent);
        let options = ["-N", "--connect-timeout", seconds, "--connect", socket];
        qmpsh(&[&options, args].concat(), "")
    }

    fn file(&self, name: &str) -> String {
        text(&self.directory.path().join(name)).to_owned()
    }
}

#[test]
fn an_agent_behind_virtio_serial_runs_programs_and_copies_files() {
    let guest = Guest::boot();
    // While the guest boots, nobody answers.
    let outcome = guest.qmpsh(&[":exec", "busybox", "uname", "-s"]);
    outcome.assert_status(0).assert_stdout("Linux\n");
    let outcome = guest.qmpsh(&[":exec", "sh", "-c", "echo err >&2; kill -9 $$"]);
    outcome.assert_status(137).assert_stdout("");
    assert_eq!(outcome.stderr(), "err\n");

    let bytes: Vec<u8> = (0..(2_u32 << 20) + 7)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    // No reply is lost, however many commands there are to send.
    let many = ["-e", "guest-fsfreeze-status"].repeat(40);
    let outcome = guest.qmpsh(&[&["-k"], &many[..]].concat());
    outcome.assert_status(0);
    assert_eq!(outcome.lines().len(), 40, "{outcome}");

    let (from, to) = (guest.file("from"), guest.file("to"));
    std::fs::write(&from, &bytes).expect("a file");
    guest.qmpsh(&[":put", &from, "/run/copy"]).assert_status(0);
    guest.qmpsh(&[":get", "/run/copy", &to]).assert_status(0);
    assert!(std::fs::read(&to).expect("it is there") == bytes);
}

#[test]
fn an_agent_behind_virtio_serial_survives_what_clients_and_the_vm_do() {
    let guest = Guest::boot();
    guest.qmpsh(&["guest-ping"]).assert_status(0);

    // A client that sent half a message, and one that did not read its reply.
    for left in [
        "{\"execute\": \"guest-pi",
        "{\"execute\": \"guest-info\"}\n",
    ] {
        let mut client = UnixStream::connect(&guest.agent).expect("it listens");
        client.write_all(left.as_bytes()).expect("there is room");
        drop(client);
        let outcome = guest.qmpsh(&["guest-fsfreeze-status"]);
        outcome.assert_status(0).assert_stdout("\"thawed\"\n");
        assert_eq!(outcome.stderr(), "");
    }

    // A guest that stands still.
    guest.qemu.control("stop");
    let outcome = guest.within("3", &["guest-ping"]);
    outcome
        .assert_status(3)
        .assert_says("its guest may be paused");
    guest.qemu.control("cont");
    let outcome = guest.qmpsh(&["guest-fsfreeze-status"]);
    outcome.assert_status(0).assert_stdout("\"thawed\"\n");
    assert_eq!(outcome.stderr(), "");
}
