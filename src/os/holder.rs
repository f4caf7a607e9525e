//! Finds who else is connected to a Unix socket (on Linux): QEMU serves one client at a time.

use std::path::Path;

/// A process that is connected to a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// The words of its command line.
    pub command: Vec<String>,
}

/// Another process than ours whose connection the server at `path` has accepted, if there is one and we may look at it.
pub fn of(path: &Path) -> Option<Holder> {
    #[cfg(target_os = "linux")]
    return linux::holder(path);
    #[cfg(not(target_os = "linux"))]
    return None;
}

/// The name of a process's program, if the system tells it.
pub fn program_of(pid: i32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Whether a process is stopped, by SIGSTOP or a debugger. False if that cannot be found out.
pub fn is_stopped(pid: i32) -> bool {
    matches!(state(pid), Some('T' | 't'))
}

/// Whether a process has ended, even if its parent has not noticed.
pub fn has_ended(pid: i32) -> bool {
    match state(pid) {
        None => true,
        // The first thread may end before the others, which keep files open and locked.
        Some('Z' | 'X') => {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
            threads.map_or(0, Iterator::count) <= 1
        }
        Some(_) => false,
    }
}

/// The state of a process.
fn state(pid: i32) -> Option<char> {
    // See `proc_pid_stat(5)`: the state follows the name, which may contain anything and ends at
    // the last `)`.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::Path;

    use super::Holder;
    use crate::os::sock_diag;

    pub fn holder(path: &Path) -> Option<Holder> {
        let sockets = sock_diag::at(path).ok()?;
        let peers: Vec<String> = sockets
            .iter()
            // A connection that is not accepted yet has no inode.
            .filter(|socket| socket.inode != 0)
            .filter_map(|socket| Some(format!("socket:[{}]", socket.peer?)))
            .collect();
        let processes = fs::read_dir("/proc").ok()?;
        processes
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            // A server may have accepted us and still not greet.
            .filter(|pid| *pid != std::process::id())
            .find(|pid| has_open(*pid, &peers))
            .map(|pid| Holder {
                pid,
                command: command(pid),
            })
    }

    fn has_open(pid: u32, links: &[String]) -> bool {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        descriptors
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|link| links.iter().any(|other| link.as_os_str() == other.as_str()))
    }

    fn command(pid: u32) -> Vec<String> {
        let read = |file| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let arguments = read("cmdline");
        let words: Vec<_> = arguments
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        match words.is_empty() {
            true => vec![String::from_utf8_lossy(&read("comm")).trim_end().to_owned()],
            false => words,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Command, Stdio};

    #[test]
    fn who_is_connected_is_known_by_pid_once_the_server_has_accepted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.sock");
        let listener = UnixListener::bind(&path).expect("a socket of ours");
        assert_eq!(super::of(&path), None);
        let client = UnixStream::connect(&path).expect("somebody listens");
        let mut other = Command::new("cat");
        other.stdin(OwnedFd::from(client)).stdout(Stdio::null());
        let mut other = other.spawn().expect("cat runs");
        // It is not accepted yet.
        assert_eq!(super::of(&path), None);
        let server = listener.accept().expect("somebody waits");
        let holder = super::of(&path).expect("it is that process");
        assert_eq!(
            (holder.pid, &*holder.command),
            (other.id(), &["cat".to_owned()][..])
        );
        drop(server);
        other.wait().expect("it ends with the connection");
    }

    #[test]
    fn this_process_is_not_the_one_that_holds_a_socket() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.sock");
        let listener = UnixListener::bind(&path).expect("a socket of ours");
        let _client = UnixStream::connect(&path).expect("somebody listens");
        let _server = listener.accept().expect("there is a client");
        assert_eq!(super::of(&path), None);
    }
}
