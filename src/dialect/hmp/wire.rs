use bytes::Bytes;
use serde_json::json;

use super::command_line;
use crate::lang::quote;
use crate::qmp::{Frames, Lost, Opening, Pace, Wire, garbage};

/// A human monitor on a socket of its own, or QMP: whichever the server's first words show.
///
/// The monitor ends all its output with a prompt. It has an editor for its lines (`util/readline.c`), which draws the
/// line anew for each byte that it gets; a reply begins after the end of that line.
pub struct Monitor;

const PROMPT: &[u8] = b"(qemu) ";

/// What the monitor says first, after its version.
const BANNER: &str = " monitor - type 'help'";

/// The longest line that the monitor's editor takes (`READLINE_CMD_BUF_SIZE`).
const LONGEST: usize = 4095;

impl Wire for Monitor {
    fn opening(&self) -> Opening {
        Opening::Greeting
    }

    fn take(&self, received: &mut Frames) -> Result<Option<Bytes>, Lost> {
        if received.taken == 0 {
            let start = received.buffer.trim_ascii_start();
            if start.starts_with(b"{") {
                return received.json();
            }
            let length = start.len().min(5);
            if start[..length] != b"QEMU "[..length] {
                return Err(garbage(start));
            }
        }
        received.check_size()?;
        let Some(output) = received.buffer.strip_suffix(PROMPT) else {
            return Ok(None);
        };
        if !output.ends_with(b"\n") {
            return Ok(None);
        }
        let output = String::from_utf8_lossy(output).into_owned();
        received.buffer.clear();
        let (first, rest) = output.split_once('\n').unwrap_or((&output, ""));
        let message = match version(first) {
            Some(version) => greeting(version),
            None => format!(r#"{{"return": {}}}"#, quote(rest)),
        };
        Ok(Some(message.into()))
    }

    fn write(&self, message: &str, bytes: &mut Vec<u8>) {
        if let Some(line) = command_line(message) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
    }

    fn refuses(&self, message: &str) -> Option<String> {
        let Some(line) = command_line(message) else {
            return Some("it is QMP's, and this is a human monitor (HMP)".to_owned());
        };
        // The monitor's editor takes them for keys: a tab, the start of an escape sequence.
        if line
            .bytes()
            .any(|byte| byte < b' ' || matches!(byte, 0x7f | 0x9b))
        {
            return Some("the monitor would take one of its characters for a key".to_owned());
        }
        (line.len() >= LONGEST).then(|| {
            format!(
                "the monitor takes no line of more than {} bytes",
                LONGEST - 1
            )
        })
    }

    fn mismatch(&self) -> &'static str {
        "is no monitor"
    }

    fn has_ids(&self) -> bool {
        false
    }

    fn pace(&self) -> Pace {
        Pace::Replied
    }

    fn last(&self, received: &mut Frames) -> Option<Bytes> {
        let drawn = String::from_utf8_lossy(&received.buffer).into_owned();
        let line = drawn.trim_end().trim_end_matches("\x1b[K");
        let line = line.rsplit("\x1b[D").next().unwrap_or(line).trim();
        // It ends without another word.
        matches!(line, "quit" | "q").then(|| {
            received.buffer.clear();
            Bytes::from_static(br#"{"return": ""}"#)
        })
    }
}

/// The version in the monitor's banner, if `line` is that.
fn version(line: &str) -> Option<&str> {
    let (version, _) = line
        .trim_start()
        .strip_prefix("QEMU ")?
        .split_once(BANNER)?;
    Some(version)
}

fn greeting(version: &str) -> String {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0_u32);
    let qemu = json!({"major": next(), "minor": next(), "micro": next()});
    json!({"QMP": {"version": {"qemu": qemu}, "human": true}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_echo_and_prompt_are_taken_out() {
        let mut received = Frames::default();
        let mut messages = Vec::new();
        for piece in [
            "QEMU 7.2.22 monitor - type 'help' for more",
            " information\r\n(qemu) ",
            "s\x1b[K\x1b[Dst\x1b[K\x1b[D\x1b[Dstop\x1b[K\r\n(qemu) ",
            "p\x1b[K\x1b[Dp 1\x1b[K\r\n1\r\n",
            // A prompt that does not stand at the end is output.
            "(qemu) 2\r\n(qe",
            "mu) ",
        ] {
            received.buffer.extend_from_slice(piece.as_bytes());
            if let Some(message) = Monitor.take(&mut received).expect("no garbage") {
                received.taken += 1;
                messages.push(String::from_utf8_lossy(&message).into_owned());
            }
        }
        assert!(messages[0].contains(r#""human":true"#), "{messages:?}");
        assert_eq!(
            messages[1..],
            [r#"{"return": ""}"#, r#"{"return": "1\r\n(qemu) 2\r\n"}"#]
        );
    }

    #[test]
    fn the_end_after_quit_is_its_reply() {
        let mut received = Frames::default();
        received
            .buffer
            .extend_from_slice(b"q\x1b[K\x1b[Dqu\x1b[K\x1b[D\x1b[Dquit\x1b[K\r\n");
        assert!(Monitor.last(&mut received).is_some());
        received
            .buffer
            .extend_from_slice(b"s\x1b[K\x1b[Dstop\x1b[K\r\n");
        assert!(Monitor.last(&mut received).is_none());
    }

    #[test]
    fn what_the_monitor_would_take_for_keys_is_refused() {
        let refuses = |line: &str| {
            let message = super::super::line(line, None);
            match message.statement {
                crate::lang::Statement::Message(message) => Monitor.refuses(&message.text),
                _ => panic!("a message"),
            }
        };
        assert_eq!(refuses("info status"), None);
        assert_eq!(refuses("print 'ä'"), None);
        for line in ["a\tb", "a\nb", "a\x1bb", "ě", &"x".repeat(5000)] {
            assert!(refuses(line).is_some(), "{line}");
        }
        assert!(Monitor.refuses(r#"{"execute":"stop"}"#).is_some());
    }
}
