//! What QEMU loads code for is asked of its twin, never of the running VM.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::process::{copy_program, exists, status, wait_for_end_of};
use crate::common::terminal::{TAB, Terminal};
use crate::common::{Outcome, Qemu, command, kill, run, scratch, text, wait_for};

const NO_MACHINE: [&str; 2] = ["-machine", "none"];

/// The files that a process has mapped: its program, libraries and modules.
fn mapped(pid: u32) -> BTreeSet<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    let files = maps.lines().filter_map(|line| line.split_once('/'));
    files.map(|(_, path)| path.to_owned()).collect()
}

/// The program that a QEMU is, even if a script leads to it.
fn program(qemu: &Qemu) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", qemu.pid())).expect("it runs")
}

/// The twins that a shell has. A child that does not run its own program yet is still a part of the shell.
fn twins(shell: u32) -> Vec<u32> {
    let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let ours = program(shell);
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| status(*pid, "PPid") == Some(shell.to_string()) && exists(*pid))
        .filter(|pid| program(*pid).is_some_and(|program| Some(program) != ours))
        .collect()
}

/// Runs `qmpsh -k -e LINE…` in this home.
fn lines(home: &Path, qemu: &Qemu, lines: &[&str]) -> Outcome {
    let mut command = command(home);
    command.args(["-k", qemu.address()]);
    for line in lines {
        command.args(["-e", line]);
    }
    run(command, b"")
}

/// Types `line`, and presses TAB until `what` is there: the first answers may come too late.
#[track_caller]
fn tab_until(terminal: &mut Terminal, line: &str, what: &str) -> String {
    terminal.type_line(line);
    wait_for(what, || {
        terminal.keys(TAB);
        let seen = || terminal.unwrapped().contains(what).then_some(());
        for _ in 0..100 {
            if seen().is_some() {
                return Some(());
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        None
    });
    let screen = terminal.unwrapped();
    terminal.cancel();
    screen
}

#[test]
fn nothing_is_loaded_into_the_vm_for_tab_typing_advice_or_help() {
    let qemu = Qemu::q35();
    let before = mapped(qemu.pid());
    let (mut terminal, log) = qemu.logged_prompt();
    tab_until(
        &mut terminal,
        "device_add driver=virtio-rng-",
        "virtio-rng-pci",
    );
    tab_until(
        &mut terminal,
        "device_add driver=virtio-rng-pci max-b",
        "max-bytes=",
    );
    tab_until(
        &mut terminal,
        "qom-list-properties typename=memory-backend-r",
        "memory-backend-ram",
    );
    terminal.assert_answer("device_add driver=virtio-rng-pc", "`virtio-rng-pci`?");
    terminal.enter("help device_add driver=virtio-gpu-pci");
    terminal.enter("help device_add driver=usb-redir");
    terminal.enter("object-add qom-type=rng-random id=r filenam=/x");
    terminal.enter("device_add driver=virtio-rng-pci bus=port0 id=r7 max-bytes=1k");
    let sent = log
        .sent()
        .into_iter()
        .rfind(|sent| sent["execute"] == "device_add");
    assert_eq!(sent.expect("it was sent")["arguments"]["max-bytes"], 1024);
    let asked: BTreeSet<String> = log.commands().into_iter().collect();
    for never in [
        "qom-list-types",
        "qom-list-properties",
        "device-list-properties",
    ] {
        assert!(!asked.contains(never), "{asked:?}");
    }
    assert!(!asked.contains("human-monitor-command"), "{asked:?}");
    // The device is one that was built in.
    assert_eq!(mapped(qemu.pid()), before);
}

/// A directory with modules that this QEMU takes for those of another build.
fn foreign_modules(program: &Path) -> Option<TempDir> {
    let prefix = program.parent()?.parent()?;
    let lib = prefix.join("lib");
    let mut places = vec![lib.join("qemu"), prefix.join("lib64/qemu")];
    places.extend(
        fs::read_dir(lib)
            .ok()?
            .flatten()
            .map(|dir| dir.path().join("qemu")),
    );
    let directory = scratch();
    let mut found = false;
    for module in places.iter().flat_map(fs::read_dir).flatten().flatten() {
        let name = module.file_name();
        // Without an accelerator it would not even start.
        if name.to_string_lossy().starts_with("accel") {
            continue;
        }
        let mut bytes = fs::read(module.path()).ok()?;
        let stamp = b"qemu_stamp_";
        for at in 0..bytes.len().saturating_sub(stamp.len()) {
            if bytes[at..].starts_with(stamp) {
                bytes[at] = b'x';
                found = true;
            }
        }
        fs::write(directory.path().join(name), bytes).ok()?;
    }
    found.then_some(directory)
}

#[test]
fn a_vm_whose_modules_were_upgraded_survives_tab_typing_advice_and_help() {
    let binary = program(&Qemu::start());
    let Some(modules) = foreign_modules(&binary) else {
        // It was built without modules, so there are none to meet.
        return;
    };
    let script = modules.path().join("script");
    let lines = format!(
        "#!/bin/sh\nexport QEMU_MODULE_DIR={}\nexec {} \"$@\"\n",
        text(modules.path()),
        binary.display()
    );
    fs::write(&script, lines).expect("ours");
    fs::set_permissions(&script, Permissions::from_mode(0o700)).expect("ours");
    let upgraded = modules.path().join("upgraded");
    copy_program(&script, &upgraded);

    // From 6.0 on it dies when it is asked itself.
    let mut victim = Qemu::of_program(text(&upgraded), &NO_MACHINE);
    if victim.qmpsh(&["qom-list-types"]).status() != Some(0) {
        wait_for("its end", || victim.has_ended().then_some(()));
    }

    let qemu = Qemu::of_program(text(&upgraded), &NO_MACHINE);
    let before = mapped(qemu.pid());
    let home = scratch();
    let environment = [("QEMU_MODULE_DIR", text(modules.path()))];
    let mut terminal = Terminal::start_with(home.path(), &[qemu.address()], &environment);
    terminal.wait_for_prompt();
    // Its twin dies, too. The next one is kept from loading anything, as the VM cannot load anything, either.
    tab_until(
        &mut terminal,
        "device_add driver=virtio-rng-",
        "virtio-rng-pci",
    );
    terminal.assert_answer("device_add driver=virtio-rng-pc", "`virtio-rng-pci`?");
    terminal.enter("help device_add driver=virtio-gpu-pci");
    terminal.enter("help device_add driver=virtio-rng-pci");
    assert!(terminal.output().contains("max-bytes"));
    terminal.enter("device_add driver=virtio-rng-pci max-bytes=1k");
    terminal.assert_answer("query-status", "running");
    assert_eq!(mapped(qemu.pid()), before);
}

/// A copy of QEMU's program, which finds the modules of the original.
struct Copy {
    directory: TempDir,
    program: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let binary = program(&Qemu::start());
        let prefix = binary.parent().and_then(Path::parent);
        let directory = scratch();
        let usr = directory.path().join("usr");
        fs::create_dir_all(usr.join("bin")).expect("ours");
        for entry in fs::read_dir(prefix.expect("it lies in a bin"))
            .expect("it is there")
            .flatten()
        {
            if entry.file_name() != "bin" {
                symlink(entry.path(), usr.join(entry.file_name())).expect("ours");
            }
        }
        let program = usr.join("bin/qemu-copy");
        copy_program(&binary, &program);
        Self { directory, program }
    }

    fn start(&self) -> Qemu {
        Qemu::of_program(text(&self.program), &NO_MACHINE)
    }

    fn set_mode(&self, mode: u32) {
        fs::set_permissions(&self.program, Permissions::from_mode(mode)).expect("ours");
    }

    fn home(&self) -> &Path {
        self.directory.path()
    }
}

#[test]
fn a_program_that_others_can_change_is_not_run_and_this_is_said_once() {
    let copy = Copy::new();
    copy.set_mode(0o757);
    let qemu = copy.start();
    let help = "help device_add driver=virtio-rng-pci";
    let outcome = lines(copy.home(), &qemu, &[help, "help device_add driver=e1000"]);
    assert!(!outcome.stdout().contains("max-bytes"), "{outcome}");
    let why = format!(
        "users other than you and root can change {}",
        copy.program.display()
    );
    assert_eq!(outcome.stderr().matches(&why).count(), 1, "{outcome}");
    // The same program is run once it is safe.
    copy.set_mode(0o755);
    let outcome = lines(copy.home(), &qemu, &[help]);
    assert!(outcome.stdout().contains("max-bytes"), "{outcome}");
    assert_eq!(outcome.stderr(), "");
}

#[test]
fn a_second_shell_needs_no_twin_for_the_same_question() {
    let copy = Copy::new();
    let qemu = copy.start();
    let help = "help device_add driver=virtio-rng-pci";
    let first = lines(copy.home(), &qemu, &[help]);
    assert!(first.stdout().contains("max-bytes"), "{first}");
    // From now on there can be none.
    copy.set_mode(0o757);
    let second = lines(copy.home(), &qemu, &[help]);
    assert_eq!(second.stdout(), first.stdout());
    assert_eq!(second.stderr(), "");
}

#[test]
fn a_program_is_run_that_is_no_longer_at_its_place() {
    let copy = Copy::new();
    let qemu = copy.start();
    // What lies there now must not run: it would say so.
    fs::remove_file(&copy.program).expect("ours");
    let trap = copy.home().join("trap");
    let script = format!("#!/bin/sh\ntouch {}/trapped\n", text(copy.home()));
    fs::write(&trap, script).expect("ours");
    fs::set_permissions(&trap, Permissions::from_mode(0o755)).expect("ours");
    copy_program(&trap, &copy.program);
    let outcome = lines(
        copy.home(),
        &qemu,
        &["help device_add driver=virtio-rng-pci"],
    );
    assert!(outcome.stdout().contains("max-bytes"), "{outcome}");
    assert!(!copy.home().join("trapped").exists());
}

#[test]
fn a_twin_ends_when_it_is_idle_and_when_the_shell_is_killed() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let shell = terminal.pid();
    let start = |terminal: &mut Terminal, driver: &str| {
        terminal.keys(&format!("help device_add driver={driver}\r"));
        wait_for("a twin", || twins(shell).pop())
    };
    let twin = start(&mut terminal, "virtio-rng-pci");
    assert_eq!(status(twin, "PPid"), Some(shell.to_string()));
    // It has neither a terminal nor anything of ours to read or write.
    for number in 0..3 {
        let open = fs::read_link(format!("/proc/{twin}/fd/{number}"));
        assert!(open.map_or(true, |path| path == Path::new("/dev/null")));
    }
    wait_for_end_of(twin);
    terminal.clear();
    let twin = start(&mut terminal, "e1000");
    kill(shell, "KILL");
    wait_for_end_of(twin);
}

#[test]
fn a_question_that_kills_the_twin_costs_only_its_own_answer() {
    let qemu = Qemu::start();
    let home = scratch();
    // Where a part of it is not installed, QEMU aborts when it is asked what this takes.
    let deadly = "help device_add driver=virtio-vga-gl";
    let good = "help device_add driver=virtio-rng-pci";
    let outcome = lines(home.path(), &qemu, &[deadly, good, deadly]);
    assert!(outcome.stdout().contains("max-bytes"), "{outcome}");
    qemu.qmpsh(&["query-status"]).assert_status(0);
}

#[test]
fn over_tcp_only_what_the_vm_has_is_known_unless_it_may_be_asked() {
    let device = "virtio-rng-pci,id=rng0";
    let listen = "tcp:127.0.0.1:0,server=on,wait=off";
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", device, "-qmp", listen]);
    let home = scratch();
    let mut terminal = Terminal::prompt(home.path(), &[&qemu.tcp_address()]);
    let why = "the connection does not tell which process is the VM's";
    let screen = tab_until(
        &mut terminal,
        "device_add driver=virtio-r",
        "driver=virtio-rng-pci",
    );
    assert!(screen.contains(why), "{screen}");
    tab_until(
        &mut terminal,
        "device_add driver=virtio-rng-pci max-b",
        "max-bytes=",
    );
    // That it has no such device does not mean that there is no such type.
    terminal.enter("help device_add driver=virtio-net-pci");
    assert!(!terminal.output().contains("cannot be"));
    terminal.type_line("device_add driver=e10");
    // What follows a TAB is taken once that is done.
    terminal.keys(TAB);
    terminal.keys("x");
    terminal.wait_for_line("(QEMU) device_add driver=e10x");
    terminal.cancel();
    assert_eq!(terminal.output().matches("does not tell which").count(), 1);
    terminal.enter(":set probe on");
    tab_until(
        &mut terminal,
        "device_add driver=virtio-net-p",
        "driver=virtio-net-pci",
    );
    terminal.assert_answer(":set probe", "on");
}

#[test]
fn an_object_is_typed_right_whether_or_not_the_schema_tells_what_it_takes() {
    let qemu = Qemu::start();
    let log = qemu.log();
    let line = "object-add qom-type=memory-backend-ram id=1 share=on size=1M";
    let in_props = "object-add qom-type=memory-backend-ram id=2 props.share=on props.size=1M";
    let outcome = qemu.script(&["-k", "-l", log.path()], format!("{line}\n{in_props}\n"));
    let sent: Vec<_> = log
        .sent()
        .into_iter()
        .filter(|sent| sent["execute"] == "object-add")
        .collect();
    let arguments = &sent[0]["arguments"];
    assert_eq!(arguments["size"], 1 << 20, "{outcome}");
    assert_eq!(arguments["share"], true, "{outcome}");
    assert_eq!(arguments["id"], "1", "{outcome}");
    // Only QEMU before 6.0 knows `props`.
    if outcome.status() == Some(0) {
        assert_eq!(sent[1]["arguments"]["props"]["size"], 1 << 20, "{outcome}");
    } else {
        outcome.assert_says("props");
    }
}

/// Stops whatever twin the shell starts, until this is dropped.
struct Stopped {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stopped {
    fn of(shell: u32) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                for twin in twins(shell) {
                    kill(twin, "STOP");
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self {
            end,
            thread: Some(thread),
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn a_twin_that_does_not_answer_delays_neither_typing_nor_commands() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let shell = terminal.pid();
    let _stopped = Stopped::of(shell);
    terminal.keys("device_add driver=virtio-rng-pci max-b");
    // The first answers may take all the time that a TAB has.
    wait_for("a twin", || {
        terminal.keys(TAB);
        let mut looks = (0..200).map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            twins(shell).pop()
        });
        looks.find_map(|twin| twin)
    });
    terminal.keys("x");
    terminal.wait_for_line("(QEMU) device_add driver=virtio-rng-pci max-bx");
    terminal.cancel();
    terminal.assert_answer("query-status", "status");
}

/// A script that runs a QEMU with a root of its own, as a container does, if this system lets us make one.
fn contained(home: &Path) -> Option<PathBuf> {
    let unshare = Command::new("unshare").args(["-rm", "true"]).status();
    if !unshare.is_ok_and(|status| status.success()) {
        return None;
    }
    let root = home.join("root");
    fs::create_dir(&root).expect("ours");
    let inside = format!(
        "mount -t tmpfs none {root} && for d in /[a-z]*; do [ ! -d $d ] || \
         {{ mkdir {root}$d && mount --rbind $d {root}$d; }}; done; exec chroot {root} {qemu} \"$@\"",
        root = root.display(),
        qemu = program(&Qemu::start()).display(),
    );
    let script = home.join("qemu-contained");
    fs::write(
        &script,
        format!("#!/bin/sh\nexec unshare -rm sh -c '{inside}' sh \"$@\"\n"),
    )
    .expect("ours");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("ours");
    Some(script)
}

#[test]
fn the_program_of_a_vm_in_a_container_is_not_run() {
    let home = scratch();
    let Some(script) = contained(home.path()) else {
        // Where nobody may make a container, there is none to connect to.
        return;
    };
    let qemu = Qemu::of_program(text(&script), &NO_MACHINE);
    let help = "help device_add driver=virtio-rng-pci";
    let outcome = lines(home.path(), &qemu, &[help]);
    assert!(!outcome.stdout().contains("max-bytes"), "{outcome}");
    outcome.assert_says("runs in a container");
}
