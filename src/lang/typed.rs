use super::literal::unescape;
use super::{SyntaxError, Words};

/// Reads a text to be typed into a guest: with JSON's escapes, `\xHH` and `${NAME}`, unless it is in single quotes. Double
/// quotes around all of it are removed. What a variable has is typed as it is.
///
/// # Errors
///
/// It has an escape that does not exist, or names a variable that does not.
pub fn typed_text(words: &Words) -> Result<String, SyntaxError> {
    let text = words.text();
    let between = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = between('\'').filter(|inner| !inner.contains('\'')) {
        return Ok(literal.to_owned());
    }
    words.with_values(between('"').unwrap_or(text), unescaped)
}

fn unescaped(inner: &str) -> Result<String, SyntaxError> {
    let mut json = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let escaped = rest[at + 1..].chars().next().map_or(0, char::len_utf8);
        let end = at + 1 + escaped;
        json.push_str(&rest[..at]);
        match rest.get(end..end + 2).filter(|_| &rest[at + 1..end] == "x") {
            Some(digits) => {
                json.push_str("\\u00");
                json.push_str(digits);
                rest = &rest[end + 2..];
            }
            None => {
                json.push_str(&rest[at..end]);
                rest = &rest[end..];
            }
        }
    }
    json.push_str(rest);
    unescape(&json, '\'')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Value, Variables};

    /// What `:send TEXT` types, where the variable `x` has a backslash.
    fn read(text: &str) -> Result<String, SyntaxError> {
        let mut variables = Variables::default();
        variables.set("x", Value::Text(r"b\n c".to_owned()));
        let words = Words::split(&format!(":send {text}"))?;
        typed_text(&words.tail().with_variables(variables.into()))
    }

    #[test]
    fn escapes_are_read_unless_the_text_is_in_single_quotes() {
        for (text, typed) in [
            (r"root\n", "root\n"),
            (r"\x03", "\u{3}"),
            (r"\\x03", r"\x03"),
            (r#"echo "a b" | wc -c\n"#, "echo \"a b\" | wc -c\n"),
            (r#""quoted\t""#, "quoted\t"),
            (r"'a\n'", r"a\n"),
            (r"'a' 'b'", "'a' 'b'"),
            (r"\u00e9é", "éé"),
            ("", ""),
            (r"a ${x}\n $x $5 $(y)", "a b\\n c\n $x $5 $(y)"),
            ("'${x}'", "${x}"),
            (r"\u0024{x}", "${x}"),
        ] {
            assert_eq!(read(text).expect(text), typed, "{text}");
        }
        for text in [r"\q", r"\x0", r"\xzz", "${y}", "${x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
