//! One argument: `KEY=VALUE` or `KEY:=JSON`.

use super::literal;
use super::tokens::{Word, plain};
use super::{SyntaxError, Value};

/// Returns the key and the value.
///
/// # Errors
///
/// The word does not have this form, or its value cannot be read.
pub(super) fn read<'a>(word: &Word<'a>) -> Result<(&'a str, Value), SyntaxError> {
    let Some((key, text)) = word.text.split_once('=') else {
        return Err(not_one(word));
    };
    let text_at = word.start + key.len() + 1;
    if let Some(key) = key.strip_suffix(':') {
        if text.is_empty() {
            return Err(SyntaxError::new(
                format!("`{key}:=` must be followed by JSON"),
                word.span(),
            )
            .help(format!("for an empty string write {key}=")));
        }
        let value = literal::parse(text).map_err(|error| error.shifted(text_at))?;
        return Ok((key, value));
    }
    Ok((key, value(word, text)?))
}

/// The value that `text` spells, which is the end of `word`.
///
/// # Errors
///
/// It cannot be read, or names a variable that does not exist.
pub(super) fn value(word: &Word<'_>, text: &str) -> Result<Value, SyntaxError> {
    let text_at = word.end() - text.len();
    Ok(match text.as_bytes().first() {
        Some(b'"' | b'\'') => Value::Text(plain(text, text_at, word.variables)?),
        Some(b'{' | b'[') => literal::parse_with_words(text).map_err(|error| {
            let error = error.shifted(text_at);
            match error.help {
                None => error.help("put a string that starts with a bracket in quotes"),
                Some(_) => error,
            }
        })?,
        _ => match word.variables {
            Some(variables) => variables.word(text, text_at)?,
            None => Value::Word(text.to_owned()),
        },
    })
}

/// The error for a word that is not an argument.
pub(super) fn not_one(word: &Word<'_>) -> SyntaxError {
    let error = |message: &str| SyntaxError::new(message, word.span());
    match word.text {
        "&" => error("`&` is only allowed at the end of a line"),
        text if text.starts_with('-') => error(&format!("expected KEY=VALUE, found `{text}`"))
            .help("put qmpsh's options before the command"),
        text => error(&format!("expected KEY=VALUE, found `{text}`"))
            .help("arguments are written key=value, without spaces around the `=`"),
    }
}
