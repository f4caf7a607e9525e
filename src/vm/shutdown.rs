//! Stops the launched VM on exit, and reports how it ended.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::{Stopped, Vm};
use crate::os::stop::StopSignals;
use crate::qmp::Client;

/// How long to wait before telling the user what we are waiting for.
const SILENCE: Duration = Duration::from_secs(1);

/// Stops `vm`, through `client` if there is one. A signal during the wait kills it. Messages for the user go to
/// `report`. Returns how the VM ended.
///
/// # Errors
///
/// Signal handlers cannot be installed.
pub async fn end(
    vm: &Vm,
    client: Option<&Client>,
    report: &(dyn Fn(String) + Sync),
) -> io::Result<Stopped> {
    let mut signals = StopSignals::all()?;
    let stopping = async {
        tokio::select! {
            stopped = vm.stop(client) => stopped,
            _ = signals.recv() => vm.kill().await,
        }
    };
    tokio::pin!(stopping);
    let stopped = tokio::select! {
        stopped = &mut stopping => stopped,
        () = sleep(SILENCE) => {
            report("waiting for the VM to shut down; Ctrl-C kills it".to_owned());
            stopping.await
        }
    };
    match stopped {
        Stopped::TimedOut => report(format!(
            "the VM did not shut down within {} s and was killed (SIGKILL)",
            vm.shutdown_timeout().as_secs_f64()
        )),
        Stopped::Killed => report("the VM was killed (SIGKILL)".to_owned()),
        Stopped::Already | Stopped::Gracefully => {}
    }
    Ok(stopped)
}
