//! qmpsh between two `stty -g`: whether it leaves the terminal as it was.

use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use portable_pty::CommandBuilder;

use super::terminal::Terminal;

/// What runs the arguments as `$@`, and leaves its process id and its status in files.
const ONCE: &str = r#"
    sh -c 'echo $$ >pid.new && mv pid.new pid && exec "$0" "$@"' "$@"
    echo $? >status
"#;

/// A terminal in which a shell runs a script between two `stty -g`. The shell is not interactive, so it leaves the
/// terminal as the script left it.
pub struct Between {
    terminal: Terminal,
    directory: PathBuf,
}

impl Between {
    /// Runs `qmpsh ARGS` in this directory.
    pub fn start<S: AsRef<OsStr>>(directory: &Path, args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Self::script(directory, ONCE);
        command.args(args);
        Self::run(command, directory)
    }

    /// A shell that is to run `script` between the two, with qmpsh as the first argument.
    pub fn script(directory: &Path, script: &str) -> CommandBuilder {
        let mut command = Terminal::command("sh", directory);
        let script = format!("stty -g >before\n{script}\nstty -g >after\necho 'the end'");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_qmpsh")]);
        command
    }

    pub fn run(command: CommandBuilder, directory: &Path) -> Self {
        Self {
            terminal: Terminal::run(command),
            directory: directory.to_owned(),
        }
    }

    /// The process of qmpsh.
    pub fn qmpsh_pid(&self) -> u32 {
        self.file("pid").parse().expect("a process id")
    }

    /// What stands in a file of the directory.
    pub fn file(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.directory.join(name));
        let text = text.unwrap_or_else(|error| panic!("{name}: {error}"));
        text.trim().to_owned()
    }

    /// Waits for the end, and asserts that the terminal is as it was.
    #[track_caller]
    pub fn assert_restored(&mut self) {
        self.wait_for_end();
        // On a line of its own: what the shell writes after it does not go into ours.
        let screen = self.wait_for_line("the end");
        assert_eq!(self.file("after"), self.file("before"), "{screen}");
    }
}

impl Deref for Between {
    type Target = Terminal;

    fn deref(&self) -> &Terminal {
        &self.terminal
    }
}

impl DerefMut for Between {
    fn deref_mut(&mut self) -> &mut Terminal {
        &mut self.terminal
    }
}
