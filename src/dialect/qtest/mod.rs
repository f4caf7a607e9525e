//! qtest, QEMU's protocol for the tests of its devices (`system/qtest.c`): a line `VERB ARGUMENT…`, a line `OK …` or
//! `FAIL …` back, and lines `IRQ …` at any time.

mod line;
mod value;
mod wire;

use std::sync::{Arc, OnceLock};

use super::verbs::Verb;
use crate::lang::{Message, any_of, nearest};
use crate::qmp::{Reply, Request};
use crate::schema::Schema;

pub(super) use line::line;
pub use line::number;
pub(super) use value::{text, value};
pub use wire::Qtest;

/// What every qtest answers, and what changes nothing.
const QUESTION: &str = "endianness";

/// The verbs: name, arguments, what it does. An argument in brackets may be left out. What an argument may be follows from
/// its name; see `line.rs`.
const VERBS: [(&str, &str, &str); 28] = [
    ("b64read", "ADDR SIZE", "read memory, as base64"),
    ("b64write", "ADDR SIZE BASE64", "write memory"),
    (
        "clock_set",
        "NS",
        "set the virtual clock, which only goes forward (needs -accel qtest)",
    ),
    (
        "clock_step",
        "[NS]",
        "advance the virtual clock, or go to the next timer (needs -accel qtest)",
    ),
    (
        "csr",
        "get|set CPU CSR VALUE",
        "read or write a control register (RISC-V)",
    ),
    ("endianness", "", "the target's byte order"),
    ("inb", "PORT", "read a byte from an I/O port"),
    ("inl", "PORT", "read 4 bytes from an I/O port"),
    ("inw", "PORT", "read 2 bytes from an I/O port"),
    (
        "irq_intercept_in",
        "QOM-PATH",
        "report the interrupts that reach a device, such as ioapic, as events",
    ),
    (
        "irq_intercept_out",
        "QOM-PATH [GPIO]",
        "report the interrupts that a device raises as events",
    ),
    ("memset", "ADDR SIZE VALUE", "fill memory with a byte"),
    ("module_load", "PREFIX NAME", "load one of QEMU's modules"),
    ("outb", "PORT VALUE", "write a byte to an I/O port"),
    ("outl", "PORT VALUE", "write 4 bytes to an I/O port"),
    ("outw", "PORT VALUE", "write 2 bytes to an I/O port"),
    ("read", "ADDR SIZE", "read memory"),
    ("readb", "ADDR", "read a byte of memory"),
    (
        "readl",
        "ADDR",
        "read 4 bytes of memory, in the target's order",
    ),
    (
        "readq",
        "ADDR",
        "read 8 bytes of memory, in the target's order",
    ),
    (
        "readw",
        "ADDR",
        "read 2 bytes of memory, in the target's order",
    ),
    (
        "rtas",
        "NAME NARGS ARGS NRET RET",
        "call a function of the firmware (pseries)",
    ),
    (
        "set_irq_in",
        "QOM-PATH GPIO NUMBER LEVEL",
        "set an input of a device\nGPIO is the name of the inputs; unnamed-gpio-in are those without a name.",
    ),
    (
        "write",
        "ADDR SIZE HEX",
        "write memory, given as 0x and pairs of digits",
    ),
    ("writeb", "ADDR VALUE", "write a byte of memory"),
    (
        "writel",
        "ADDR VALUE",
        "write 4 bytes of memory, in the target's order",
    ),
    (
        "writeq",
        "ADDR VALUE",
        "write 8 bytes of memory, in the target's order",
    ),
    (
        "writew",
        "ADDR VALUE",
        "write 2 bytes of memory, in the target's order",
    ),
];

/// The verbs that change nothing but, at most, what a device does when it is read.
const QUESTIONS: [&str; 10] = [
    "b64read",
    "endianness",
    "inb",
    "inl",
    "inw",
    "read",
    "readb",
    "readl",
    "readq",
    "readw",
];

/// The events, in the form of `query-qmp-schema`.
const SCHEMA: &str = r#"[
    {"meta-type": "event", "name": "IRQ", "arg-type": "q_irq"},
    {"meta-type": "object", "name": "q_irq", "members": [
        {"name": "action", "type": "q_action"}, {"name": "number", "type": "int"}]},
    {"meta-type": "enum", "name": "q_action", "values": ["raise", "lower"]},
    {"meta-type": "builtin", "name": "int", "json-type": "int"}]"#;

/// The verbs, for completion and help.
pub(super) fn verbs() -> Arc<[Verb]> {
    static ALL: OnceLock<Arc<[Verb]>> = OnceLock::new();
    let verb = |(name, synopsis, summary): (&str, &str, &str)| Verb {
        names: vec![name.to_owned()],
        synopsis: synopsis.to_owned(),
        summary: summary.to_owned(),
        topics: Vec::new(),
    };
    ALL.get_or_init(|| VERBS.into_iter().map(verb).collect())
        .clone()
}

/// The events.
pub(super) fn schema() -> Arc<Schema> {
    static KNOWN: OnceLock<Arc<Schema>> = OnceLock::new();
    let read = || Arc::new(Schema::read(SCHEMA).expect("it is ours, and a test reads it"));
    KNOWN.get_or_init(read).clone()
}

/// A line that asks whether the server is there.
pub(super) fn ping() -> Request {
    Request {
        text: QUESTION.to_owned(),
        name: QUESTION.to_owned(),
        ..Request::default()
    }
}

/// Whether a verb only asks.
pub(super) fn only_asks(verb: &str) -> bool {
    QUESTIONS.contains(&verb)
}

/// Why the server refused a line, with what would be right as far as that is known.
pub(super) fn refusal(message: &Message, reply: &Reply) -> Option<String> {
    let mut why = reply.value().err()?.desc;
    let verb = message.name.as_deref().unwrap_or_default();
    if why.starts_with("Unknown command") {
        let names = VERBS.map(|(name, ..)| name);
        let near = nearest(verb, names);
        if verb.starts_with("clock_") && names.contains(&verb) {
            why.push_str("; this verb needs a QEMU started with -accel qtest");
        } else if names.contains(&verb) {
            why.push_str("; this QEMU does not have it");
        } else if !near.is_empty() {
            why.push_str(&format!("; did you mean {}?", any_of(&near)));
        }
    } else if verb == "clock_set" && why.parse::<i64>().is_ok() {
        why = format!("the clock is at {why}");
    }
    Some(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_event() {
        assert!(schema().event("IRQ").is_some());
    }
}
