//! Shows the value of a line in place, again and again.

use std::io;
use std::time::{Duration, Instant};

use chrono::Local;
use tokio::time::{sleep, sleep_until};

use super::terminal::Terminal;
use crate::context::{Context, Outcome, Output, Watch};
use crate::exec;
use crate::failure::Status;
use crate::os::keys::read_keys;
use crate::render::{Layout, Role, Watched, cut_end, escape_line, height, width, without_styles};

/// Ctrl-C, which is a key while the terminal is raw.
const CTRL_C: u8 = 0x03;

/// How often to look whether the terminal has another size.
const LOOK: Duration = Duration::from_millis(100);

/// Begins and ends what the terminal shows at once (synchronized output, private mode 2026).
const BEGIN: &str = "\x1b[?2026h\x1b[?25l";
const END: &str = "\x1b[?25h\x1b[?2026l";

/// How the watching ended.
pub(super) enum Left {
    ByKey,
    /// The shell was told to exit, with this status.
    ToLeave(Status),
}

/// Runs the line and shows its value, until the user presses `q` or Ctrl-C, or until `leave` resolves. In the second
/// case the terminal stays attached, and the shell must leave it. Other output is held back meanwhile.
///
/// # Errors
///
/// The terminal is dumb or cannot be made raw, or keys cannot be read.
pub(super) async fn watch(
    watch: &Watch,
    context: &Context,
    terminal: &Terminal,
    leave: impl Future<Output = Status>,
) -> io::Result<Left> {
    if terminal.is_edited_by_kernel() {
        let why = "nothing can be redrawn on a dumb one; `:every 2s LINE` shows it each time";
        return Err(io::Error::other(why));
    }
    tokio::pin!(leave);
    tokio::select! {
        attached = terminal.attach() => attached?,
        status = &mut leave => return Ok(Left::ToLeave(status)),
    }
    let left = tokio::select! {
        left = until_key(watch, context, terminal) => left,
        status = leave => Ok(Left::ToLeave(status)),
    };
    if !matches!(left, Ok(Left::ToLeave(_))) {
        terminal.detach().await;
    }
    left
}

async fn until_key(watch: &Watch, context: &Context, terminal: &Terminal) -> io::Result<Left> {
    let (stopped, _stop) = io::pipe()?;
    let mut keys = read_keys(io::stdin(), stopped)?;
    let showing = show(watch, context.apart(), terminal);
    tokio::pin!(showing);
    loop {
        tokio::select! {
            typed = keys.recv() => match typed {
                Some(typed) if typed.iter().any(|key| matches!(*key, b'q' | b'Q' | CTRL_C)) => {
                    return Ok(Left::ByKey);
                }
                Some(_) => {}
                None => return Ok(Left::ToLeave(Status::Interrupted)),
            },
            () = &mut showing => {}
        }
    }
}

/// Runs the line and shows its value at each interval, for ever.
async fn show(watch: &Watch, context: Context, terminal: &Terminal) {
    let mut watched = Watched::default();
    let mut frame = Frame::default();
    loop {
        let started = Instant::now();
        let outcome = exec::run(&context, watch.line.clone()).await;
        let at = Instant::now();
        let mut size = terminal_size();
        let mut lines = lines(watch, &context, &outcome, &mut watched, at, size);
        let due = tokio::time::Instant::from_std(started + watch.interval);
        loop {
            let bytes = frame.redraw(&lines, size);
            if !bytes.is_empty() {
                // No faster than the terminal takes it.
                let _ = terminal.write_console(bytes).await;
            }
            tokio::select! {
                () = sleep_until(due) => break,
                () = sleep(LOOK) => {}
            }
            if size != terminal_size() {
                size = terminal_size();
                lines.iter_mut().for_each(|line| line.clear());
                lines = self::lines(watch, &context, &outcome, &mut Watched::default(), at, size);
            }
        }
    }
}

/// The columns and rows of the terminal.
fn terminal_size() -> (usize, usize) {
    (width(), height())
}

/// What is shown of an outcome.
fn lines(
    watch: &Watch,
    context: &Context,
    outcome: &Outcome,
    watched: &mut Watched,
    at: Instant,
    (columns, rows): (usize, usize),
) -> Vec<String> {
    let mut settings = context.settings();
    let color = settings.style.color;
    // A full line would leave the cursor in its last column, where clearing the rest of the line clears that, too.
    let width = columns.saturating_sub(1);
    let layout = Layout {
        width: Some(width),
        color,
    };
    let head = format!(
        "{}  every {} s: {}  (q leaves)",
        Local::now().format("%H:%M:%S"),
        watch.interval.as_secs_f64(),
        escape_line(&watch.text)
    );
    let dimmed = Role::Aside.style_if(color);
    let mut lines = vec![dimmed.paint(cut_end(&head, width)).to_string()];
    if let Some(failure) = &outcome.failure {
        let red = Role::Error.style_if(color);
        for line in failure.to_string().lines() {
            lines.push(red.paint(cut_end(&escape_line(line), width)).to_string());
        }
    } else {
        match &outcome.output {
            Output::Reply { reply, .. } => {
                lines.extend(watched.value(reply.value().unwrap_or("null"), at, layout));
            }
            Output::Picture(picture) => {
                let drawn = settings.style.picture(picture).unwrap_or_default();
                lines.extend(drawn.lines().map(str::to_owned));
            }
            output => {
                settings.style.color = false;
                let text = settings.text(output).unwrap_or_default();
                // What a built-in has drawn has its colours already.
                lines.extend(watched.text(&without_styles(&text), layout));
            }
        }
    }
    // One row is for the cursor.
    let most = rows.saturating_sub(1).max(1);
    if lines.len() > most {
        let more = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push(
            dimmed
                .paint(cut_end(&format!("… {more} more lines"), width))
                .to_string(),
        );
    }
    lines
}

/// What is on the screen: lines, with the cursor below the last one.
#[derive(Default)]
struct Frame {
    lines: Vec<String>,
    size: (usize, usize),
}

impl Frame {
    /// What to write so that these lines are on the screen instead. Nothing if they are already.
    fn redraw(&mut self, lines: &[String], size: (usize, usize)) -> Vec<u8> {
        let resized = self.size != size && !self.lines.is_empty();
        if self.lines == lines && !resized {
            return Vec::new();
        }
        let mut out = BEGIN.to_owned();
        let up = self.lines.len().min(size.1.saturating_sub(1));
        if up > 0 {
            out.push_str(&format!("\x1b[{up}A"));
        }
        if resized {
            // The terminal may have wrapped the lines anew.
            out.push_str("\r\x1b[J");
            self.lines.clear();
        }
        let mut unchanged = 0;
        let down = |unchanged: &mut usize, out: &mut String| {
            if *unchanged > 0 {
                out.push_str(&format!("\x1b[{unchanged}B"));
                *unchanged = 0;
            }
        };
        for (at, line) in lines.iter().enumerate() {
            if self.lines.get(at) == Some(line) {
                unchanged += 1;
                continue;
            }
            down(&mut unchanged, &mut out);
            out.push_str(line);
            out.push_str("\x1b[K\r\n");
        }
        down(&mut unchanged, &mut out);
        if self.lines.len() > lines.len() {
            out.push_str("\x1b[J");
        }
        out.push_str(END);
        self.lines = lines.to_vec();
        self.size = size;
        out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn only_lines_that_have_changed_are_written() {
        let mut frame = Frame::default();
        let mut redraw = |lines: &[&str]| {
            let bytes = frame.redraw(&owned(lines), (80, 24));
            let text = String::from_utf8(bytes).expect("text");
            text.replace(BEGIN, "").replace(END, "")
        };
        assert_eq!(
            redraw(&["a", "b", "c"]),
            "a\x1b[K\r\nb\x1b[K\r\nc\x1b[K\r\n"
        );
        assert_eq!(redraw(&["a", "b", "c"]), "");
        assert_eq!(redraw(&["a", "x", "c"]), "\x1b[3A\x1b[1Bx\x1b[K\r\n\x1b[1B");
        assert_eq!(redraw(&["a"]), "\x1b[3A\x1b[1B\x1b[J");
        assert_eq!(redraw(&["a", "b"]), "\x1b[1A\x1b[1Bb\x1b[K\r\n");
    }
}
