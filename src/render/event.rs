use chrono::{DateTime, Local};

use crate::lang::{Value, argument, literal, mask_secrets, may_have_secret};
use crate::qmp::Event;

use super::{Role, escape_line};

/// An event on one line: local time, name, and its data as `key=value`, which can be pasted into a
/// line. Secrets in it are masked: nobody asked for them.
pub fn event_line(event: &Event, color: bool) -> String {
    let (seconds, microseconds) = event.timestamp;
    let time = u32::try_from(microseconds)
        .ok()
        .and_then(|micros| DateTime::from_timestamp(seconds, micros.saturating_mul(1000)))
        .map_or_else(Local::now, |utc| utc.with_timezone(&Local))
        .format("%H:%M:%S%.3f")
        .to_string();
    let mut line = format!(
        "{} {}",
        Role::Aside.style_if(color).paint(time),
        Role::Event.style_if(color).paint(escape_line(event.name())),
    );
    let masked = may_have_secret(event.data()).then(|| mask_secrets(event.data()));
    let data = masked.flatten();
    let data = data.as_deref().unwrap_or(event.data());
    match literal::parse(data) {
        Ok(Value::Object(members)) => {
            for (key, value) in &members {
                line.push(' ');
                line.push_str(&escape_line(&argument(key, value)));
            }
        }
        _ => {
            line.push(' ');
            line.push_str(&escape_line(data));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_can_be_pasted_into_a_line() {
        let data = r#"{"device": "rng 0", "n": 1, "s": "1", "path": "/machine/a[0]", "deep": {"a": [1]}, "none": null}"#;
        let event = Event::example("X", data);
        let line = event_line(&event, false);
        assert!(line.contains(".001 X "), "{line}");
        assert!(
            line.ends_with(
                r#" device="rng 0" n=1 s="1" path=/machine/a[0] deep={"a":[1]} none:=null"#
            ),
            "{line}"
        );
    }

    #[test]
    fn secrets_in_the_data_are_masked() {
        let data = r#"{"msg": "cannot read 'https://u:hunter2@h/i'", "file": {"password": "hunter2", "n": 1}}"#;
        let line = event_line(&Event::example("X", data), false);
        assert!(!line.contains("hunter2"), "{line}");
        assert!(
            line.contains("'https://u:") && line.contains(r#""n":1"#),
            "{line}"
        );
    }
}
