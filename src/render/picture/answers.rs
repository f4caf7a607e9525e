//! What a terminal says it can draw.

use super::Graphics;

/// Asks the terminal whether it has [kitty's graphics protocol], by a picture of a pixel that is not shown, and for its
/// primary device attributes (DA1), of which 4 is sixel graphics. Every terminal answers the second question, and in this
/// order, so that nobody waits for an answer to the first that will never come.
///
/// [kitty's graphics protocol]: https://sw.kovidgoyal.net/kitty/graphics-protocol/#querying-support-and-available-transmission-mediums
pub const GRAPHICS_QUERY: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c";

const KITTY: &[u8] = b"\x1b_Gi=31";
const ATTRIBUTES: &[u8] = b"\x1b[?";
const SIXEL: &[u8] = b"4";

/// No answer is longer, in bytes.
const LONGEST: usize = 256;

/// Finds the answers to [`GRAPHICS_QUERY`] in what comes from a terminal. The rest was typed.
#[derive(Debug, Default)]
pub struct Answers {
    /// The beginning of what may be an answer.
    begun: Vec<u8>,
    typed: Vec<u8>,
    graphics: Option<Graphics>,
    complete: bool,
}

/// What some bytes are.
enum Part {
    /// An answer of this length.
    Answer(usize),
    /// The beginning of an answer.
    Beginning,
    Other,
}

impl Answers {
    /// Takes what the terminal sends. Returns whether it has answered all.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        self.begun.extend_from_slice(bytes);
        while !self.begun.is_empty() {
            let length = match part(&self.begun) {
                _ if self.complete => self.begun.len(),
                Part::Answer(length) => {
                    let answer: Vec<u8> = self.begun.drain(..length).collect();
                    self.note(&answer);
                    continue;
                }
                Part::Beginning => break,
                Part::Other => {
                    let mut after = self.begun[1..].iter();
                    1 + after
                        .position(|byte| *byte == ESC)
                        .unwrap_or(self.begun.len() - 1)
                }
            };
            self.typed.extend(self.begun.drain(..length));
        }
        self.complete
    }

    /// Takes bytes if they are of an answer that comes late, among keys that are read one by one. Returns whether they are.
    pub fn take_late(&mut self, bytes: &[u8]) -> bool {
        if self.complete {
            return false;
        }
        self.begun.extend_from_slice(bytes);
        match part(&self.begun) {
            Part::Answer(_) => {
                let answer = std::mem::take(&mut self.begun);
                self.note(&answer);
                true
            }
            Part::Beginning => true,
            Part::Other => {
                self.begun.clear();
                false
            }
        }
    }

    fn note(&mut self, answer: &[u8]) {
        if answer.starts_with(KITTY) {
            if answer.ends_with(b";OK\x1b\\") {
                self.graphics = Some(Graphics::Kitty);
            }
            return;
        }
        let attributes = &answer[ATTRIBUTES.len()..answer.len() - 1];
        if attributes.split(|byte| *byte == b';').any(|of| of == SIXEL) {
            self.graphics.get_or_insert(Graphics::Sixel);
        }
        self.complete = true;
    }

    /// The graphics that the terminal has, as far as it has answered.
    pub fn graphics(&self) -> Option<Graphics> {
        self.graphics
    }

    /// Takes what was typed meanwhile.
    pub fn take_typed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.typed)
    }

    /// Whether the terminal has answered all.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

const ESC: u8 = 0x1b;

/// What `bytes` begin with.
fn part(bytes: &[u8]) -> Part {
    if bytes.len() > LONGEST {
        return Part::Other;
    }
    for start in [KITTY, ATTRIBUTES] {
        if start.starts_with(bytes) {
            return Part::Beginning;
        }
        let Some(rest) = bytes.strip_prefix(start) else {
            continue;
        };
        let (end, of_end) = match start {
            KITTY => (rest.windows(2).position(|two| two == b"\x1b\\"), 2),
            _ => {
                let end = rest
                    .iter()
                    .position(|byte| !matches!(byte, b'0'..=b'9' | b';'));
                if end.is_some_and(|end| rest[end] != b'c') {
                    return Part::Other;
                }
                (end, 1)
            }
        };
        return end.map_or(Part::Beginning, |end| {
            Part::Answer(start.len() + end + of_end)
        });
    }
    Part::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of these pieces: the graphics, whether the answers are complete, and what was typed.
    fn taken(pieces: &[&str]) -> (Option<Graphics>, bool, String) {
        let mut answers = Answers::default();
        for piece in pieces {
            answers.take(piece.as_bytes());
        }
        let typed = String::from_utf8(answers.take_typed()).expect("text");
        (answers.graphics(), answers.is_complete(), typed)
    }

    #[test]
    fn a_terminal_says_what_it_has() {
        let nothing = String::new;
        assert_eq!(taken(&["\x1b[?1;2c"]), (None, true, nothing()));
        assert_eq!(
            taken(&["\x1b[?62;4;22c"]),
            (Some(Graphics::Sixel), true, nothing())
        );
        assert_eq!(taken(&["\x1b[?64;14;42c"]), (None, true, nothing()));
        let kitty = "\x1b_Gi=31;OK\x1b\\\x1b[?62;4c";
        assert_eq!(taken(&[kitty]), (Some(Graphics::Kitty), true, nothing()));
        let refused = "\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\\x1b[?62c";
        assert_eq!(taken(&[refused]), (None, true, nothing()));
    }

    #[test]
    fn keys_between_answers_stay_as_they_were_typed() {
        let all = "ab\x1b[A\x1b_Gi=31;OK\x1b\\c\r\x1b[?62;4c\x1bd";
        for at in 0..=all.len() {
            let (one, two) = all.split_at(at);
            let wanted = (Some(Graphics::Kitty), true, "ab\x1b[Ac\r\x1bd".to_owned());
            assert_eq!(taken(&[one, two]), wanted, "{at}");
        }
    }

    #[test]
    fn a_late_answer_is_told_from_keys() {
        let mut answers = Answers::default();
        for key in ["a", "\x1b[?"] {
            assert_eq!(answers.take_late(key.as_bytes()), key != "a");
        }
        // A key that the line editor does not know looks like the beginning of an answer.
        assert!(!answers.take_late(b"x"));
        for key in ["\x1b[?", "6", "2", ";", "4", "c"] {
            assert!(answers.take_late(key.as_bytes()), "{key}");
        }
        assert!(!answers.take_late(b"c"));
        assert_eq!(answers.graphics(), Some(Graphics::Sixel));
    }
}
