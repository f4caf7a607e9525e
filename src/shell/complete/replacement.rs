//! What a candidate replaces: the word at the cursor, also the part of it that follows the cursor.

/// A change to a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Replacement {
    pub start: usize,
    pub end: usize,
    pub text: String,
}

impl Replacement {
    /// The line after the change, and the cursor in it.
    pub fn applied_to(&self, line: &str) -> (String, usize) {
        let Self { start, end, text } = self;
        let changed = format!("{}{text}{}", &line[..*start], &line[*end..]);
        (changed, start + text.len())
    }

    /// The change that puts `text`, a candidate, in place of the word that starts at `start` in `line`, with the
    /// cursor at `at`.
    pub fn of_word(line: &str, start: usize, at: usize, text: &str) -> Self {
        let (typed, rest) = (&line[start..at], &line[at..]);
        let end = match typed.is_empty() {
            // The cursor stands before a word, not in it.
            true => at,
            false => at + rest_of_word(typed, rest, text),
        };
        let mut text = text.to_owned();
        let mut end = end;
        let after = &line[end..];
        if text.ends_with(' ') {
            match after.chars().next() {
                Some(' ') => end += 1,
                Some(_) if !text.ends_with(": ") => text.truncate(text.len() - 1),
                Some(_) => {}
                None => {}
            }
        } else if text.ends_with('=') && after.starts_with(":=") {
            text.truncate(text.len() - 1);
        }
        Self { start, end, text }
    }

    /// The change that puts `common`, which starts all candidates, in place of what is typed. What follows the cursor
    /// stays; the cursor moves past as much of it as `common` has, too.
    pub fn of_prefix(line: &str, start: usize, at: usize, common: &str) -> Self {
        let rest = line[at..].chars();
        let more = common.strip_prefix(&line[start..at]).unwrap_or_default();
        let same = more.chars().zip(rest).take_while(|(a, b)| a == b);
        let end = at + same.map(|(c, _)| c.len_utf8()).sum::<usize>();
        let text = common.to_owned();
        Self { start, end, text }
    }
}

/// How many bytes of `rest`, the text after the cursor, belong to the word of which `typed` is before it.
fn rest_of_word(typed: &str, rest: &str, text: &str) -> usize {
    if let Some(quote) = typed.chars().next().filter(|c| matches!(c, '"' | '\''))
        && let Some(end) = rest.find(quote)
    {
        let end = end + 1;
        // A key of JSON brings its colon.
        let colon = rest[end..].trim_start();
        return match text.ends_with(": ") && colon.starts_with(':') {
            true => rest.len() - colon[1..].trim_start().len(),
            false => end,
        };
    }
    let ends = |c: char| {
        c.is_whitespace()
            || matches!(c, '=' | ':' | '}' | ']') && !text.contains(c)
            || matches!(c, '=' | '.' | '/') && text.ends_with(c)
            || c == ',' && !text.contains(',')
    };
    match rest.find(ends) {
        // A key, or a directory, brings this character.
        Some(end)
            if rest[end..].starts_with(['=', '.', '/']) && text.ends_with(&rest[end..=end]) =>
        {
            end + 1
        }
        Some(end) => end,
        None => rest.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(line: &str, start: usize, text: &str) -> String {
        let at = line.find('|').expect("a cursor");
        let line = line.replacen('|', "", 1);
        let Replacement { start, end, text } = Replacement::of_word(&line, start, at, text);
        format!("{}{text}|{}", &line[..start], &line[end..])
    }

    #[test]
    fn a_word_is_replaced_whole_wherever_the_cursor_is_in_it() {
        for (line, start, text, expected) in [
            ("query-sta|tus", 0, "query-status ", "query-status |"),
            ("query-sta|", 0, "query-status ", "query-status |"),
            ("query-sta|tus &", 0, "query-status ", "query-status |&"),
            ("a |b=c", 2, "driver=", "a driver=|b=c"),
            ("a dri|er=raw x=1", 2, "driver=", "a driver=|raw x=1"),
            ("a dri|er:=1", 2, "driver=", "a driver|:=1"),
            ("a file.dri|er=raw", 7, "driver=", "a file.driver=|raw"),
            ("a fi|le.driver=raw", 2, "file.", "a file.|driver=raw"),
            ("a x=ra|z y=1", 4, "raw ", "a x=raw |y=1"),
            (":wait SHUT|DO,STOP", 6, "SHUTDOWN ", ":wait SHUTDOWN|,STOP"),
            ("a x=/us|r/lib", 4, "/usr/", "a x=/usr/|lib"),
            (
                "a {\"dri|ver\": 1}",
                3,
                "\"driver\": ",
                "a {\"driver\": |1}",
            ),
            ("a {\"x\": \"ra|w\"}", 8, "\"raw\"", "a {\"x\": \"raw\"|}"),
        ] {
            assert_eq!(replaced(line, start, text), expected, "{line}");
        }
    }

    #[test]
    fn what_candidates_have_in_common_is_inserted_once() {
        for (line, at, common, expected) in [
            ("que", 3, "query-", (3, "query-")),
            ("query-block", 3, "query-", (6, "query-")),
            ("quex", 3, "query-", (3, "query-")),
        ] {
            let found = Replacement::of_prefix(line, 0, at, common);
            assert_eq!((found.end, &*found.text), expected, "{line}");
        }
    }
}
