//! Who else is connected to a Unix socket, as far as Linux tells: QEMU serves one client at a time.

use std::path::Path;

/// A process that is connected to a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// The words of its command line.
    pub command: Vec<String>,
}

/// The process whose connection the server at `path` has accepted, if there is one and we may look at it.
pub fn of(path: &Path) -> Option<Holder> {
    #[cfg(target_os = "linux")]
    return linux::holder(path);
    #[cfg(not(target_os = "linux"))]
    return None;
}

/// Whether a process is stopped (SIGSTOP, or a debugger), as far as the system tells.
pub fn is_stopped(pid: i32) -> bool {
    // `proc_pid_stat(5)`: the state follows the name, which may contain anything and ends at the last `)`.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('T' | 't'))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
    };

    use super::Holder;

    /// A Unix socket as the kernel lists it.
    struct Socket {
        inode: u32,
        /// The other end of its connection.
        peer: u32,
    }

    pub fn holder(path: &Path) -> Option<Holder> {
        let sockets = accepted(path).ok()?;
        let peers: Vec<String> = sockets
            .iter()
            // A connection that is not accepted yet has no inode.
            .filter(|socket| socket.inode != 0)
            .map(|socket| format!("socket:[{}]", socket.peer))
            .collect();
        let processes = fs::read_dir("/proc").ok()?;
        processes
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
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

    // See `linux/sock_diag.h`, `linux/unix_diag.h` and `netlink(7)`.
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const NLM_F_DUMP: u16 = 0x300;
    const NLMSG_HEADER: usize = 16;
    const NLMSG_DONE: u16 = 3;
    const NLMSG_ERROR: u16 = 2;
    const UDIAG_SHOW_NAME: u32 = 1;
    const UDIAG_SHOW_PEER: u32 = 4;
    const UNIX_DIAG_MESSAGE: usize = 16;
    const UNIX_DIAG_NAME: u16 = 0;
    const UNIX_DIAG_PEER: u16 = 2;

    /// The connected sockets at the server's end of `path`.
    fn accepted(path: &Path) -> io::Result<Vec<Socket>> {
        let netlink = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkSockDiag,
        )?;
        send(netlink.as_raw_fd(), &request(), MsgFlags::empty())?;
        let mut sockets = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        while let Some(length) = receive(&netlink, &mut buffer)? {
            let mut rest = &buffer[..length];
            while let Some((kind, message, after)) = next_message(rest) {
                if matches!(kind, NLMSG_DONE | NLMSG_ERROR) {
                    return Ok(sockets);
                }
                sockets.extend(read_socket(message, path));
                rest = after;
            }
        }
        Ok(sockets)
    }

    fn receive(netlink: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let length = recv(netlink.as_raw_fd(), buffer, MsgFlags::empty())?;
        Ok((length > 0).then_some(length))
    }

    /// An `nlmsghdr` with a `unix_diag_req` that asks for every socket, its name and its peer.
    fn request() -> Vec<u8> {
        let mut request = Vec::new();
        let length = u32::try_from(NLMSG_HEADER + 24).expect("it is small");
        request.extend(length.to_ne_bytes());
        request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        request.extend([0; 8]);
        let family = u8::try_from(AddressFamily::Unix as i32).expect("it is small");
        request.extend([family, 0, 0, 0]);
        // In any state, with any inode.
        request.extend(u32::MAX.to_ne_bytes());
        request.extend(0_u32.to_ne_bytes());
        request.extend((UDIAG_SHOW_NAME | UDIAG_SHOW_PEER).to_ne_bytes());
        request.extend([0; 8]);
        request
    }

    /// Splits off a netlink message: its type, its content, and what follows.
    fn next_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
        let length = u32_at(bytes, 0)? as usize;
        let kind = u16_at(bytes, 4)?;
        let message = bytes.get(NLMSG_HEADER..length)?;
        let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, message, after))
    }

    /// Reads a `unix_diag_msg` if it is a connected socket of the name `path`.
    fn read_socket(message: &[u8], path: &Path) -> Option<Socket> {
        let inode = u32_at(message, 4)?;
        let (mut named, mut peer) = (false, None);
        let mut rest = message.get(UNIX_DIAG_MESSAGE..)?;
        while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
            let length = usize::from(length);
            let value = rest.get(4..length)?;
            match kind {
                UNIX_DIAG_NAME => {
                    let name = value.strip_suffix(b"\0").unwrap_or(value);
                    named = is_same(name, path);
                }
                UNIX_DIAG_PEER => peer = u32_at(value, 0),
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        let peer = peer?;
        named.then_some(Socket { inode, peer })
    }

    /// Whether a server that was bound to `name`, perhaps in another directory, is the one at `path`.
    fn is_same(name: &[u8], path: &Path) -> bool {
        let ours = path.as_os_str().as_bytes();
        if name == ours {
            return true;
        }
        let absolute = |path: &Path| path.canonicalize().ok();
        absolute(path).is_some_and(|path| path.as_os_str().as_bytes() == name)
    }

    fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(four))
    }

    fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
        let two = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_ne_bytes(two))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn who_is_connected_is_known_by_pid_once_the_server_has_accepted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.sock");
        let listener = UnixListener::bind(&path).expect("a socket of ours");
        assert_eq!(super::of(&path), None);
        let _client = UnixStream::connect(&path).expect("somebody listens");
        // It is not accepted yet.
        assert_eq!(super::of(&path), None);
        let _server = listener.accept().expect("somebody waits");
        let holder = super::of(&path).expect("it is this process");
        assert_eq!(holder.pid, std::process::id());
        assert!(!holder.command.is_empty());
    }
}
