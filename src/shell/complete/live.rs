use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::context::Inspector;
use crate::context::names::{self, Answer, Question};

/// Queries the running server from the editor's thread, with a time limit.
pub struct Live {
    runtime: Handle,
    /// A query that timed out. Until its answer arrives no other is sent, so that queries do not pile up at a
    /// server that does not answer.
    unanswered: Mutex<Option<Receiver<Vec<Answer>>>>,
}

impl Live {
    /// Sends queries on `runtime`, to which the connection belongs.
    pub fn on(runtime: Handle) -> Self {
        Self {
            runtime,
            unanswered: Mutex::default(),
        }
    }

    /// Sends a query, and waits for its answers for at most `patience`, from which it subtracts the time it
    /// took. Returns no answers if that is not enough.
    pub fn ask(
        &self,
        inspector: &Arc<Inspector>,
        question: &Question,
        patience: &Cell<Duration>,
    ) -> Vec<Answer> {
        let mut unanswered = self
            .unanswered
            .lock()
            .expect("no holder of this lock panics");
        if let Some(answer) = &*unanswered
            && matches!(answer.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
        {
            return Vec::new();
        }
        let (sender, receiver) = channel();
        let (inspector, question) = (inspector.clone(), question.clone());
        let asked = Instant::now();
        self.runtime.spawn(async move {
            let _ = sender.send(names::ask(&inspector, &question).await);
        });
        let result = receiver.recv_timeout(patience.get());
        patience.set(patience.get().saturating_sub(asked.elapsed()));
        *unanswered = None;
        match result {
            Ok(answers) => answers,
            Err(RecvTimeoutError::Timeout) => {
                *unanswered = Some(receiver);
                Vec::new()
            }
            Err(RecvTimeoutError::Disconnected) => Vec::new(),
        }
    }
}
