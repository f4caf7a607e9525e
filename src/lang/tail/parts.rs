//! Where a tail's parts are in the line.

use std::ops::Range;

use super::scan::Scan;
use crate::lang::SyntaxError;
use crate::lang::tokens::word_end;

/// Where the parts of a tail are in the line.
#[derive(Default)]
pub(super) struct Parts {
    pub filter: Option<Range<usize>>,
    pub program: Option<usize>,
    /// The arrow and the path.
    pub file: Option<(Range<usize>, Range<usize>)>,
    pub background: bool,
}

/// Finds the parts of the tail that opens at `start`.
///
/// # Errors
///
/// A quote or bracket is not closed, or the next line belongs to the tail.
pub(super) fn parts(line: &str, start: usize) -> Result<Parts, SyntaxError> {
    let mut parts = Parts::default();
    let is_filter = line[start..].starts_with('|');
    if is_filter && let Some(at) = program_after(line, start + 1) {
        check_end(line, at)?;
        parts.program = Some(at);
        return Ok(parts);
    }
    let mut scan = Scan::new(line, start);
    let mut end = line.len();
    // The last arrow may be a comparison.
    let mut arrow = None;
    while let Some(word) = scan.next()? {
        match &line[word.clone()] {
            "|" if word.start > start => {
                if let Some(at) = program_after(line, word.end) {
                    check_end(line, at)?;
                    parts.program = Some(at);
                    end = word.start;
                    break;
                }
            }
            ">" | ">>" => {
                if let Some(found) = file_after(line, word.clone())? {
                    arrow = Some(found);
                    break;
                }
            }
            "&" if line[word.end..].trim().is_empty() => {
                parts.background = true;
                end = word.start;
            }
            word_text if word_text.starts_with('#') => {
                end = word.start;
                break;
            }
            _ => {}
        }
    }
    if let Some((arrow, path, background)) = arrow {
        parts.background = background;
        end = arrow.start;
        parts.file = Some((arrow, path));
    }
    if is_filter {
        parts.filter = Some(start + 1..end);
    }
    Ok(parts)
}

/// Where the program starts if a `!` follows at `at`.
fn program_after(line: &str, at: usize) -> Option<usize> {
    let rest = line[at..].trim_start();
    rest.starts_with('!').then(|| line.len() - rest.len() + 1)
}

/// The program is the shell's, but a line that ends in a backslash goes on.
fn check_end(line: &str, at: usize) -> Result<(), SyntaxError> {
    match line[at..].ends_with('\\') {
        true => Err(SyntaxError::continued(line.len() - 1..line.len())),
        false => Ok(()),
    }
}

/// The arrow, the path after it, and whether `&` ends the line, if nothing else follows.
type FileFound = (Range<usize>, Range<usize>, bool);

fn file_after(line: &str, arrow: Range<usize>) -> Result<Option<FileFound>, SyntaxError> {
    let next = |at: usize| {
        let rest = line[at..].trim_start();
        line.len() - rest.len()
    };
    let start = next(arrow.end);
    if start == line.len() {
        return Ok(None);
    }
    let end = word_end(line, start)?;
    let after = line[end..].trim();
    let is_end = after.is_empty() || after.starts_with('#');
    let background = after == "&";
    Ok((is_end || background).then_some((arrow, start..end, background)))
}
