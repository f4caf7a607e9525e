//! Checks a line before it is sent: QEMU aborts on one that lacks an argument, or whose number is none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::VERBS;
use crate::lang::{Dialect, Line, Message, Statement, SyntaxError, Words};

/// The most bytes of memory in one line.
const MOST_BYTES: u64 = 16 << 20;

/// The arguments that are numbers, and the greatest that each may be.
const NUMBERS: [(&str, u64); 13] = [
    ("ADDR", u64::MAX),
    ("SIZE", MOST_BYTES),
    ("VALUE", u64::MAX),
    ("PORT", 0xffff),
    ("NS", i64::MAX as u64),
    ("NUMBER", i32::MAX as u64),
    ("LEVEL", i32::MAX as u64),
    ("CPU", u64::MAX),
    ("CSR", u64::MAX),
    ("NARGS", u64::MAX),
    ("ARGS", u64::MAX),
    ("NRET", u64::MAX),
    ("RET", u64::MAX),
];

/// Makes a line of a verb and its arguments. A verb that is not known is the server's to judge.
///
/// # Errors
///
/// QEMU would abort.
pub(in crate::dialect) fn line(words: &Words) -> Result<Line, SyntaxError> {
    let given = words.plain()?;
    let [verb, arguments @ ..] = &given[..] else {
        return Err(SyntaxError::new("a verb is missing", 0..1));
    };
    // QEMU splits the line at each space.
    let breaks =
        |word: &String| word.is_empty() || word.contains(|c: char| c == ' ' || c.is_control());
    if let Some(at) = given.iter().position(breaks) {
        let why = "a word of qtest can be neither empty nor hold a space";
        return Err(SyntaxError::new(why, words.span(at)));
    }
    if let Some((_, synopsis, _)) = VERBS.iter().find(|(name, ..)| name == verb) {
        let wanted: Vec<&str> = synopsis.split_whitespace().collect();
        check(&wanted, arguments).map_err(|Wrong { at, why }| {
            let span = match at < arguments.len() {
                true => words.span(at + 1),
                false => words.span(arguments.len()),
            };
            SyntaxError::new(why, span).help(format!(
                "write `{}`",
                format!("{verb} {synopsis}").trim_end()
            ))
        })?;
    }
    Ok(Statement::Message(Message {
        text: given.join(" "),
        id: None,
        name: Some(verb.clone()),
        dialect: Dialect::Qtest,
    })
    .into())
}

/// What is wrong with arguments, and the index of the one that is.
struct Wrong {
    at: usize,
    why: String,
}

/// Checks arguments against the names of those that are wanted.
fn check(wanted: &[&str], given: &[String]) -> Result<(), Wrong> {
    let wrong = |at, why: String| Err(Wrong { at, why });
    for (at, name) in wanted.iter().enumerate() {
        let (name, is_optional) = match name.strip_prefix('[') {
            Some(name) => (name.trim_end_matches(']'), true),
            None => (*name, false),
        };
        let Some(argument) = given.get(at) else {
            match is_optional {
                true => break,
                false => return wrong(at, format!("{name} is missing")),
            }
        };
        if let Some(why) = mistake(name, argument) {
            return wrong(at, why);
        }
    }
    if given.len() > wanted.len() {
        return wrong(wanted.len(), "this is one argument too many".to_owned());
    }
    if let [_, "SIZE", format @ ("HEX" | "BASE64")] = wanted {
        let size = number(&given[1]).unwrap_or_default();
        match length(format, &given[2]) {
            // QEMU would read on after the end of the data, or leave out some of it.
            Ok(length) if length != size => {
                return wrong(1, format!("SIZE is {size}, but {length} bytes are given"));
            }
            Ok(_) => {}
            Err(why) => return wrong(2, why),
        }
    }
    Ok(())
}

/// What is wrong with an argument, if anything.
fn mistake(name: &str, argument: &str) -> Option<String> {
    if name == "get|set" && !name.split('|').any(|word| word == argument) {
        return Some("write `get` or `set`".to_owned());
    }
    let (_, most) = NUMBERS.iter().find(|(of, _)| *of == name)?;
    let Some(number) = number(argument) else {
        return Some(format!("{name} must be a number, such as 4096 or 0x1000"));
    };
    if number > *most {
        return Some(format!("{name} may be {most:#x} at most"));
    }
    (name == "SIZE" && number == 0).then(|| "SIZE must not be 0".to_owned())
}

/// A number as QEMU reads it: decimal, hexadecimal after `0x`, or octal after `0`.
pub fn number(text: &str) -> Option<u64> {
    let (digits, base) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    let are_digits = digits.chars().all(|c| c.is_digit(base));
    are_digits.then(|| u64::from_str_radix(digits, base).ok())?
}

/// How many bytes data has.
fn length(format: &str, data: &str) -> Result<u64, String> {
    let length = match format {
        "HEX" => {
            let digits = data.strip_prefix("0x").unwrap_or_default();
            let are_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            if digits.is_empty() || !are_hex || !digits.len().is_multiple_of(2) {
                return Err("HEX must be 0x and pairs of hexadecimal digits".to_owned());
            }
            digits.len() / 2
        }
        _ => {
            let bytes = STANDARD.decode(data);
            let bytes = bytes.map_err(|error| format!("this is not base64: {error}"))?;
            bytes.len()
        }
    };
    Ok(length as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let words = Words::split(text).map_err(|error| error.message)?;
        match line(&words).map_err(|error| error.message)?.statement {
            Statement::Message(message) => Ok(message.text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_on_which_qemu_would_abort_is_not_sent() {
        for line in [
            "readl",
            "readl x",
            "readl -1",
            "readl +1",
            "readl 0x",
            "readl 08",
            "readl 0b1",
            "readl ''",
            "readl '1 2'",
            "readl 1 2",
            "inb 0x10000",
            "read 0 0",
            "read 0 0x10000000000",
            "write 0 2 0x00",
            "write 0 1 00",
            "b64write 0 4 AAAA",
            "b64write 0 1 !",
            "set_irq_in /machine x 1",
            "csr read 0 1 2",
            "nope 'a b'",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_line_is_sent_with_one_space_between_its_words() {
        for (line, sent) in [
            ("readl  0x10 # comment", "readl 0x10"),
            ("readl 010", "readl 010"),
            ("clock_step", "clock_step"),
            ("clock_step 100", "clock_step 100"),
            ("write 0 2 0x12aB", "write 0 2 0x12aB"),
            ("b64write 0 3 AAAA", "b64write 0 3 AAAA"),
            ("set_irq_in '/machine' x 1 0", "set_irq_in /machine x 1 0"),
            ("of_the_future x", "of_the_future x"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(sent));
        }
    }

    #[test]
    fn numbers_have_the_base_that_qemu_gives_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("0x1F", Some(31)),
            ("010", Some(8)),
            ("0xffffffffffffffff", Some(u64::MAX)),
            ("0x10000000000000000", None),
            ("1k", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
