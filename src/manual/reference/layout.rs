//! Finds the definitions in a reference, in both layouts that it had.
//!
//! - Up to QEMU 9, a definition is a section, ``.SS `stop` (Command)``, and so are its parts, `.SS Arguments`.
//! - From QEMU 10 on, it is a term, `Command stop (Since: 0.14)`, and its parts are terms below it.

use std::collections::BTreeMap;

use super::roff::{self, Piece};
use super::{Block, Definition, Described, Include, Kind, example};

/// Reads all definitions, by name.
pub(super) fn definitions(pieces: Vec<Piece>) -> BTreeMap<String, Definition> {
    let mut layout = Layout::default();
    for piece in pieces {
        layout.piece(piece);
    }
    layout.finish();
    layout.definitions
}

#[derive(Default)]
struct Layout {
    definitions: BTreeMap<String, Definition>,
    /// The definition that is being read.
    current: Option<Current>,
}

struct Current {
    name: String,
    definition: Definition,
    /// How deep it stands; `None` if it is a section.
    depth: Option<usize>,
    part: Part,
    /// How deep the part's heading stands.
    part_depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    About,
    Members,
    Features,
    Returns,
    Errors,
    Since,
    Notes,
    Examples,
    /// Nothing that a user needs.
    Other,
}

impl Part {
    fn of(title: &str) -> Option<Self> {
        Some(match title.trim_end_matches(':') {
            "Arguments" | "Members" | "Values" | "Alternatives" | "Data" => Self::Members,
            "Features" => Self::Features,
            "Return" | "Returns" => Self::Returns,
            "Errors" => Self::Errors,
            "Since" => Self::Since,
            "Note" | "Notes" | "NOTE" | "CAUTION" | "Caution" => Self::Notes,
            title if title.starts_with("Example") => Self::Examples,
            "If" | "TODO" => Self::Other,
            _ => return None,
        })
    }
}

impl Layout {
    fn piece(&mut self, piece: Piece) {
        if let Some((name, definition)) = title(&piece) {
            self.finish();
            self.current = Some(Current {
                name,
                definition,
                depth: (piece.kind == roff::Kind::Term).then_some(piece.depth),
                part: Part::About,
                part_depth: piece.depth,
            });
            return;
        }
        let Some(current) = &mut self.current else {
            return;
        };
        let ends = match current.depth {
            Some(depth) => piece.kind == roff::Kind::Heading || piece.depth < depth,
            None => piece.kind == roff::Kind::Heading && Part::of(&piece.text).is_none(),
        };
        if ends {
            self.finish();
        } else {
            current.piece(piece);
        }
    }

    fn finish(&mut self) {
        if let Some(Current {
            name, definition, ..
        }) = self.current.take()
        {
            self.definitions.insert(name, definition);
        }
    }
}

impl Current {
    fn piece(&mut self, piece: Piece) {
        let is_heading = match (self.depth, piece.kind) {
            (None, kind) => kind == roff::Kind::Heading,
            (Some(_), roff::Kind::Label) => true,
            (Some(depth), roff::Kind::Term) => piece.depth == depth + 1,
            // `NOTE:` is a paragraph of its own.
            (Some(depth), roff::Kind::Paragraph) => {
                piece.depth <= depth && piece.text.ends_with(':') && Part::of(&piece.text).is_some()
            }
            _ => false,
        };
        if is_heading && let Some(part) = Part::of(&piece.text) {
            (self.part, self.part_depth) = (part, piece.depth);
            if part == Part::Examples {
                self.definition.examples.push(example::titled(&piece.text));
            }
            return;
        }
        // In the newer layout, a part ends where the text is less indented again.
        let is_after = match self.part {
            Part::Notes => piece.depth <= self.part_depth,
            _ => piece.depth < self.part_depth,
        };
        if self.depth.is_some() && is_after {
            self.part = Part::About;
            self.part_depth = 0;
        }
        let definition = &mut self.definition;
        match self.part {
            Part::Members => self.member(piece),
            Part::Features => self.feature(piece),
            Part::Since => definition.since = Some(piece.text),
            Part::Examples => example::add(&mut definition.examples, piece),
            Part::About => push(&mut definition.about, piece),
            Part::Returns => push(&mut definition.returns, piece),
            Part::Errors => push(&mut definition.errors, piece),
            Part::Notes => push(&mut definition.notes, piece),
            Part::Other => {}
        }
    }

    fn member(&mut self, piece: Piece) {
        let definition = &mut self.definition;
        if let Some(include) = include(&piece.text) {
            definition.includes.push(include);
            return;
        }
        let is_outer = piece.depth <= self.part_depth + 1;
        match member(&piece).filter(|_| is_outer) {
            Some(member) => definition.members.push(member),
            None => match definition.members.last_mut() {
                Some(member) => push(&mut member.text, piece),
                None => push(&mut definition.about, piece),
            },
        }
    }

    fn feature(&mut self, piece: Piece) {
        let is_outer = piece.depth <= self.part_depth + 1;
        match member(&piece).filter(|_| is_outer) {
            Some(feature) => self.definition.features.push(feature),
            None => {
                if let Some(feature) = self.definition.features.last_mut() {
                    push(&mut feature.text, piece);
                }
            }
        }
    }
}

/// The name and the beginning of a definition, if one starts here.
fn title(piece: &Piece) -> Option<(String, Definition)> {
    let kind = |word: &str| {
        Some(match word {
            "Command" => Kind::Command,
            "Event" => Kind::Event,
            "Object" | "Struct" | "Union" => Kind::Object,
            "Enum" => Kind::Enum,
            "Alternate" => Kind::Alternate,
            _ => return None,
        })
    };
    let (kind, name, rest) = match piece.kind {
        roff::Kind::Heading => {
            let (name, rest) = piece.text.strip_prefix('`')?.split_once("` (")?;
            (kind(rest.split([')', ',']).next()?)?, name, "")
        }
        roff::Kind::Term => {
            let (word, rest) = piece.text.split_once(' ')?;
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            (kind(word)?, name.trim_matches('`'), rest)
        }
        _ => return None,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let since = rest.split_once("Since: ").map(|(_, since)| since);
    let since = since.and_then(|since| since.split(')').next());
    let definition = Definition {
        kind,
        since: since.map(str::to_owned),
        ..Definition::default()
    };
    Some((name.to_owned(), definition))
}

/// ``The members of `X` ``, with the value of the tag for which they are included.
fn include(text: &str) -> Option<Include> {
    // From QEMU 10 on: When `driver` is `file`: The members of `X`.
    let (when, rest) = match text.strip_prefix("When ") {
        Some(rest) => {
            let (when, rest) = rest.split_once(": ")?;
            (Some(when), rest)
        }
        None => (None, text),
    };
    let rest = rest.strip_prefix("The members of `")?;
    let (of, rest) = rest.split_once('`')?;
    // Up to QEMU 9: The members of `X` when `driver` is `"file"`
    let when = when.or_else(|| rest.trim_start().strip_prefix("when "));
    Some(Include {
        of: of.to_owned(),
        when: when.and_then(case),
    })
}

/// The value in `` `TAG` is `VALUE` ``.
fn case(when: &str) -> Option<String> {
    let (_, value) = when.split_once(" is `")?;
    let value = value.split('`').next()?;
    Some(value.trim_matches('"').to_owned())
}

/// A member, a value or a feature, if one starts here.
fn member(piece: &Piece) -> Option<Described> {
    let (name, rest) = piece.text.strip_prefix('`')?.split_once('`')?;
    let mut member = Described {
        name: name.to_owned(),
        of: None,
        when: None,
        text: Vec::new(),
    };
    match piece.kind {
        // `id`: `string` (optional)
        roff::Kind::Term => {
            if let Some(of) = rest.strip_prefix(": ") {
                let (of, rest) = of
                    .strip_prefix('`')
                    .unwrap_or(of)
                    .split_once('`')
                    .unwrap_or((of, ""));
                member.of = of.split(' ').next_back().map(str::to_owned);
                // A type of two words has no backticks: array of string (optional)
                if of.starts_with("array of ") {
                    member.of = of
                        .split(' ')
                        .nth(2)
                        .map(|of| of.trim_matches('`').to_owned());
                }
                member.when = rest.trim_start().strip_prefix("when ").and_then(case);
            }
        }
        // `id` (`string`, optional) -- its name
        roff::Kind::Bullet => {
            let (of, text) = match rest.split_once(" --") {
                Some((of, text)) => (of, text.trim()),
                None => (rest, ""),
            };
            let of = of.trim().strip_prefix('(');
            let of = of.and_then(|of| of.split([',', ')']).next());
            member.of = of.map(|of| of.trim_matches(['`', '[', ']']).to_owned());
            if is_said(text) {
                member.text.push(Block::Paragraph(text.to_owned()));
            }
        }
        _ => return None,
    }
    Some(member)
}

fn push(blocks: &mut Vec<Block>, piece: Piece) {
    if is_said(&piece.text) {
        blocks.push(match piece.kind {
            roff::Kind::Code => Block::Code(piece.text),
            roff::Kind::Bullet => Block::Item(piece.text),
            _ => Block::Paragraph(piece.text),
        });
    }
}

/// Whether a text says anything that the schema does not.
fn is_said(text: &str) -> bool {
    // How it was built.
    if text.starts_with("Availability: `") {
        return false;
    }
    !matches!(
        text,
        "" | "Not documented"
            | "This command is deprecated."
            | "This command is unstable/experimental."
            | "This event is deprecated."
            | "This event is unstable/experimental."
    )
}
