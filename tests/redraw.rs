//! The line being edited in a terminal that breaks lines anew when it is resized, as tmux does.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::common::{Qemu, scratch, wait_for};

/// qmpsh in a window of tmux. The window is closed when this is dropped.
struct Tmux {
    socket: PathBuf,
    _home: TempDir,
}

impl Tmux {
    /// A window of 100 columns and 20 rows, at the first prompt.
    fn start(qemu: &Qemu) -> Self {
        let home = scratch();
        let socket = home.path().join("tmux.sock");
        let tmux = Self {
            socket,
            _home: home,
        };
        let program = env!("CARGO_BIN_EXE_qmpsh");
        let window = [
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "20",
            program,
            qemu.address(),
        ];
        tmux.run(&window);
        tmux.wait_for("the prompt", |screen| screen.ends_with(" ●)"));
        tmux
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self._home.path());
        command.env("SHELL", "/bin/sh");
        command.env("LC_ALL", "C.UTF-8");
        command.args(["-f", "/dev/null", "-S"]);
        command.arg(&self.socket).args(arguments);
        let output = command.output().expect("tmux; run tests/setup");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Resizes the window, and waits until the program in it has been told.
    #[track_caller]
    fn resize(&self, columns: &str) {
        self.run(&["resize-window", "-x", columns]);
        let terminal = self.run(&["display-message", "-p", "#{pane_tty}"]);
        wait_for("the new size", || {
            let size = Command::new("stty")
                .args(["-F", terminal.trim(), "size"])
                .output();
            let size = size.expect("stty runs").stdout;
            String::from_utf8_lossy(&size)
                .trim_end()
                .ends_with(&format!(" {columns}"))
                .then_some(())
        });
    }

    fn keys(&self, keys: &str) {
        self.run(&["send-keys", "-l", keys]);
    }

    /// Waits until what was typed and done before is on the screen.
    #[track_caller]
    fn settle(&self) {
        self.keys("~");
        self.wait_for("a letter", |text| text.ends_with('~'));
        self.run(&["send-keys", "BSpace"]);
        self.wait_for("the line before", |text| !text.ends_with('~'));
    }

    /// All lines, with those that were broken put together again.
    fn text(&self) -> String {
        let text = self.run(&["capture-pane", "-p", "-J", "-S", "-"]);
        let lines = text.lines().map(str::trim_end);
        lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        wait_for(what, || Some(self.text()).filter(|text| is(text)))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// A window with some output above a line that takes several rows; and all of its text.
fn with_long_line(qemu: &Qemu) -> (Tmux, String) {
    let tmux = Tmux::start(qemu);
    tmux.keys(":set\r");
    tmux.wait_for("the settings", |text| {
        text.contains("\ntimeout") && text.ends_with(" ●)")
    });
    let line = format!(
        "blockdev-add node-name={} driver=null-co x",
        "a".repeat(120)
    );
    tmux.keys(&line);
    let text = tmux.wait_for("the line", |text| text.ends_with(&line));
    (tmux, text)
}

#[test]
fn no_row_is_doubled_or_erased_when_lines_are_broken_anew() {
    let qemu = Qemu::start();
    let (tmux, mut expected) = with_long_line(&qemu);
    for columns in ["60", "40", "100", "70", "150", "50", "90"] {
        tmux.resize(columns);
        // Once this is there, the line was drawn for the new size.
        tmux.keys("y");
        expected.push('y');
        let text = tmux.wait_for("the next letter", |text| {
            text.ends_with(&expected[expected.len() - 20..])
        });
        assert_eq!(text, expected, "{columns} columns");
    }
    // Also with the cursor in the first row.
    tmux.run(&["send-keys", "C-a"]);
    wait_for("the cursor after the prompt", || {
        let cursor = tmux.run(&["display-message", "-p", "#{cursor_x}"]);
        (cursor.trim() == "9").then_some(())
    });
    for (columns, letters) in [("60", ") z"), ("100", ") zz")] {
        tmux.resize(columns);
        tmux.keys("z");
        expected = expected.replacen(") ", ") z", 1);
        let text = tmux.wait_for("the first letter", |text| text.contains(letters));
        let last = |text: &str| text.lines().last().map(str::to_owned);
        assert_eq!(
            last(&text).map(|line| line.matches('z').count() > 0),
            Some(true)
        );
        let prompts = |text: &str| text.matches("●)").count();
        assert_eq!(prompts(&text), prompts(&expected), "{text}");
    }
}

#[test]
fn a_line_whose_last_row_is_full_before_or_after_is_drawn_in_its_own_rows() {
    let qemu = Qemu::start();
    let (tmux, text) = with_long_line(&qemu);
    let line = text.lines().last().expect("a line");
    let rest = "y".repeat(180 - line.chars().count());
    tmux.keys(&rest);
    let expected = format!("{text}{rest}");
    tmux.wait_for("180 columns", |text| *text == expected);
    for columns in ["60", "100", "90", "45", "70"] {
        tmux.resize(columns);
        tmux.settle();
        assert_eq!(tmux.text(), expected, "{columns} columns");
    }
}

#[test]
fn in_the_top_row_no_copy_of_the_line_is_left() {
    let qemu = Qemu::start();
    let (tmux, text) = with_long_line(&qemu);
    let line = text.lines().last().expect("a line");
    tmux.run(&["send-keys", "C-l"]);
    // tmux keeps what Ctrl-L clears.
    let kept_and_drawn = |text: &str| text.matches(line).count() == 2;
    tmux.wait_for("the line at the top", kept_and_drawn);
    for columns in ["60", "50", "100", "45", "80"] {
        tmux.resize(columns);
        tmux.settle();
        let text = tmux.text();
        assert!(kept_and_drawn(&text), "{columns} columns:\n{text}");
    }
}

#[test]
fn an_event_stands_above_the_line_once_the_window_was_resized() {
    let qemu = Qemu::start();
    let (tmux, text) = with_long_line(&qemu);
    let prompts = text.matches('(').count();
    for (columns, command, event) in [
        ("60", "stop", " STOP"),
        ("120", "cont", " RESUME"),
        ("45", "stop", " STOP"),
    ] {
        tmux.resize(columns);
        tmux.keys("y");
        let seen = tmux.text().matches(event).count();
        qemu.control(command);
        let text = tmux.wait_for("the event above the line", |text| {
            let last = text.lines().last().unwrap_or_default();
            text.matches(event).count() > seen && last.starts_with('(') && last.ends_with('y')
        });
        assert_eq!(text.matches('(').count(), prompts, "{text}");
        assert!(text.contains("\ntimeout"), "{text}");
    }
}
