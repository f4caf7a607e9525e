//! Keys that were read while no line was edited, for the lines to come.

/// What was typed ahead: the text that it comes to.
#[derive(Default)]
pub(super) struct TypedAhead {
    text: String,
}

impl TypedAhead {
    /// Adds keys. Of those that are no characters, only Enter and Backspace have their effect.
    pub fn add(&mut self, keys: &[u8]) {
        let keys = String::from_utf8_lossy(keys);
        let mut keys = keys.chars();
        while let Some(key) = keys.next() {
            match key {
                '\x1b' => skip_sequence(&mut keys),
                '\x7f' | '\x08' if !self.text.ends_with('\n') => drop(self.text.pop()),
                '\r' | '\n' => self.text.push('\n'),
                key if key.is_control() => {}
                key => self.text.push(key),
            }
        }
    }

    /// Takes the lines that were entered, if `are_whole` says that no quote or bracket is open at their end.
    pub fn take_entered(&mut self, are_whole: impl Fn(&str) -> bool) -> Option<String> {
        let end = self.text.rfind('\n')?;
        if !are_whole(&self.text[..end]) {
            return None;
        }
        let rest = self.text.split_off(end + 1);
        self.text.pop();
        Some(std::mem::replace(&mut self.text, rest))
    }

    /// Takes what is left, which is the beginning of a line.
    pub fn take_rest(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// Skips the rest of a key that starts with Esc.
fn skip_sequence(keys: &mut impl Iterator<Item = char>) {
    if matches!(keys.next(), Some('[' | 'O')) {
        keys.find(|c| matches!(c, '@'..='~'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_lines_and_the_beginning_of_one() {
        let mut ahead = TypedAhead::default();
        ahead.add(b"stopp\x7f\r\x7fco\x1b[Ant\x01\rque");
        let entered = ahead.take_entered(|_| true);
        assert_eq!(entered.as_deref(), Some("stop\ncont"));
        ahead.add("ré".as_bytes());
        assert_eq!(ahead.take_entered(|_| true), None);
        assert_eq!(ahead.take_rest(), "queré");
        assert_eq!(ahead.take_rest(), "");
    }

    #[test]
    fn an_open_quote_is_left_to_the_editor() {
        let mut ahead = TypedAhead::default();
        ahead.add(b"'a\r");
        assert_eq!(ahead.take_entered(|_| false), None);
        assert_eq!(ahead.take_rest(), "'a\n");
    }
}
