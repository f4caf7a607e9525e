use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::display::{Display, complaint, error, text};
use super::editor::Editor;
use super::followers::Followers;
use super::graphics::Inquiry;
use super::history;
use super::prompt::Prompt;
use super::prompt_symbol::PromptSymbol;
use super::stop::Stops;
use super::terminal::Terminal;
use crate::config::{self, Config};
use crate::context::{Context, Outcome, Output, Report, Seen, Settings, TargetPlan};
use crate::exec::{self, builtin};
use crate::failure::Status;
use crate::lang::Dialect;
use crate::render::{self, clip};
use crate::vm::{Stopped, shutdown};

/// The event that is muted by default: a guest that adjusts its clock causes it all day.
const MUTED: &str = "RTC_CHANGE";

/// Options of the interactive shell.
pub struct Plan {
    /// Whether to keep the history in a file.
    pub history: bool,
    /// What the user wants of every prompt, unless neither that nor `rc.qmp` is to be read.
    pub config: Option<Config>,
}

/// Runs the shell until the user leaves, and returns the exit status.
///
/// # Errors
///
/// The shell could not start, or the terminal failed.
pub async fn run(plan: Plan, settings: Settings, mut target: TargetPlan) -> anyhow::Result<Status> {
    let (terminal, _restore) = Terminal::start()?;
    let above = terminal.clone();
    let echo = Box::new(move |line: String| above.show(clip(&line).into_owned() + "\n"));
    let mut stops = Stops::new()?;
    let endpoint = target.endpoint.take();
    let (target, mut notices, _log) = target.begin(echo)?;
    let (mut context, reports) = exec::begin(settings, target);
    context.settings_mut().muted = Arc::new(BTreeSet::from([MUTED.to_owned()]));
    if let Some(config) = &plan.config {
        context.settings_mut().prompt.configured = true;
        for failure in builtin::configure(&context, config) {
            terminal.say(&failure.to_string());
        }
    }
    exec::check_settings(&context).await?;
    let connected = {
        let connecting = context.target.open(endpoint);
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                biased;
                Some(notice) = notices.recv() => {
                    terminal.say(&render::notice(&notice));
                }
                connected = &mut connecting => break connected.map(|()| true),
                _ = stops.stop() => {
                    terminal.show(terminal.interrupt_mark().to_owned());
                    break Ok(false);
                }
            }
        }
    };
    if !matches!(connected, Ok(true)) {
        leave(&context, &terminal, &mut stops).await;
        connected?;
        return Ok(Status::Interrupted);
    }
    let history = if plan.history {
        history::path(context.target.dialect)
    } else {
        None
    };
    if let Some(banner) = context.target.banner().await {
        terminal.show(banner + "\n");
    }
    let symbol = PromptSymbol::new(context.target.dialect);
    let bar = terminal.clone();
    context.progress = Some(Arc::new(move |text| bar.progress(&clip(text))));
    let _followers = Followers::start(&context, notices, &terminal, &symbol);
    let show = show_reports(
        context.clone(),
        reports,
        terminal.clone(),
        stops.quit.clone(),
    );
    let showing = tokio::spawn(show);
    context.seen = Some(Seen::default());
    let inquiry = Inquiry::default();
    let editor = Editor::start(
        &context,
        terminal.clone(),
        symbol.clone(),
        history,
        inquiry.clone(),
    )?;
    let display = Display {
        context: context.clone(),
        terminal: terminal.clone(),
        symbol,
        stops,
        inquiry,
    };
    let mut prompt = Prompt::new(display, editor);
    let left = match plan.config {
        Some(_) => run_rc(&mut prompt, &context, &terminal).await,
        None => None,
    };
    let result = match left {
        Some(status) => Ok(status),
        None => prompt.read_lines().await,
    };
    showing.abort();
    leave(&context, &terminal, prompt.stops()).await;
    Ok(result?)
}

/// Runs the lines of `rc.qmp`, if there is one. They are in QMP's language, so other prompts do not. Returns the status
/// to exit with, if one of them ends the shell.
async fn run_rc(prompt: &mut Prompt, context: &Context, terminal: &Terminal) -> Option<Status> {
    let rc = config::rc().filter(|rc| context.target.dialect == Dialect::Qmp && rc.exists())?;
    let left = match builtin::sourced(context, &rc).await {
        Ok(lines) => prompt.start(lines).await,
        Err(failure) => {
            terminal.say(&failure.to_string());
            None
        }
    };
    // It is read every time, so it need not be saved elsewhere.
    context.settings_mut().prompt.changed.clear();
    left
}

/// Stops the VM that we launched, then leaves the terminal. In this order, because a blocked terminal must not
/// keep the VM alive.
async fn leave(context: &Context, terminal: &Terminal, stops: &mut Stops) {
    if let Some(words) = context.target.memory.last_words() {
        terminal.say(words);
    }
    // A Ctrl-C from before is not about the VM.
    stops.signals.forget_interrupt();
    let end = async {
        let vm = context.target.vm.as_ref()?;
        let client = context.target.session.client();
        let complain = |text: String| terminal.say(&text);
        Some(shutdown::end(vm, client.as_deref(), &mut stops.signals, &complain).await)
    };
    let (ended, ()) = tokio::join! {
        biased;
        end,
        async { terminal.leave() },
    };
    context.target.share.stop(None).await;
    if ended == Some(Stopped::Gracefully) {
        terminal.show(format!("{} has shut down\n", context.target.what()));
    }
}

/// Shows the outcomes of listeners and timers, each with its origin.
async fn show_reports(
    context: Context,
    mut reports: mpsc::Receiver<Report>,
    terminal: Terminal,
    quit: Arc<Notify>,
) {
    while let Some(report) = reports.recv().await {
        let head = clip(&format!("[{}: {}]", report.origin, report.line)).into_owned();
        let Outcome { output, failure } = report.outcome;
        if let Some(text) = text(&context.settings(), &output) {
            terminal.show(format!("{head}\n{text}"));
        }
        if let Some(text) = complaint(&output) {
            terminal.complain(&format!("{head}\n{text}"));
        }
        if let Some(failure) = failure {
            let text = error(&context.settings(), &failure);
            terminal.complain(&format!("{head} {text}\n"));
        }
        if matches!(output, Output::Quit(_)) {
            quit.notify_one();
        }
        // Run the lines no faster than the terminal shows their outcomes.
        terminal.settle().await;
    }
}
