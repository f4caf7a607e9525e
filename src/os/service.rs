//! What systemd tells a service, and a service tells systemd (`sd_listen_fds(3)`, `sd_notify(3)`).

use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The first descriptor that systemd passes.
const FIRST: i32 = 3;

/// The listening sockets that systemd has passed to this very process, by their descriptors' numbers.
pub fn passed() -> Vec<i32> {
    let number = |name| std::env::var(name).ok()?.parse::<i32>().ok();
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count)) if u32::try_from(pid) == Ok(std::process::id()) => {
            (FIRST..FIRST.saturating_add(count)).collect()
        }
        _ => Vec::new(),
    }
}

/// Tells the service manager, if there is one: `READY=1`, `STOPPING=1`, or several such lines.
pub fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    // Nobody has to listen.
    let _ = address(&path).and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(state.as_bytes(), &address)
    });
}

fn address(path: &std::ffi::OsStr) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        if let Some(name) = path.as_bytes().strip_prefix(b"@") {
            return SocketAddr::from_abstract_name(name);
        }
    }
    SocketAddr::from_pathname(path)
}
