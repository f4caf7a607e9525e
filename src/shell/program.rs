//! Lets the user edit a line in a program of theirs.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::process::Command;

use tempfile::Builder;

use crate::lang::is_harmful;

/// The editor if neither `$VISUAL` nor `$EDITOR` names one.
const EDITOR: &str = "vi";

/// Lets the user edit `text` in `$VISUAL` or `$EDITOR`, and returns the result. The caller lends the terminal.
///
/// # Errors
///
/// The text cannot be written or read, or the program cannot be started or fails.
pub(super) fn edit(text: &str) -> io::Result<String> {
    let named = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| env::var(name).ok());
    let editor = named.into_iter().find(|editor| !editor.trim().is_empty());
    let editor = editor.unwrap_or_else(|| EDITOR.to_owned());
    // Only the owner can read it.
    let mut file = Builder::new().prefix("qmpsh").suffix(".qmp").tempfile()?;
    writeln!(file, "{text}")?;
    // As git does it: the editor can have arguments.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$@\""), &editor])
        .arg(file.path())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("`{editor}` failed: {status}")));
    }
    let edited = fs::read_to_string(file.path())?;
    // What is edited is drawn as it is.
    let is_drawn = |c: &char| *c == '\n' || !is_harmful(*c);
    Ok(edited.trim_end().chars().filter(is_drawn).collect())
}
