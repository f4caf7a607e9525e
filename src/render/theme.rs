//! How each kind of text looks, in one place.
//!
//! The colours are the terminal's own. Yellow and white cannot be read on a light background, nor blue on a dark one, so
//! none of them is used.

use nu_ansi_term::{Color, Style};

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
    /// How it looks.
    pub fn style(self) -> Style {
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
/// from the help below it.
pub fn error(message: &str) -> String {
    let is_carets = |line: &str| line.ends_with('^') && line.trim_matches([' ', '^']).is_empty();
    let lines = message.split('\n').enumerate().map(|(index, line)| {
        if index == 0 || is_carets(line) {
            Role::Error.style().paint(line).to_string()
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stands_out_from_its_help() {
        assert_eq!(
            error("bad\n  a b\n    ^\nhelp: good"),
            "\x1b[31mbad\x1b[0m\n  a b\n\x1b[31m    ^\x1b[0m\nhelp: good"
        );
    }
}
