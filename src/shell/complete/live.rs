use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::question::{self, Answer, Question};
use crate::context::Inspector;

/// How long the questions of one completion may take together.
pub const PATIENCE: Duration = Duration::from_millis(300);

/// Asks the running server from the editor's thread, and gives up in time.
pub struct Live {
    runtime: Handle,
    /// A question whose answer was not waited for. Until it comes nothing else is asked: a server that
    /// does not answer is not to find a heap of questions when it wakes up.
    unanswered: Mutex<Option<Receiver<Vec<Answer>>>>,
}

impl Live {
    /// Asks on the runtime that the connection lives on.
    pub fn on(runtime: Handle) -> Self {
        Self {
            runtime,
            unanswered: Mutex::default(),
        }
    }

    /// Asks, and waits until `patience` is used up.
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
            let _ = sender.send(question::ask(&inspector, &question).await);
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
