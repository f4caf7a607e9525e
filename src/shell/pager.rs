//! Gives the terminal to a program that shows a text: the user's pager, or what a line is piped through.

use std::io;

use super::terminal::Terminal;
use crate::os::child::Ended;
use crate::os::foreground::Foreground;
use crate::render;

/// The pager if `$PAGER` is not set. It keeps colours, leaves what was read on the screen, and ends by itself if that
/// is less than a page.
const DEFAULT: &str = "less -RFX";

/// The command line of the pager; `None` if the user wants none, or there is none.
pub(super) fn command() -> Option<String> {
    match std::env::var("PAGER") {
        Ok(pager) if pager.trim().is_empty() => None,
        Ok(pager) => Some(pager),
        // A container may have none.
        Err(_) => has_less().then(|| DEFAULT.to_owned()),
    }
}

fn has_less() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join("less").exists())
}

/// Whether a text takes more than this many screens.
pub(super) fn exceeds(text: &str, screens: usize) -> bool {
    let most = render::height().saturating_mul(screens);
    text.lines().nth(most).is_some()
}

/// Shows a text in the pager, which has the terminal until it ends or `leave` resolves. Returns what `leave` resolved to;
/// `Err` has the text if there is no such pager.
pub(super) async fn show<T>(
    command: &str,
    text: String,
    terminal: &Terminal,
    leave: impl Future<Output = T>,
) -> Result<Option<T>, String> {
    match pipe(&format!("exec {command}"), text.clone(), terminal, leave).await {
        Ok(Left::Ended(ended)) if ended.is_not_found() => Err(text),
        Ok(Left::Ended(_)) => Ok(None),
        Ok(Left::ToLeave(left)) => Ok(Some(left)),
        Err(_) => Err(text),
    }
}

/// Why a program no longer has the terminal.
pub(super) enum Left<T> {
    Ended(Ended),
    /// The shell was told to exit.
    ToLeave(T),
}

/// Has `sh` run `script` with a text as its standard input. It has the terminal until it ends or `leave` resolves. Other
/// output is held back meanwhile.
///
/// # Errors
///
/// There is no shell, or the system is out of threads.
pub(super) async fn pipe<T>(
    script: &str,
    text: String,
    terminal: &Terminal,
    leave: impl Future<Output = T>,
) -> io::Result<Left<T>> {
    tokio::pin!(leave);
    let _loan = tokio::select! {
        loan = terminal.lend() => loan,
        left = &mut leave => return Ok(Left::ToLeave(left)),
    };
    let mut program = Foreground::start(script, text)?;
    Ok(tokio::select! {
        ended = program.wait() => Left::Ended(ended),
        left = leave => Left::ToLeave(left),
    })
}
