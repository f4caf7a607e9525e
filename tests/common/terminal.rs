//! qmpsh in a real terminal: keys in, screen out.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::Location;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::process::uninherited;
use super::run::PATIENCE;
use super::{DEADLINE, wait_for};

/// Keys that have no letter.
pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const CTRL_Z: &str = "\x1a";
pub const TAB: &str = "\t";
pub const UP: &str = "\x1b[A";
pub const DOWN: &str = "\x1b[B";
pub const RIGHT: &str = "\x1b[C";

/// What ends the question what graphics a terminal has.
const QUESTION_END: &str = "\x1b[c";

/// What terminals answer to that: xterm, one with sixels, and kitty.
pub const NO_GRAPHICS: &str = "\x1b[?64;1;2;6;9;15;22c";
pub const HAS_SIXEL: &str = "\x1b[?62;4;22c";
pub const HAS_KITTY: &str = "\x1b_Gi=31;OK\x1b\\\x1b[?62;c";

/// A terminal with qmpsh in it. The process is killed when this is dropped.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    shown: Arc<Mutex<Shown>>,
    /// Nobody reads what is written to the terminal.
    stalled: Arc<AtomicBool>,
    process: Box<dyn Child + Send + Sync>,
}

struct Shown {
    screen: vt100::Parser,
    /// All that was ever written, escape sequences included.
    output: Vec<u8>,
}

impl Terminal {
    /// Starts `qmpsh ARGS` in a terminal of 80 columns and 24 rows. `home` keeps its history.
    pub fn start(home: &Path, args: &[&str]) -> Self {
        Self::start_with(home, args, &[])
    }

    /// The same, at its first prompt.
    #[track_caller]
    pub fn prompt(home: &Path, args: &[&str]) -> Self {
        let terminal = Self::start(home, args);
        terminal.wait_for_prompt();
        terminal
    }

    /// The same, with these environment variables besides.
    pub fn start_with(home: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Self::command(env!("CARGO_BIN_EXE_qmpsh"), home);
        command.args(args);
        for (name, value) in environment {
            command.env(name, value);
        }
        Self::run(command)
    }

    /// A command in an environment that no user's settings reach.
    pub fn command(program: &str, home: &Path) -> CommandBuilder {
        let mut command = CommandBuilder::new(program);
        command.cwd(home);
        command.env_clear();
        command.env("HOME", home);
        command.env("TERM", "xterm-256color");
        // As in xterm, rows stay as they are when the screen is resized.
        command.env("XTERM_VERSION", "XTerm");
        // Long output is for the test to read.
        command.env("PAGER", "");
        command.env(PATIENCE.0, PATIENCE.1);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Starts a command in a terminal.
    pub fn run(command: CommandBuilder) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            ..PtySize::default()
        };
        // Whoever else had its descriptors would keep the terminal open after us.
        let pty = uninherited(|| native_pty_system().openpty(size)).expect("a pty");
        let process = pty
            .slave
            .spawn_command(command)
            .expect("the command starts");
        let shown = Arc::new(Mutex::new(Shown {
            screen: vt100::Parser::new(size.rows, size.cols, 1000),
            output: Vec::new(),
        }));
        let mut output = pty.master.try_clone_reader().expect("the pty's output");
        let reader = shown.clone();
        let stalled = Arc::<AtomicBool>::default();
        let stops = stalled.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let mut shown = reader.lock().expect("no holder of this lock panics");
                shown.screen.process(&buffer[..length]);
                shown.output.extend_from_slice(&buffer[..length]);
                drop(shown);
                while stops.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Self {
            keys: pty.master.take_writer().expect("the pty's input"),
            master: pty.master,
            shown,
            stalled,
            process,
        }
    }

    /// Types `keys` as they are; `\r` is Enter.
    pub fn keys(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .expect("the pty takes keys");
        self.keys.flush().expect("the pty takes keys");
    }

    /// Waits until the terminal is asked what graphics it has, and answers.
    #[track_caller]
    pub fn answer(&mut self, answer: &str) {
        self.wait_for_question();
        self.keys(answer);
    }

    #[track_caller]
    pub fn wait_for_question(&self) {
        self.wait("the question", |_| self.output().contains(QUESTION_END));
    }

    /// Pastes `text` as a terminal does it: line breaks as Enter, in brackets where those are asked for.
    pub fn paste(&mut self, text: &str) {
        let text = text.replace('\n', "\r");
        if self.look(vt100::Screen::bracketed_paste) {
            self.keys(&format!("\x1b[200~{text}\x1b[201~"));
        } else {
            self.keys(&text);
        }
    }

    pub fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self
            .shown
            .lock()
            .expect("no holder of this lock panics")
            .screen
            .screen())
    }

    /// What a person sees, row by row, without trailing blanks, but for what is dimmed: hints and notes. The prompt
    /// is without its symbol, which comes and goes as the VM does; see [`Terminal::symbol`].
    pub fn screen(&self) -> String {
        self.rows(|cell| !cell.dim())
    }

    /// The same with what is dimmed.
    pub fn screen_with_hints(&self) -> String {
        self.rows(|_| true)
    }

    fn rows(&self, shown: impl Fn(&vt100::Cell) -> bool) -> String {
        let rows: Vec<String> = self.look(|screen| {
            let (rows, columns) = screen.size();
            let text = |cell: &vt100::Cell| match cell.contents() {
                _ if cell.is_wide_continuation() => String::new(),
                text if !text.is_empty() && shown(cell) => text.to_owned(),
                _ => " ".to_owned(),
            };
            let row = |row| {
                let cells = (0..columns).filter_map(move |column| screen.cell(row, column));
                let row: String = cells.map(text).collect();
                row.trim_end().to_owned()
            };
            (0..rows).map(row).collect()
        });
        without_symbols(rows.join("\n").trim_end())
    }

    /// The symbol in the prompt, the lowest one if there are several.
    pub fn symbol(&self) -> Option<char> {
        let screen = self.look(vt100::Screen::contents);
        let (_, symbol) = prompts(&screen).pop()?;
        Some(symbol)
    }

    /// The lowest prompt, with the VM's name and the symbol.
    pub fn whole_prompt(&self) -> Option<String> {
        let screen = self.look(vt100::Screen::contents);
        let (range, _) = prompts(&screen).pop()?;
        Some(screen[range].to_owned())
    }

    /// Waits until the prompt shows `symbol`.
    #[track_caller]
    pub fn wait_for_symbol(&self, symbol: char) -> String {
        self.wait(&format!("the symbol {symbol}"), |_| {
            self.symbol() == Some(symbol)
        })
    }

    /// The same, with rows that a long line was broken into put together again.
    pub fn unwrapped(&self) -> String {
        without_symbols(self.look(vt100::Screen::contents).trim_end())
    }

    /// All that was ever written to the terminal: for what scrolls away faster than one can look.
    pub fn output(&self) -> String {
        let shown = self.shown.lock().expect("no holder of this lock panics");
        String::from_utf8_lossy(&shown.output).into_owned()
    }

    /// The row and column of the cursor, from 0.
    pub fn cursor(&self) -> (u16, u16) {
        self.look(vt100::Screen::cursor_position)
    }

    /// Whether anything on the screen has a colour of its own.
    pub fn has_color(&self) -> bool {
        self.look(|screen| {
            let (rows, columns) = screen.size();
            let cells =
                (0..rows).flat_map(|row| (0..columns).filter_map(move |col| screen.cell(row, col)));
            cells
                .into_iter()
                .any(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    }

    /// The colours of the upper and the lower half of each half block on the screen, row by row.
    pub fn half_blocks(&self) -> Vec<Vec<[vt100::Color; 2]>> {
        self.look(|screen| {
            let (rows, columns) = screen.size();
            let row = |row| {
                let cells = (0..columns).filter_map(move |column| screen.cell(row, column));
                let blocks = cells.filter(|cell| cell.contents() == "▀");
                blocks
                    .map(|cell| [cell.fgcolor(), cell.bgcolor()])
                    .collect()
            };
            let rows = (0..rows).map(row);
            rows.filter(|row: &Vec<_>| !row.is_empty()).collect()
        })
    }

    /// Waits until the screen is as `condition` wants it, and returns it.
    #[track_caller]
    pub fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let caller = Location::caller();
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if condition(&screen) {
                return screen;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "{caller}: waited in vain for {what}; the screen is\n{}",
                self.screen_with_hints()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the last line on the screen is `line`, hints included.
    #[track_caller]
    pub fn wait_for_hints(&self, line: &str) {
        self.wait(line, |_| {
            let screen = without_symbols(&self.screen_with_hints());
            screen.lines().last() == Some(line)
        });
    }

    /// Whether `text` stands on the screen's last line, in red.
    pub fn is_red(&self, text: &str) -> bool {
        self.look(|screen| {
            let (rows, columns) = screen.size();
            let red = |row, column| {
                let cell = screen.cell(row, column);
                cell.is_some_and(|cell| cell.fgcolor() == vt100::Color::Idx(1))
            };
            (0..rows).any(|row| {
                let cells = (0..columns).filter_map(|column| screen.cell(row, column));
                let line: Vec<&str> = cells.map(vt100::Cell::contents).collect();
                let wanted: Vec<String> = text.chars().map(String::from).collect();
                let mut starts = line.windows(wanted.len());
                starts
                    .position(|cells| cells == wanted)
                    .is_some_and(|at| (at..at + wanted.len()).all(|c| red(row, c as u16)))
            })
        })
    }

    /// Waits until `text` is on the screen, however it is broken into rows, and returns the screen.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) -> String {
        self.wait(text, |_| self.shows(text));
        // It may have come between the two looks.
        self.screen()
    }

    /// Whether `text` is on the screen, in one row or in rows that the terminal or qmpsh has made of it.
    pub fn shows(&self, text: &str) -> bool {
        let screen = self.screen();
        let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        screen.contains(text)
            || self.unwrapped().contains(text)
            || (!text.contains('\n') && joined(&screen).contains(&joined(text)))
    }

    /// Waits until the last line on the screen is `line`.
    #[track_caller]
    pub fn wait_for_line(&self, line: &str) -> String {
        self.wait(line, |screen| screen.lines().last() == Some(line))
    }

    /// Waits until the cursor is at this row and column.
    #[track_caller]
    pub fn wait_for_cursor(&self, row: u16, column: u16) -> String {
        self.wait(&format!("the cursor at {row}, {column}"), |_| {
            self.cursor() == (row, column)
        })
    }

    /// Waits for the prompt with nothing after it.
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
            let last = screen.lines().last();
            last == Some("(QEMU)") || last == Some("TRANS>")
        })
    }

    /// Types a line, and waits until it is on the screen.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) -> String {
        self.keys(line);
        self.wait_for_line(&format!("(QEMU) {line}"))
    }

    /// Enters a line, and asserts that `answer` is on the screen by the time of the next prompt.
    #[track_caller]
    pub fn assert_answer(&mut self, line: &str, answer: &str) -> String {
        let screen = self.enter(line);
        assert!(self.shows(answer), "no `{answer}` on\n{screen}");
        screen
    }

    /// Presses Ctrl-C, and waits for the prompt.
    #[track_caller]
    pub fn cancel(&mut self) -> String {
        self.keys(CTRL_C);
        self.wait_for_prompt()
    }

    /// Clears the screen.
    #[track_caller]
    pub fn clear(&mut self) {
        self.keys("\x0c");
        self.wait("an empty screen", |screen| screen.trim_start() == "(QEMU)");
    }

    /// Leaves with Ctrl-D, and asserts that this was no failure.
    #[track_caller]
    pub fn leave(&mut self) {
        self.keys(CTRL_D);
        assert_eq!(self.wait_for_end(), 0);
    }

    /// Presses Ctrl-D, and leaves even if that ends a VM.
    #[track_caller]
    pub fn leave_the_vm(&mut self) {
        self.keys(CTRL_D);
        let asked = wait_for("the end or a question", || {
            let ended = self.process.try_wait().expect("it is our child").is_some();
            match self.screen().ends_with("Leave? [y/N]") {
                true => Some(true),
                false => ended.then_some(false),
            }
        });
        if asked {
            self.keys("y\r");
        }
    }

    /// From now on the terminal takes little more: nobody reads what is written to it, until [`Terminal::go_on`].
    pub fn stall(&self) {
        self.stalled.store(true, Ordering::Relaxed);
    }

    pub fn go_on(&self) {
        self.stalled.store(false, Ordering::Relaxed);
    }

    /// Waits until the stalled terminal has been written to until it took nothing more.
    #[track_caller]
    pub fn wait_until_full(&self) {
        let terminal = self.slave();
        // The reader may be about to read once more.
        for _ in 0..2 {
            wait_for("a terminal that takes nothing", || {
                (!is_ready(&terminal)).then_some(())
            });
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stalls the terminal and fills it, so that it takes nothing at all.
    pub fn fill(&self) {
        self.stall();
        let mut terminal = self.slave();
        wait_for("a terminal that takes nothing", || {
            while is_ready(&terminal) {
                let _ = terminal.write(&[b'\n'; 128]);
            }
            // The reader may be about to read once more.
            std::thread::sleep(Duration::from_millis(20));
            (!is_ready(&terminal)).then_some(())
        });
    }

    /// The terminal as qmpsh has it, without blocking.
    fn slave(&self) -> File {
        OpenOptions::new()
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(format!("/proc/{}/fd/0", self.pid()))
            .expect("a terminal of ours")
    }

    pub fn resize(&self, rows: u16, cols: u16) {
        // The screen first: what the program draws for the new size must find it.
        let mut shown = self.shown.lock().expect("no holder of this lock panics");
        shown.screen.screen_mut().set_size(rows, cols);
        self.master
            .resize(PtySize {
                rows,
                cols,
                ..PtySize::default()
            })
            .expect("the pty takes a size");
    }

    /// Waits for the process to end, and returns its exit status.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> u32 {
        let caller = Location::caller();
        let process = &mut self.process;
        let status = wait_for(&format!("the end of what {caller} started"), || {
            process.try_wait().expect("it is our child")
        });
        status.exit_code()
    }

    pub fn pid(&self) -> u32 {
        self.process.process_id().expect("it was started")
    }
}

/// Where in the screen's lines one ends in `end`.
#[track_caller]
pub fn row(screen: &str, end: &str) -> usize {
    screen
        .lines()
        .position(|line| line.ends_with(end))
        .unwrap_or_else(|| panic!("no line ends in `{end}`:\n{screen}"))
}

/// Whether a terminal takes anything.
fn is_ready(terminal: &File) -> bool {
    let mut ready = [PollFd::new(terminal.as_fd(), PollFlags::POLLOUT)];
    poll(&mut ready, PollTimeout::ZERO) != Ok(0)
}

/// The symbols of a VM's states.
const SYMBOLS: [char; 5] = ['○', '●', '‖', '!', '✦'];

/// Where a prompt `(NAME ●)` stands, and its symbol.
fn prompts(screen: &str) -> Vec<(Range<usize>, char)> {
    let mut found = Vec::new();
    for (at, symbol) in screen.char_indices() {
        let (before, after) = (&screen[..at], &screen[at + symbol.len_utf8()..]);
        let row = before.rfind('\n').map_or(0, |end| end + 1);
        if SYMBOLS.contains(&symbol)
            && before.ends_with(' ')
            && after.starts_with(')')
            && let Some(start) = before[row..].rfind('(')
        {
            found.push((row + start..at + symbol.len_utf8() + 1, symbol));
        }
    }
    found
}

/// `(QEMU)` for each `(NAME ●)`, whatever the VM's name is.
fn without_symbols(screen: &str) -> String {
    let mut text = String::new();
    let mut end = 0;
    for (range, _) in prompts(screen) {
        text.push_str(&screen[end..range.start]);
        let human = screen[range.clone()].contains(" hmp ");
        text.push_str(if human { "(QEMU hmp)" } else { "(QEMU)" });
        end = range.end;
    }
    text.push_str(&screen[end..]);
    text
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
