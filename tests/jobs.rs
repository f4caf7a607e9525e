//! Jobs: what `:jobs` shows, and what `:job wait` waits for.

use std::process::{Command, Stdio};

use crate::common::qemu::beside_qemu;
use crate::common::{Qemu, text};

/// A QEMU with an empty image of 16 MiB and another below it, the nodes `top` and `base`, and a full one of the
/// same size, the node `full`.
fn qemu() -> Qemu {
    let qemu = Qemu::start();
    let directory = qemu.directory.path();
    let create = |image: &str| {
        let status = Command::new(beside_qemu("qemu-img"))
            .args(["create", "-q", "-f", "qcow2"])
            .args(image.split(' '))
            .current_dir(directory)
            .stdout(Stdio::null())
            .status();
        let status = status.expect("qemu-utils are installed");
        assert!(status.success(), "{image}");
    };
    create("base.img 16M");
    create("-b base.img -F qcow2 top.img");
    std::fs::write(directory.join("full.img"), vec![b'x'; 16 << 20]).expect("a file of ours");
    let image = top(text(&directory.join("top.img")));
    qemu.control(&image);
    qemu.control("blockdev-add driver=raw node-name=full file.driver=file file.filename=full.img");
    qemu
}

fn top(path: &str) -> String {
    format!(
        "blockdev-add driver=qcow2 node-name=top file.driver=file file.filename={path} \
         backing.driver=qcow2 backing.node-name=base backing.file.driver=file backing.file.filename=base.img"
    )
}

#[test]
fn waiting_for_a_job_that_succeeds_prints_nothing() {
    let qemu = qemu();
    let create =
        "blockdev-create job-id=j options={'driver':'file','filename':'new.img','size':1048576}";
    let outcome = qemu.qmpsh(&[
        "-e",
        create,
        "-e",
        ":job wait j",
        "-e",
        ":job dismiss j",
        "-e",
        ":jobs",
    ]);
    outcome.assert_status(0).assert_stdout("{}\n{}\n[]\n");
    assert_eq!(outcome.stderr(), "");
}

#[test]
fn a_failing_job_fails_the_wait_with_its_error() {
    let qemu = qemu();
    let create = "blockdev-create job-id=j options={'driver':'file','filename':'/nowhere/new.img','size':1048576}";
    let outcome = qemu.qmpsh(&["-e", create, "-e", ":job wait j"]);
    outcome.assert_fails(1, "job `j` failed: Could not create");
    let outcome = qemu.qmpsh(&[":jobs"]);
    assert_eq!(outcome.json()[0][0]["status"], "concluded", "{outcome}");
}

#[test]
fn a_wait_for_a_job_that_dismisses_itself_goes_by_its_events() {
    let qemu = qemu();
    let commit = "block-commit job-id=j device=top base-node=base";
    for speed in ["", " speed=1"] {
        let outcome = qemu.qmpsh(&[
            "-e",
            &format!("{commit}{speed}"),
            "-e",
            ":job wait j ready",
            "-e",
            ":job complete j",
            "-e",
            ":job wait j",
        ]);
        outcome.assert_status(0).assert_stdout("{}\n{}\n");
        // It took the node `top` away with it.
        qemu.control("blockdev-del node-name=top");
        qemu.control(&top("top.img"));
    }
}

#[test]
fn a_mirror_goes_to_ready_and_to_completion() {
    let qemu = qemu();
    for mirror in [
        "drive-mirror job-id=m device=full target=new.qcow2 format=qcow2 sync=full",
        "blockdev-mirror job-id=m device=full target=top sync=full",
    ] {
        let script = format!(
            "{mirror}\n:job wait m ready\nquery-jobs\n:job complete m\n:job wait m\nquery-jobs\n"
        );
        let outcome = qemu.script(&[], script);
        let printed = outcome.assert_status(0).json();
        assert_eq!(printed[1][0]["status"], "ready", "{outcome}");
        assert_eq!(printed[3], serde_json::json!([]), "{outcome}");
    }
    assert!(qemu.directory.path().join("new.qcow2").exists());
}

#[test]
fn the_verbs_act_on_the_job_and_a_cancelled_job_is_a_failure() {
    let qemu = qemu();
    // Slow, but not so slow that it does nothing for hours: older QEMUs pause only where a job goes on.
    let mirror =
        "blockdev-mirror job-id=m device=full target=top sync=full speed=256k buf-size=65536";
    let script = format!(
        "{mirror}\n:job pause m\n:job wait m paused\n:job resume m\n:job cancel m\n:job wait m\n"
    );
    let outcome = qemu.script(&[], script);
    outcome.assert_fails(1, "line 6: `:job wait m`: job `m` failed: it was cancelled");
    for (line, status, says) in [
        (":job finalize m", 1, "not found"),
        (":job dismiss m", 1, "not found"),
        (":job wait m", 1, "no such job: `m`"),
        (":job", 2, "usage: :job"),
        (":job stop m", 2, "usage: :job"),
        (":job wait", 2, "usage: :job"),
        (
            ":job wait m redy",
            2,
            "`redy` is not a STATUS; did you mean `ready`?",
        ),
        (":job wait m --timeout x", 2, "is not a duration"),
    ] {
        qemu.qmpsh(&["-e", line]).assert_fails(status, says);
    }
}

#[test]
fn the_prompt_has_a_table_a_progress_bar_and_announcements() {
    let qemu = qemu();
    let mut terminal = qemu.prompt();
    terminal.assert_answer(":jobs", "there are no jobs");
    // Slow enough to be seen.
    terminal.keys(
        "blockdev-mirror job-id=m device=full target=top sync=full speed=4M buf-size=65536\r",
    );
    terminal.wait_for_text("JOB_STATUS_CHANGE status=running id=m");
    let screen = terminal.enter(":jobs");
    let row = screen.lines().find(|line| line.starts_with("m  "));
    assert!(
        row.is_some_and(|row| row.contains("mirror") && row.contains("4M")),
        "{screen}"
    );
    terminal.keys(":job wait m ready\r");
    terminal.wait("the bar", |screen| {
        screen
            .lines()
            .any(|line| line.starts_with("m [#") && line.contains("% running"))
    });
    terminal.wait_for_text("BLOCK_JOB_READY");
    terminal.wait("the prompt in place of the bar", |screen| {
        screen.ends_with("(QEMU)") && !screen.contains("m [#")
    });
    terminal.keys(
        "blockdev-create job-id=b options={'driver':'file','filename':'/nowhere/x','size':1}\r",
    );
    terminal.wait_for_text("job `b` failed: Could not create");
}

#[test]
fn a_wait_for_a_status_that_can_not_come_is_an_error() {
    let qemu = qemu();
    let backup =
        "blockdev-backup job-id=b device=full target=top sync=full speed=1k auto-dismiss=off";
    let outcome = qemu.qmpsh(&["-e", backup, "-e", ":job wait b ready"]);
    outcome.assert_fails(1, "job `b` (backup) is running and cannot become ready");
    let outcome = qemu.qmpsh(&["-e", ":job wait b created"]);
    outcome.assert_fails(1, "cannot become created");
    let outcome = qemu.qmpsh(&[":job", "wait", "b", "--timeout", "0.3"]);
    outcome.assert_fails(4, "job `b` has not become concluded within 0.3 s");
    let outcome = qemu.qmpsh(&["-t", "0.3", ":job", "wait", "b"]);
    outcome.assert_fails(4, "within 0.3 s");
    qemu.control("block-job-set-speed device=b speed=0");
    qemu.qmpsh(&[":job", "wait", "b"]).assert_status(0);
    qemu.qmpsh(&[":job", "wait", "b", "pending"]).assert_fails(
        1,
        "job `b` has concluded, and is not known to have been pending",
    );
    // Seen in its events, as it was there only for a moment.
    let script = "job-dismiss id=b\nblockdev-backup job-id=b device=full target=top sync=full\n:job wait b pending\n";
    qemu.script(&[], script).assert_status(0);
}
