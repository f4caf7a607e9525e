//! A thread that runs filters.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::program::Program;
use super::{Filtered, Rejected};
use crate::lang::Variables;

/// How much stack a filter may use. The system provides it only as it is used.
const STACK: usize = 256 << 20;

/// How many compiled filters a thread keeps.
const KEPT: usize = 16;

/// A filter to run.
pub(super) struct Job {
    filter: String,
    variables: Arc<Variables>,
    /// `None` to only check the filter.
    input: Option<Bytes>,
    done: oneshot::Sender<Result<Filtered, Rejected>>,
}

impl Job {
    /// Also returns where the result arrives.
    pub fn new(
        filter: &str,
        variables: Arc<Variables>,
        input: Option<Bytes>,
    ) -> (Self, oneshot::Receiver<Result<Filtered, Rejected>>) {
        let (done, result) = oneshot::channel();
        let job = Self {
            filter: filter.to_owned(),
            variables,
            input,
            done,
        };
        (job, result)
    }
}

/// The thread. It ends after its job when this is dropped.
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// # Errors
    ///
    /// There are no threads left.
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        thread::Builder::new()
            .name("filter".to_owned())
            .stack_size(STACK)
            .spawn(move || work(&queue))?;
        Ok(Self { jobs })
    }

    pub fn give(&self, job: Job) {
        // If the thread has ended, so has the job's result.
        let _ = self.jobs.send(job);
    }
}

fn work(queue: &mpsc::Receiver<Job>) {
    let mut kept: Vec<Program> = Vec::new();
    for mut job in queue {
        let at = kept
            .iter()
            .position(|program| program.is(&job.filter, &job.variables));
        let program = match at {
            Some(at) => Ok(kept.remove(at)),
            None => Program::compile(&job.filter, &job.variables),
        };
        let result = match program {
            Err(rejected) => Err(rejected),
            Ok(program) => {
                let input = job.input.take();
                let is_wanted = || !job.done.is_closed();
                let filtered = input.map(|input| program.run(&job.variables, &input, is_wanted));
                kept.push(program);
                if kept.len() > KEPT {
                    kept.remove(0);
                }
                Ok(filtered.unwrap_or_default())
            }
        };
        let _ = job.done.send(result);
    }
}
