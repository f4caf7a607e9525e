//! The Unix sockets that the kernel lists (`sock_diag(7)`). Listing them connects to none.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use nix::sys::stat::{major, minor};

/// A Unix socket.
pub struct UnixSocket {
    /// 0 for a connection that was not accepted yet.
    pub inode: u32,
    pub listening: bool,
    /// The inode of the other end, if connected.
    pub peer: Option<u32>,
}

// See `linux/sock_diag.h`, `linux/unix_diag.h` and `netlink(7)`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_HEADER: usize = 16;
const NLMSG_DONE: u16 = 3;
const NLMSG_ERROR: u16 = 2;
const UDIAG_SHOW_NAME: u32 = 1;
const UDIAG_SHOW_VFS: u32 = 2;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_MESSAGE: usize = 16;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_VFS: u16 = 1;
const UNIX_DIAG_PEER: u16 = 2;
/// `TCP_LISTEN`, for sockets of every kind.
const LISTENING: u8 = 10;

/// Returns the sockets bound to `path`: the listening one, and the server's ends of its connections. Sockets of other
/// network namespaces are not seen.
///
/// # Errors
///
/// The kernel does not list sockets.
pub fn at(path: &Path) -> io::Result<Vec<UnixSocket>> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    send(netlink.as_raw_fd(), &request(), MsgFlags::empty())?;
    let file = File::of(path);
    let mut sockets = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Some(length) = receive(&netlink, &mut buffer)? {
        let mut rest = &buffer[..length];
        while let Some((kind, message, after)) = next_message(rest) {
            if matches!(kind, NLMSG_DONE | NLMSG_ERROR) {
                return Ok(sockets);
            }
            sockets.extend(read_socket(message, path, file));
            rest = after;
        }
    }
    Ok(sockets)
}

fn receive(netlink: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let length = recv(netlink.as_raw_fd(), buffer, MsgFlags::empty())?;
    Ok((length > 0).then_some(length))
}

/// An `nlmsghdr` with a `unix_diag_req` that asks for every socket, its name, its file and its peer.
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
    request.extend((UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER).to_ne_bytes());
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

/// Reads a `unix_diag_msg`, if it describes a socket with the name `path` or the file `file`.
fn read_socket(message: &[u8], path: &Path, file: Option<File>) -> Option<UnixSocket> {
    let listening = *message.get(2)? == LISTENING;
    let inode = u32_at(message, 4)?;
    let (mut ours, mut peer) = (false, None);
    let mut rest = message.get(UNIX_DIAG_MESSAGE..)?;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let value = rest.get(4..length)?;
        match kind {
            UNIX_DIAG_NAME => {
                let name = value.strip_suffix(b"\0").unwrap_or(value);
                ours |= is_same(name, path);
            }
            UNIX_DIAG_VFS => {
                let (inode, device) = (u32_at(value, 0)?, u32_at(value, 4)?);
                ours |= file == Some(File { inode, device });
            }
            UNIX_DIAG_PEER => peer = u32_at(value, 0),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    ours.then_some(UnixSocket {
        inode,
        listening,
        peer,
    })
}

/// A file as `unix_diag_vfs` names it: by the lower half of its inode, and by the device number in the kernel's layout.
#[derive(Clone, Copy, PartialEq, Eq)]
struct File {
    inode: u32,
    device: u32,
}

impl File {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let device = major(file.dev()) << 20 | minor(file.dev());
        Some(Self {
            inode: file.ino() as u32,
            device: device as u32,
        })
    }
}

/// Whether a socket bound to `name` is the one at `path`, which may be relative or lead through links.
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_server_is_found_under_every_name_of_its_socket() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.sock");
        let _listener = UnixListener::bind(&path).expect("a socket of ours");
        let link = directory.path().join("link");
        let moved = directory.path().join("moved");
        std::os::unix::fs::symlink(&moved, &link).expect("a link of ours");
        std::fs::rename(&path, &moved).expect("it is ours");
        for (path, count) in [(&moved, 1), (&path, 1), (&link, 1)] {
            let sockets = at(path).expect("the kernel tells");
            assert_eq!(
                sockets.iter().filter(|socket| socket.listening).count(),
                count
            );
        }
        let other = directory.path().join("other");
        assert!(at(&other).expect("the kernel tells").is_empty());
    }
}
