//! The sockets of a process, from `/proc/PID/net` (`proc_net(5)`).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The state of a server's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketState {
    /// It is waiting for a client.
    Free,
    /// A client is connected.
    Connected,
    /// It is not listening, and no client is connected.
    Closed,
}

impl SocketState {
    /// The state in one word, as `--list` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Connected => "connected",
            Self::Closed => "closed",
        }
    }

    fn of(listening: bool, connected: bool) -> Self {
        match (listening, connected) {
            (_, true) => Self::Connected,
            (true, false) => Self::Free,
            (false, false) => Self::Closed,
        }
    }
}

/// The sockets in the network namespace of a process.
pub(super) struct Sockets {
    unix: Vec<Unix>,
    tcp: Vec<Tcp>,
    /// The socket inodes of the process's descriptors. Empty for another user's process.
    own: HashMap<i32, u64>,
}

struct Unix {
    inode: u64,
    path: String,
    listening: bool,
    connected: bool,
}

struct Tcp {
    inode: u64,
    port: u16,
    listening: bool,
    connected: bool,
}

impl Sockets {
    /// Reads the sockets that the process can see. `process` is its directory in `/proc`.
    pub fn of(process: &Path) -> Self {
        let table = |name: &str| {
            let text = fs::read(process.join("net").join(name)).unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        };
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
        let own = descriptors.flatten().filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            Some((number, inode.parse().ok()?))
        });
        Self {
            unix: table("unix").lines().skip(1).filter_map(unix).collect(),
            tcp: [table("tcp"), table("tcp6")]
                .iter()
                .flat_map(|table| table.lines().skip(1).filter_map(tcp))
                .collect(),
            own: own.collect(),
        }
    }

    /// The state of the server at `path`, spelled as when it was bound.
    pub fn unix(&self, path: &str) -> SocketState {
        let at_path = || self.unix.iter().filter(|socket| socket.path == path);
        SocketState::of(
            at_path().any(|socket| socket.listening),
            // A server's end of a connection has the server's path.
            at_path().any(|socket| socket.connected),
        )
    }

    /// The state of the process's server at a TCP port.
    pub fn tcp(&self, port: u16) -> SocketState {
        let is_own = |inode| self.own.is_empty() || self.own.values().any(|own| *own == inode);
        let at_port = || {
            let sockets = self.tcp.iter();
            sockets.filter(|socket| socket.port == port && is_own(socket.inode))
        };
        SocketState::of(
            at_port().any(|socket| socket.listening),
            at_port().any(|socket| socket.connected),
        )
    }

    /// The address and state of the socket that descriptor `number` of the process refers to.
    pub fn inherited(&self, number: i32) -> (String, SocketState) {
        let inode = self.own.get(&number);
        let unix = self.unix.iter().find(|socket| Some(&socket.inode) == inode);
        if let Some(socket) = unix.filter(|socket| !socket.path.is_empty()) {
            return (socket.path.clone(), self.unix(&socket.path));
        }
        let tcp = self.tcp.iter().find(|socket| Some(&socket.inode) == inode);
        if let Some(socket) = tcp {
            return (format!(":{}", socket.port), self.tcp(socket.port));
        }
        // A socketpair's end: it belongs to who started this QEMU.
        let connected = unix.is_some_and(|socket| socket.connected);
        (
            format!("descriptor {number}"),
            SocketState::of(false, connected),
        )
    }
}

/// A line of `/proc/net/unix`: number, count, protocol, flags, type, state, inode, and a path if it has one.
fn unix(line: &str) -> Option<Unix> {
    // The inode is padded, and the path may have blanks in it.
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start();
        field
    };
    let [_, _, _, flags, _, state, inode] = std::array::from_fn(|_| field());
    Some(Unix {
        inode: inode.parse().ok()?,
        path: rest.to_owned(),
        // __SO_ACCEPTCON and SS_CONNECTED.
        listening: flags == "00010000",
        connected: state == "03",
    })
}

/// A line of `/proc/net/tcp`: slot, local and remote address, state, and the inode in the tenth column.
fn tcp(line: &str) -> Option<Tcp> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    let state = *fields.get(3)?;
    Some(Tcp {
        inode: fields.get(9)?.parse().ok()?,
        port: u16::from_str_radix(port, 16).ok()?,
        // TCP_LISTEN and TCP_ESTABLISHED.
        listening: state == "0A",
        connected: state == "01",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernels_table_is_read() {
        let line = "00000000f84f960c: 00000002 00000000 00010000 0001 01 1364443 /run/my vm.sock";
        let socket = unix(line).expect("a line of the table");
        assert_eq!(
            (socket.inode, &*socket.path),
            (1_364_443, "/run/my vm.sock")
        );
        assert!(socket.listening && !socket.connected);
        let line = "00000000f84f960c: 00000003 00000000 00000000 0001 03  1063";
        let socket = unix(line).expect("a line of the table");
        assert_eq!((socket.inode, &*socket.path), (1063, ""));
        assert!(socket.connected);
    }
}
