//! How each kind of text looks, in one place.
//!
//! The colours are the terminal's own. Yellow and white cannot be read on a light background, nor blue on a dark one, so
//! none of them is used.

use std::borrow::Cow;
use std::sync::OnceLock;

use nu_ansi_term::{Color, Style};

use super::prose::broken;

/// How the user wants some roles to look. It is the terminal's, of which a process has one.
static CHOSEN: OnceLock<Vec<(Role, Style)>> = OnceLock::new();

const COLORS: [(&str, Color); 17] = [
    ("default", Color::Default),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Purple),
    ("cyan", Color::Cyan),
    ("white", Color::White),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightPurple),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::LightGray),
];

/// Makes roles look as chosen. Only the first choice of a process counts.
pub fn set_theme(chosen: Vec<(Role, Style)>) {
    let _ = CHOSEN.set(chosen);
}

/// Reads a style: the names of a colour and of attributes, as in `bold red`, or a colour's number from 0 to 255.
///
/// # Errors
///
/// The word that is none of these.
pub fn read_style(text: &str) -> Result<Style, &str> {
    let mut style = Style::new();
    for word in text.split_whitespace() {
        let named = COLORS.iter().find(|(name, _)| *name == word);
        let named = named.map(|(_, color)| *color);
        let color = named.or_else(|| word.parse().ok().map(Color::Fixed));
        style = match word {
            "bold" => style.bold(),
            "dimmed" => style.dimmed(),
            "italic" => style.italic(),
            "underline" => style.underline(),
            "reverse" => style.reverse(),
            _ => style.fg(color.ok_or(word)?),
        };
    }
    Ok(style)
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The name of a member or an argument.
    Key,
    /// A value that is text.
    Text,
    /// Any other value.
    Value,
    /// What can be called: a command, a built-in, a verb.
    Command,
    /// What the server will not accept.
    Wrong,
    /// An error's message.
    Error,
    /// The name of an event.
    Event,
    /// Less important than what is around it.
    Aside,
    /// The head of a page, a table or a tree.
    Heading,
    /// The prompt.
    Prompt,
    /// The prompt of a transaction.
    TransactionPrompt,
    /// What has changed, or is chosen.
    Marked,
}

impl Role {
    /// All roles, by the names that a theme knows them by.
    pub const NAMES: [(&str, Self); 12] = [
        ("key", Self::Key),
        ("text", Self::Text),
        ("value", Self::Value),
        ("command", Self::Command),
        ("wrong", Self::Wrong),
        ("error", Self::Error),
        ("event", Self::Event),
        ("aside", Self::Aside),
        ("heading", Self::Heading),
        ("prompt", Self::Prompt),
        ("transaction-prompt", Self::TransactionPrompt),
        ("marked", Self::Marked),
    ];

    /// How it looks.
    pub fn style(self) -> Style {
        let chosen = CHOSEN.get().map(Vec::as_slice).unwrap_or_default();
        let chosen = chosen.iter().find(|(role, _)| *role == self);
        chosen.map_or_else(|| self.usual(), |(_, style)| *style)
    }

    /// How it looks by default.
    fn usual(self) -> Style {
        match self {
            Self::Key => Color::Cyan.normal(),
            Self::Text => Color::Green.normal(),
            Self::Value => Color::Purple.normal(),
            Self::Wrong | Self::Error => Color::Red.normal(),
            Self::Event | Self::TransactionPrompt => Color::Purple.bold(),
            Self::Aside => Style::new().dimmed(),
            Self::Command | Self::Heading | Self::Prompt => Style::new().bold(),
            Self::Marked => Style::new().reverse(),
        }
    }

    /// How it looks on a terminal with colours, or without.
    pub fn style_if(self, color: bool) -> Style {
        match color {
            true => self.style(),
            false => Style::new(),
        }
    }
}

/// The message of a failure, for a terminal with colours: what is wrong stands out from the line that is quoted and
/// from the help below it. Long lines are broken between words, at `width` columns.
pub fn error(message: &str, width: usize) -> String {
    let is_carets = |line: &str| line.ends_with('^') && line.trim_matches([' ', '^']).is_empty();
    let lines = message.split('\n').enumerate().flat_map(|(index, line)| {
        let is_error = index == 0 || is_carets(line);
        let rows = broken(line, width).into_iter();
        rows.map(move |row| match is_error {
            true => Role::Error.style().paint(row).to_string(),
            false => row,
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a style begins with.
const STYLE: &str = "\x1b[";

/// A text of ours without its colours. Whatever else has a control character has not come through the gate.
pub fn without_styles(text: &str) -> Cow<'_, str> {
    let Some((first, styled)) = text.split_once(STYLE) else {
        return text.into();
    };
    let after_style = |part: &'_ str| part.split_once('m').map_or("", |(_, text)| text).to_owned();
    let rest: String = styled.split(STYLE).map(after_style).collect();
    format!("{first}{rest}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_its_styles_has_the_rest() {
        let text = format!("a {} b", Role::Heading.style().paint("name"));
        assert_eq!(without_styles(&text), "a name b");
        assert_eq!(without_styles("plain [m"), "plain [m");
    }

    #[test]
    fn an_error_stands_out_from_its_help() {
        assert_eq!(
            error("bad\n  a b\n    ^\nhelp: good", 80),
            "\x1b[31mbad\x1b[0m\n  a b\n\x1b[31m    ^\x1b[0m\nhelp: good"
        );
    }
}
