//! Stops the launched VM on exit, and reports how it ended.

use std::time::Duration;

use tokio::time::sleep;

use super::{Stopped, Vm};
use crate::os::stop::StopSignals;
use crate::qmp::Client;

/// How long to wait before telling the user what we are waiting for.
const SILENCE: Duration = Duration::from_secs(1);

/// Stops `vm`, through `client` if there is one. A signal during the wait kills it. Messages for the user go to
/// `report`. Returns how the VM ended.
pub async fn end(
    vm: &Vm,
    client: Option<&Client>,
    signals: &mut StopSignals,
    report: &(dyn Fn(String) + Sync),
) -> Stopped {
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
        Stopped::Gracefully => {}
        // It may have ended just now, and not as it should.
        Stopped::Already => vm.bad_end().into_iter().for_each(report),
        Stopped::Killed | Stopped::TimedOut | Stopped::Abnormally => {
            report(vm.describe_end(stopped));
        }
    }
    stopped
}
