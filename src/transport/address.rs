use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::lang::conceal;

/// Where a server is found, as a user spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port. An empty host means this machine.
    Tcp {
        /// A name or an IP address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The number of an inherited descriptor that is a connected socket.
    Inherited(i32),
    /// A command line for `sh -c`, whose standard input and output are the stream.
    Program(String),
}

/// A text that is not an address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{text}` is not an address: {why}")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `/run/vm.sock`, `vm.sock`, `unix:PATH`, `host:port`, `[::1]:port`,
    /// `:port`, `tcp:host:port`, `fd:N`, `exec:COMMAND LINE`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let invalid = |why| AddressError {
            text: text.to_owned(),
            why,
        };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            // Accept the spelling of QEMU's own option: unix:PATH,server=on,wait=off.
            let path = path.split_once(",server").map_or(path, |(path, _)| path);
            return match path {
                "" => Err(invalid("write a path after `unix:`")),
                path => Ok(Self::Unix(path.into())),
            };
        }
        if let Some(rest) = text.strip_prefix("tcp:") {
            let rest = rest.split_once(",server").map_or(rest, |(rest, _)| rest);
            return host_and_port(rest).ok_or_else(|| invalid("write HOST:PORT after `tcp:`"));
        }
        if let Some(number) = text.strip_prefix("fd:") {
            return match number.parse() {
                Ok(number @ 0..) => Ok(Self::Inherited(number)),
                _ => Err(invalid("write the number of a descriptor after `fd:`")),
            };
        }
        if let Some(line) = text.strip_prefix("exec:") {
            return match line.trim() {
                "" => Err(invalid("write a command line after `exec:`")),
                line => Ok(Self::Program(line.to_owned())),
            };
        }
        if text.contains('/') || !text.contains(':') {
            return Ok(Self::Unix(text.into()));
        }
        host_and_port(text).ok_or_else(|| {
            invalid("it is neither HOST:PORT nor a path; write a path with a colon as unix:PATH")
        })
    }
}

/// Splits `host:port`, `[v6]:port` or `:port`.
fn host_and_port(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?,
        // Without brackets, an IPv6 address cannot be told from the port.
        None if host.contains(':') => return None,
        None => host,
    };
    Some(Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Inherited(number) => write!(f, "fd:{number}"),
            Self::Program(line) => write!(f, "exec:{}", conceal(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_address_is_parsed() {
        let unix = |path: &str| Address::Unix(path.into());
        let tcp = |host: &str, port| Address::Tcp {
            host: host.into(),
            port,
        };
        for (text, address) in [
            ("/run/vm.sock", unix("/run/vm.sock")),
            ("./vm.sock", unix("./vm.sock")),
            ("vm.sock", unix("vm.sock")),
            ("/tmp/a:1", unix("/tmp/a:1")),
            ("unix:vm:1", unix("vm:1")),
            ("unix:/tmp/q,server=on,wait=off", unix("/tmp/q")),
            ("localhost:4444", tcp("localhost", 4444)),
            ("10.0.0.1:4444", tcp("10.0.0.1", 4444)),
            ("[::1]:4444", tcp("::1", 4444)),
            (":4444", tcp("", 4444)),
            ("tcp:host:1", tcp("host", 1)),
            ("tcp::1", tcp("", 1)),
            ("tcp:[::1]:1,server=on", tcp("::1", 1)),
            ("fd:3", Address::Inherited(3)),
            (
                "exec:ssh host socat - /run/vm.sock",
                Address::Program("ssh host socat - /run/vm.sock".into()),
            ),
        ] {
            assert_eq!(text.parse::<Address>().expect(text), address, "{text}");
        }
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for text in [
            "",
            "host:port",
            "host:99999",
            "::1",
            "unix:",
            "tcp:x",
            "[::1]4444:",
            "fd:",
            "fd:-1",
            "fd:x",
            "exec:",
            "exec: ",
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains("is not an address"), "{text}: {error}");
        }
    }
}
