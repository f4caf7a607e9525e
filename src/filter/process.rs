//! What a process that runs filters does.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::thread;

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{SysconfVar, sysconf};

use super::Rejected;
use super::message::{Answer, Header};
use super::program::Program;

/// The only argument of such a process.
pub(super) const ARGUMENT: &str = "--run-filters";

/// How much stack a filter may use. The system provides it only as it is used.
pub(super) const STACK: usize = 256 << 20;

/// The most memory that a filter may use, in bytes, on a machine that has plenty.
const MOST_MEMORY: u64 = 4 << 30;

/// The least that it may use on any machine.
const LEAST_MEMORY: u64 = 1 << 30;

/// The exit status after a panic of the interpreter.
const PANICKED: i32 = 101;

/// How many compiled filters a process keeps.
const KEPT: usize = 16;

/// The most that the outputs of a filter may take, in bytes.
const MOST_OUTPUT: usize = 256 << 20;

/// Outputs are sent as soon as they are this long, in bytes.
const CHUNK: usize = 64 << 10;

/// Whether this process was started to run filters, with [`work`].
pub fn is_asked_for() -> bool {
    let mut args = env::args_os().skip(1);
    args.next().is_some_and(|argument| argument == ARGUMENT) && args.next().is_none()
}

/// Runs filters that come from standard input, until it ends. The answers go there, too: it is a socket.
///
/// A filter that takes too much stack or memory ends the process, which is why it is one of its own.
pub fn work() {
    // If memory runs out nevertheless, it is this process that is to go.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    // The stack counts, although it is hardly used.
    let memory = memory() + STACK as u64;
    let _ = setrlimit(Resource::RLIMIT_AS, memory, memory);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let worker = thread::Builder::new().stack_size(STACK).spawn(|| {
        // It ends when nobody has another job, or wants the answer.
        let _ = serve();
    });
    if worker
        .map(thread::JoinHandle::join)
        .is_ok_and(|ended| ended.is_err())
    {
        std::process::exit(PANICKED);
    }
}

/// The most memory that a filter may use, in bytes.
pub(super) fn memory() -> u64 {
    let value = |name| sysconf(name).ok().flatten();
    let value = |name| value(name).and_then(|value| u64::try_from(value).ok());
    let pages = value(SysconfVar::_PHYS_PAGES).unwrap_or(0);
    let all = pages.saturating_mul(value(SysconfVar::PAGE_SIZE).unwrap_or(0));
    (all / 2).clamp(LEAST_MEMORY, MOST_MEMORY)
}

fn serve() -> io::Result<()> {
    let mut socket = fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut kept: Vec<Program> = Vec::new();
    loop {
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let header = read(&mut socket, u32::from_ne_bytes(length) as usize)?;
        let header: Header = serde_json::from_slice(&header)?;
        let input = header.input.map(|length| read(&mut socket, length));
        let input = input.transpose()?;
        let at = kept.iter().position(|program| program.is(&header));
        let program = match at {
            Some(at) => Ok(kept.remove(at)),
            None => Program::compile(&header),
        };
        let answer = match program {
            Err(Rejected { message, span }) => Answer::Rejected(message, span),
            Ok(program) => {
                let error = match input {
                    Some(input) => run(&program, &header, input, &mut socket)?,
                    None => None,
                };
                kept.push(program);
                if kept.len() > KEPT {
                    kept.remove(0);
                }
                error.map_or(Answer::Done, Answer::Failed)
            }
        };
        socket.write_all(&answer.to_bytes())?;
    }
}

fn read(socket: &mut fs::File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Runs a filter on `input`, and sends what it gives. Returns why it gave no more, if it failed.
fn run(
    program: &Program,
    header: &Header,
    input: Vec<u8>,
    socket: &mut fs::File,
) -> io::Result<Option<String>> {
    let mut lines = Vec::new();
    let mut given = 0;
    let mut why = program.run(header, &input, &mut lines, |lines| {
        if given + lines.len() > MOST_OUTPUT {
            return ControlFlow::Break(Ok(()));
        }
        if lines.len() < CHUNK {
            return ControlFlow::Continue(());
        }
        given += lines.len();
        match socket.write_all(&Answer::Lines(std::mem::take(lines)).to_bytes()) {
            Ok(()) => ControlFlow::Continue(()),
            error => ControlFlow::Break(error),
        }
    })?;
    if given + lines.len() > MOST_OUTPUT {
        why = Some(format!("it gives more than {} MiB", MOST_OUTPUT >> 20));
        lines.clear();
    }
    socket.write_all(&Answer::Lines(lines).to_bytes())?;
    Ok(why)
}
