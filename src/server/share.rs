//! Shares one monitor among many clients.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::command::Command;
use super::incoming::apart;
use super::policy::Policy;
use super::serving::Server;
use super::who::{Note, Who};
use crate::qmp::{Behind, Client, Event, Relay, Request, Session, State};
use crate::transport::{Address, Error, ServerSocket, SocketFile, Tls};

/// How many in-band commands of all clients may be in flight. QEMU queues eight, and an out-of-band command cannot
/// overtake those beyond; the shell needs some for itself.
const TURNS: usize = 4;

/// The same out of band.
const TURNS_OOB: usize = 8;

/// Serves the VM of a session to clients at any number of addresses, through restarts of the VM.
///
/// Clients are greeted while there is a connection to the VM, and disconnected when it ends. They take turns: each has at
/// most one command waiting to be sent.
pub struct Share {
    vm: Arc<Vm>,
    servings: Arc<Mutex<Vec<Serving>>>,
    tell: Arc<Tell>,
    /// Passes on events; the session holds it weakly.
    _relay: Relay,
    follower: AbortHandle,
}

/// Is called when clients come and go. It must not block.
type Tell = dyn Fn(Note) + Send + Sync;

/// An address at which a VM is served.
struct Serving {
    address: Address,
    policy: Option<Arc<Policy>>,
    server: Server,
    _file: Option<SocketFile>,
}

/// What [`Share::servings`] tells of an address.
#[derive(Debug)]
pub struct Served {
    /// The address.
    pub address: Address,
    /// The name of its policy, if it has one.
    pub policy: Option<String>,
    /// The clients there are.
    pub clients: Vec<Arc<Who>>,
}

/// Listens at an address at which a VM is to be served. A TCP port needs `tls`.
///
/// # Errors
///
/// As for [`ServerSocket::bind_for_many`]; or it is a TCP port without `tls`, or the credentials cannot be used.
pub fn bind(address: &Address, tls: Option<&Tls>) -> Result<ServerSocket, Error> {
    let socket = ServerSocket::bind_for_many(address)?;
    match tls {
        _ if socket.is_unix() => Ok(socket),
        Some(tls) => socket.with_tls(tls.clone()),
        None => Err(Error::Listen {
            address: address.clone(),
            why: "everybody on the network could control the VM; use --tls-creds".to_owned(),
        }),
    }
}

/// The VM's end.
struct Vm {
    client: Mutex<Option<Arc<Client>>>,
    turns: Arc<Semaphore>,
    turns_oob: Arc<Semaphore>,
}

impl Share {
    /// Shares the VM of `session`, at no address so far. Calls `tell`, which must not block, when clients come and go.
    pub fn new(session: &Session, tell: impl Fn(Note) + Send + Sync + 'static) -> Self {
        let servings = Arc::new(Mutex::new(Vec::new()));
        let vm = Arc::new(Vm {
            client: Mutex::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
            turns_oob: Arc::new(Semaphore::new(TURNS_OOB)),
        });
        let publishers = servings.clone();
        let relay: Relay = Arc::new(move |event: &Event| {
            for Serving { server, .. } in &*publishers.lock() {
                server.publish(event.text());
            }
        });
        session.hub().relay(&relay);
        let follower = tokio::spawn(follow(session.watch(), vm.clone(), servings.clone()));
        Self {
            vm,
            servings,
            tell: Arc::new(tell),
            _relay: relay,
            follower: follower.abort_handle(),
        }
    }

    /// Serves at another address. What `policy` does not allow is refused.
    pub fn serve(&self, mut socket: ServerSocket, policy: Option<Policy>) {
        let (vm, policy) = (self.vm.clone(), policy.map(Arc::new));
        let checked = policy.clone();
        let handler = move |command| run(command, vm.clone(), checked.clone());
        let tell = self.tell.clone();
        let server = Server::telling(handler, move |note| tell(note));
        let mut servings = self.servings.lock();
        if let Some(client) = &*self.vm.client.lock() {
            greet(&server, client);
        }
        let (address, file) = (socket.address().clone(), socket.take_file());
        server.listen(socket);
        servings.push(Serving {
            address,
            policy,
            server,
            _file: file,
        });
    }

    /// The addresses, and the clients of each.
    pub fn servings(&self) -> Vec<Served> {
        let servings = self.servings.lock();
        let served = servings.iter().map(|serving| Served {
            address: serving.address.clone(),
            policy: serving
                .policy
                .as_ref()
                .map(|policy| policy.name().to_owned()),
            clients: serving.server.clients(),
        });
        served.collect()
    }

    /// Stops serving at `address`, or everywhere, and ends the connections of the clients there. Returns whether it was
    /// served there.
    pub async fn stop(&self, address: Option<&Address>) -> bool {
        let stopped: Vec<_> = {
            let mut servings = self.servings.lock();
            let is_meant = |serving: &mut Serving| address.is_none_or(|at| serving.address == *at);
            servings.extract_if(.., is_meant).collect()
        };
        for serving in &stopped {
            serving.server.end().await;
        }
        !stopped.is_empty()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// Greets clients once there is a connection to the VM, and ends their connections when it ends.
async fn follow(
    mut state: tokio::sync::watch::Receiver<State>,
    vm: Arc<Vm>,
    servings: Arc<Mutex<Vec<Serving>>>,
) {
    loop {
        let client = match &*state.borrow_and_update() {
            State::Running(client) => Some(client.clone()),
            State::Idle(_) | State::Connecting(_) | State::Disconnecting => None,
        };
        let is_other = {
            let known = vm.client.lock();
            known.as_ref().map(Arc::as_ptr) != client.as_ref().map(Arc::as_ptr)
        };
        if is_other {
            let servings = servings.lock();
            // A client that was greeted by one VM must not reach the next.
            for Serving { server, .. } in &*servings {
                server.greet(None);
            }
            (*vm.client.lock()).clone_from(&client);
            if let Some(client) = &client {
                for Serving { server, .. } in &*servings {
                    greet(server, client);
                }
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// Greets as the VM does, and names the VM's process to other qmpsh, which complete from its schema and twin.
fn greet(server: &Server, client: &Client) {
    let mut greeting = client.greeting().clone();
    if greeting.human {
        // It has no commands for QMP's clients.
        return;
    }
    if !client.oob() {
        greeting
            .capabilities
            .retain(|capability| capability != "oob");
    }
    let pid = client.peer_pid();
    greeting.behind = Some(Behind { pid });
    server.greet(Some(&greeting));
}

/// Passes a command on to the VM when it is its turn.
async fn run(mut command: Command, vm: Arc<Vm>, policy: Option<Arc<Policy>>) {
    let text = match policy {
        None => command.to_wire(),
        // The arguments are sent as they were checked, not as they were written.
        Some(policy) => match arguments_of(&command).await {
            Err(error) => {
                let desc = format!("JSON parse error, {error}");
                return command.fail("GenericError", &desc);
            }
            Ok(arguments) => match policy.check(command.name(), &arguments) {
                Err(desc) => return command.fail("GenericError", &desc),
                Ok(()) => command.to_wire_with(&arguments.to_string()),
            },
        },
    };
    let turns = if command.oob() {
        &vm.turns_oob
    } else {
        &vm.turns
    };
    let Ok(turn) = turns.clone().acquire_owned().await else {
        return;
    };
    let client = vm.client.lock().clone();
    // Dropping the command ends the client's connection, as that to the VM has ended.
    let Some(client) = client.filter(|_| command.is_wanted()) else {
        return;
    };
    let descriptors = command.take_descriptors();
    if let Err(error) = client.can_carry(command.name(), descriptors.len()) {
        return command.fail("GenericError", &error.to_string());
    }
    let request = Request {
        text,
        name: command.name().to_owned(),
        descriptors,
        from: Some(command.who().label()),
        ..Request::default()
    };
    let _ = client.send_then(request, move |outcome| answer(command, outcome, turn));
}

async fn arguments_of(command: &Command) -> serde_json::Result<Value> {
    let text = command.arguments().to_owned();
    apart(text.len(), move || serde_json::from_str(&text)).await
}

fn answer(
    command: Command,
    outcome: Result<crate::qmp::Reply, crate::qmp::Error>,
    turn: OwnedSemaphorePermit,
) {
    drop(turn);
    match outcome {
        Ok(reply) => command.pass_on(&reply),
        // The connection to the VM has ended, and so does the client's.
        Err(_) => drop(command),
    }
}
