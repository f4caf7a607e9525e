use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::address::Address;
use super::handover::Handover;
use super::listen::ServerSocket;

/// Where the connections of a session come from.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// We connect to an address.
    Dial(Address),
    /// QEMU connects to us.
    Listen(Arc<ServerSocket>),
    /// The code that starts QEMU hands us a connected socket.
    Launched(Handover),
}

impl Endpoint {
    /// Whether both lead to the same server. A Unix socket may have several paths.
    pub fn leads_to_same(&self, other: &Self) -> bool {
        let (Self::Dial(Address::Unix(one)), Self::Dial(Address::Unix(another))) = (self, other)
        else {
            return self == other;
        };
        let file = |path: &Path| path.canonicalize().ok();
        one == another || file(one).is_some_and(|one| file(another) == Some(one))
    }

    /// Whether we can connect again after the connection has ended.
    pub fn can_be_dialled_again(&self) -> bool {
        !matches!(self, Self::Dial(Address::Inherited(_)) | Self::Launched(_))
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        Self::Dial(address)
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dial(a), Self::Dial(b)) => a == b,
            (Self::Listen(a), Self::Listen(b)) => Arc::ptr_eq(a, b),
            (Self::Launched(a), Self::Launched(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Endpoint {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(address) => address.fmt(f),
            Self::Listen(socket) => socket.address().fmt(f),
            Self::Launched(_) => f.write_str("the launched VM"),
        }
    }
}
