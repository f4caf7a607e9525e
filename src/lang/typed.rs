use super::SyntaxError;
use super::literal::unescape;

/// Reads a text to be typed into a guest: with JSON's escapes and `\xHH`, unless it is in single quotes. Double quotes
/// around all of it are removed.
///
/// # Errors
///
/// It has an escape that does not exist.
pub fn typed_text(text: &str) -> Result<String, SyntaxError> {
    let between = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = between('\'').filter(|inner| !inner.contains('\'')) {
        return Ok(literal.to_owned());
    }
    let inner = between('"').unwrap_or(text);
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
        ] {
            assert_eq!(typed_text(text).expect(text), typed, "{text}");
        }
        for text in [r"\q", r"\x0", r"\xzz"] {
            assert!(typed_text(text).is_err(), "{text}");
        }
    }
}
