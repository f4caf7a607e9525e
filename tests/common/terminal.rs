//! qmpsh in a real terminal: keys in, screen out.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::wait_for;

/// A terminal with qmpsh in it. The process is killed when this is dropped.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    process: Box<dyn Child + Send + Sync>,
}

impl Terminal {
    /// Starts `qmpsh ARGS` in a terminal of 80 columns and 24 rows. `home` keeps its history.
    pub fn start(home: &Path, args: &[&str]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_qmpsh"));
        command.args(args);
        command.env_clear();
        command.env("HOME", home);
        command.env("TERM", "xterm-256color");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Self::run(command)
    }

    /// Starts a command in a terminal.
    pub fn run(command: CommandBuilder) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            ..PtySize::default()
        };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let process = pty
            .slave
            .spawn_command(command)
            .expect("the command starts");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size.rows, size.cols, 1000)));
        let mut output = pty.master.try_clone_reader().expect("the pty's output");
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                shown
                    .lock()
                    .expect("nobody panics")
                    .process(&buffer[..length]);
            }
        });
        Self {
            keys: pty.master.take_writer().expect("the pty's input"),
            master: pty.master,
            screen,
            process,
        }
    }

    /// Types `keys` as they are: `\r` is Enter, `\t` TAB, `\x03` Ctrl-C, `\x04` Ctrl-D.
    pub fn keys(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .expect("the pty takes keys");
        self.keys.flush().expect("the pty takes keys");
    }

    /// What a person sees, without trailing blanks.
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().expect("nobody panics");
        let contents = screen.screen().contents();
        let lines: Vec<&str> = contents.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// The row and column of the cursor, from 0.
    pub fn cursor(&self) -> (u16, u16) {
        self.screen
            .lock()
            .expect("nobody panics")
            .screen()
            .cursor_position()
    }

    /// Waits until the screen is as `condition` wants it, and returns it.
    #[track_caller]
    pub fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let caller = std::panic::Location::caller();
        let start = std::time::Instant::now();
        loop {
            let screen = self.screen();
            if condition(&screen) {
                return screen;
            }
            assert!(
                start.elapsed() < super::DEADLINE,
                "{caller}: waited in vain for {what}; the screen is\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the last line on the screen is `line`.
    #[track_caller]
    pub fn wait_for_line(&self, line: &str) -> String {
        self.wait(line, |screen| screen.lines().last() == Some(line))
    }

    /// Waits for the prompt with nothing behind it.
    #[track_caller]
    pub fn wait_for_prompt(&self) -> String {
        self.wait_for_line("(QEMU)")
    }

    /// Types a line and waits for the prompt after it; returns the screen.
    #[track_caller]
    pub fn enter(&mut self, line: &str) -> String {
        self.keys(line);
        self.wait(line, |screen| {
            screen
                .lines()
                .last()
                .is_some_and(|last| last.ends_with(line))
        });
        self.keys("\r");
        self.wait("the next prompt", |screen| {
            let mut lines = screen.lines().rev();
            let last = lines.next();
            last == Some("(QEMU)") || last == Some("TRANS>")
        })
    }

    pub fn resize(&self, rows: u16, cols: u16) {
        self.master
            .resize(PtySize {
                rows,
                cols,
                ..PtySize::default()
            })
            .expect("the pty takes a size");
        let mut screen = self.screen.lock().expect("nobody panics");
        screen.screen_mut().set_size(rows, cols);
    }

    /// Waits for the process to end, and returns its exit status.
    pub fn wait_for_end(&mut self) -> u32 {
        let process = &mut self.process;
        wait_for("the end of qmpsh", || {
            process.try_wait().expect("it is our child")
        })
        .exit_code()
    }

    pub fn pid(&self) -> u32 {
        self.process.process_id().expect("it was started")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
