//! qemu-storage-daemon, a real one.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::log::Log;
use crate::common::process::Killed;
use crate::common::qemu::{beside_qemu, storage_daemon};
use crate::common::terminal::{CTRL_D, TAB, Terminal};
use crate::common::{Outcome, qmpsh, scratch, text};

struct Daemon {
    _process: Killed,
    socket: PathBuf,
    directory: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let directory = scratch();
        let socket = directory.path().join("qsd.sock");
        Self {
            _process: storage_daemon(&socket),
            socket,
            directory,
        }
    }

    fn script(&self, args: &[&str], input: &str) -> Outcome {
        qmpsh(&[&["--connect", text(&self.socket)], args].concat(), input)
    }

    fn file(&self, name: &str) -> String {
        text(&self.directory.path().join(name)).to_owned()
    }
}

#[test]
fn block_devices_exports_and_jobs_are_those_of_a_vm() {
    let daemon = Daemon::start();
    let (disk, nbd) = (daemon.file("disk"), daemon.file("nbd.sock"));
    let script = format!(
        ":finish blockdev-create job-id=create options.driver=file options.filename={disk} options.size=1M\n\
         job-dismiss id=create\n\
         blockdev-add driver=file node-name=disk filename={disk}\n\
         blockdev-add driver=null-co node-name=from size=1M\n\
         nbd-server-start addr.type=unix addr.data.path={nbd}\n\
         block-export-add type=nbd id=export node-name=from\n\
         :finish blockdev-mirror job-id=copy device=from target=disk sync=full\n\
         job-complete id=copy\n\
         query-block-exports | .[].id\n\
         :jobs\n"
    );
    let outcome = daemon.script(&["-q"], &script);
    outcome.assert_status(0);
    assert!(outcome.stdout().contains("\"export\"\n"), "{outcome}");
    let outcome = daemon.script(&["query-status"], "");
    outcome.assert_status(1).assert_says("has not been found");
}

#[test]
fn the_prompt_knows_that_there_is_no_vm() {
    let daemon = Daemon::start();
    let log = Log::at(daemon.directory.path().join("log"));
    let address = text(&daemon.socket);
    let mut terminal = Terminal::start(daemon.directory.path(), &["--log", log.path(), address]);
    terminal.wait_for_text("Connected to qemu-storage-daemon ");
    terminal.wait_for_prompt();
    assert_eq!(terminal.whole_prompt().as_deref(), Some("(QSD ●)"));
    terminal.keys("blockdev-add driver=null-co node-name=only size=1M\r");
    terminal.wait_for_text("\n{}\n");
    terminal.keys("block-export-add type=nbd id=e node-name=on");
    terminal.keys(TAB);
    terminal.wait_for_text("node-name=only");
    terminal.keys("\x15help block-export-add\r");
    terminal.wait_for_text("Events");
    terminal.keys("help device_add\r");
    terminal.wait_for_text("nothing matches");
    terminal.keys(":status\r");
    terminal.wait_for_text("server       qemu-storage-daemon ");
    terminal.keys("quit\r");
    terminal.wait_for_text("`quit` ends the storage daemon. Quit it?");
    terminal.keys("n\r");
    terminal.wait_for_prompt();
    let sent = log.sent();
    assert!(
        sent.iter().all(|sent| sent["execute"] != "query-status"),
        "{sent:?}"
    );
}

#[test]
fn one_that_is_launched_ends_with_the_shell() {
    let home = scratch();
    let program = beside_qemu("qemu-storage-daemon");
    let mut terminal = Terminal::start(home.path(), &["--launch", "--", text(&program)]);
    terminal.wait_for_text("Connected to qemu-storage-daemon ");
    terminal.wait_for_prompt();
    terminal.keys(CTRL_D);
    terminal.wait_for_text("Leaving ends the storage daemon. Leave?");
    terminal.keys("y\r");
    assert_eq!(terminal.wait_for_end(), 0);
    terminal.wait_for_text("the storage daemon has shut down");
}

#[test]
fn a_command_for_devices_is_refused_without_a_word_about_device_types() {
    let daemon = Daemon::start();
    let outcome = daemon.script(&["device_add", "driver=nvme", "id=x"], "");
    outcome.assert_fails(1, "device_add has not been found");
    assert!(!outcome.stderr().contains("device types"), "{outcome}");
}
