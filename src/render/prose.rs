use unicode_width::UnicodeWidthStr;

/// Splits `text` into lines of at most `width` columns; a longer word gets a line of its own. Text
/// in backticks counts as one word.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let words = words(text).filter(|word| !word.is_empty());
    rows(words, width)
}

/// A message with its long lines broken between words, for a terminal of `width` columns. What it quotes is indented, and
/// stays as it is.
pub fn prose(message: &str, width: usize) -> String {
    let lines = message.split('\n').flat_map(|line| broken(line, width));
    lines.collect::<Vec<_>>().join("\n")
}

/// The rows that [`prose`] makes of a line.
pub(super) fn broken(line: &str, width: usize) -> Vec<String> {
    match line.starts_with("  ") || line.width() <= width {
        true => vec![line.to_owned()],
        false => rows(words(line), width),
    }
}

/// The words of a text. Between two of them that have more space, there are empty ones.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '`';
        c.is_whitespace() && !quoted
    })
}

fn rows<'a>(words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for word in words {
        match rows.last_mut() {
            Some(row) if row.width() + 1 + word.width() <= width => {
                row.push(' ');
                row.push_str(word);
            }
            _ => rows.push(word.to_owned()),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_but_not_what_is_quoted() {
        let message = "one  two three\n  a quoted line\nfour  five\n";
        assert_eq!(
            prose(message, 10),
            "one  two\nthree\n  a quoted line\nfour  five\n"
        );
        assert_eq!(prose("a `b c d e f` g", 6), "a\n`b c d e f`\ng");
        assert_eq!(wrap("one  two three", 10), ["one two", "three"]);
        assert_eq!(wrap(" ", 10), [""; 0]);
    }
}
