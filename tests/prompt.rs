//! The interactive shell, in a real terminal.

mod common;

use common::Qemu;
use common::terminal::Terminal;

#[test]
fn events_do_not_disturb_the_line_being_edited() {
    let qemu = Qemu::start();
    let socket = qemu.socket.to_str().expect("a path of ours");
    let mut terminal = Terminal::start(qemu.directory.path(), &[socket]);
    terminal.wait_for_prompt();
    terminal.keys("query-sta");
    terminal.wait_for_line("(QEMU) query-sta");
    let before = terminal.cursor();
    qemu.control("stop");
    let screen = terminal.wait("the event", |screen| screen.contains("STOP"));
    let lines: Vec<&str> = screen.lines().collect();
    let event = lines.iter().position(|line| line.ends_with(" STOP"));
    let prompt = lines.iter().position(|line| *line == "(QEMU) query-sta");
    assert_eq!(event.map(|row| row + 1), prompt, "{screen}");
    assert_eq!(terminal.cursor(), (before.0 + 1, before.1), "{screen}");
    terminal.keys("tus\r");
    terminal.wait("the reply", |screen| screen.contains("\"paused\""));
}
