use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{agent, hmp};
use crate::lang::{Dialect, Message};

/// What earlier lines leave behind for later ones.
#[derive(Debug)]
pub struct Memory {
    /// The CPU that the human monitor's `cpu` selected.
    cpu: AtomicU64,
    /// The one selected before that.
    cpu_before: AtomicU64,
    /// The guest's file systems are frozen, because a line wanted it.
    frozen: AtomicBool,
}

/// No CPU was selected.
const NONE: u64 = u64::MAX;

impl Default for Memory {
    fn default() -> Self {
        Self {
            cpu: AtomicU64::new(NONE),
            cpu_before: AtomicU64::new(NONE),
            frozen: AtomicBool::new(false),
        }
    }
}

impl Memory {
    /// The CPU that the human monitor's lines are about, if one was selected.
    pub fn cpu(&self) -> Option<u64> {
        let cpu = self.cpu.load(Ordering::Relaxed);
        (cpu != NONE).then_some(cpu)
    }

    /// Takes note of a command of the guest agent that succeeded.
    pub fn succeeded(&self, command: &str) {
        if let Some(frozen) = agent::frozen(command) {
            self.frozen.store(frozen, Ordering::Relaxed);
        }
    }

    /// What the user should know at the end.
    pub fn last_words(&self) -> Option<&'static str> {
        self.frozen
            .load(Ordering::Relaxed)
            .then_some("the guest's file systems are still frozen; guest-fsfreeze-thaw thaws them")
    }

    /// Takes note of a message that is sent: the next one may be sent before the reply.
    pub fn sent(&self, message: &Message) {
        if let Some(cpu) = selected_cpu(message) {
            let before = self.cpu.swap(cpu, Ordering::Relaxed);
            self.cpu_before.store(before, Ordering::Relaxed);
        }
    }

    /// Takes note of a message that the server refused.
    pub fn refused(&self, message: &Message) {
        if selected_cpu(message) == self.cpu() && self.cpu().is_some() {
            let before = self.cpu_before.load(Ordering::Relaxed);
            self.cpu.store(before, Ordering::Relaxed);
        }
    }
}

fn selected_cpu(message: &Message) -> Option<u64> {
    let is_hmp = message.dialect == Dialect::Hmp;
    is_hmp.then(|| hmp::selected_cpu(message)).flatten()
}
