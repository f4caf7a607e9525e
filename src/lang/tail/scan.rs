//! Splits a jq program into words.

use std::ops::Range;

use crate::lang::SyntaxError;
use crate::lang::tokens::continuation;

/// The most brackets and strings of a filter that may be inside each other.
const DEEPEST: usize = 200;

/// The words of a jq program that stand outside its strings and brackets. What stands in them belongs to the word.
pub(super) struct Scan<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub fn new(line: &'a str, at: usize) -> Self {
        Self { line, at }
    }

    /// The next word. `None` at the end of the line.
    ///
    /// # Errors
    ///
    /// A string or bracket is not closed, the next line belongs to the word, or it is nested too deep.
    pub fn next(&mut self) -> Result<Option<Range<usize>>, SyntaxError> {
        let bytes = self.line.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        if start == bytes.len() {
            return Ok(None);
        }
        let mut open: Vec<usize> = Vec::new();
        while let Some(byte) = bytes.get(self.at) {
            let in_string = open.last().is_some_and(|at| bytes[*at] == b'"');
            match byte {
                b'"' if in_string => drop(open.pop()),
                b'\\' if in_string => {
                    self.at += 1;
                    if bytes.get(self.at) == Some(&b'(') {
                        open.push(self.at);
                    }
                }
                _ if in_string => {}
                b'"' | b'(' | b'[' | b'{' => open.push(self.at),
                // One that closes nothing is jq's to report.
                b')' | b']' | b'}' => drop(open.pop()),
                b'\\' if self.at == start => {
                    if let Some(length) = continuation(&self.line[start..], start)? {
                        self.at += length;
                        return self.next();
                    }
                }
                b'\\' if self.at + 1 == bytes.len() => {
                    return Err(SyntaxError::continued(self.at..self.at + 1));
                }
                b'#' if self.at == start || !open.is_empty() => {
                    let rest = &self.line[self.at..];
                    self.at += rest.find('\n').unwrap_or(rest.len());
                    if open.is_empty() {
                        return Ok(Some(start..self.at));
                    }
                    continue;
                }
                byte if byte.is_ascii_whitespace() && open.is_empty() => break,
                _ => {}
            }
            if open.len() > DEEPEST {
                let message = format!("the filter is nested more than {DEEPEST} deep");
                return Err(SyntaxError::new(message, self.at..self.at + 1));
            }
            self.at += 1;
        }
        self.at = self.at.min(bytes.len());
        match open.last() {
            None => Ok(Some(start..self.at)),
            Some(at) => {
                let (opener, closer) = match bytes[*at] {
                    b'(' => ('(', ')'),
                    b'[' => ('[', ']'),
                    b'{' => ('{', '}'),
                    _ => ('"', '"'),
                };
                Err(SyntaxError::unclosed(opener, closer, *at..at + 1))
            }
        }
    }
}
