//! Reads the roff that Sphinx and docutils write for `man`, as far as QEMU's references need it.
//!
//! The requests are those of `groff_man(7)`, the escapes those of `groff_char(7)`. What is not known is left out.

/// How deep indentation is followed.
const DEEPEST: usize = 40;

/// A piece of a manual page, between two breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// How far it is indented: the number of `.INDENT`s that are open.
    pub depth: usize,
    pub kind: Kind,
    /// On one line, with names in backticks; code keeps its lines.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Heading,
    /// What the next paragraphs are about.
    Term,
    /// A term in quotes, like `Example:`.
    Label,
    /// An item of a list.
    Bullet,
    Paragraph,
    Code,
}

/// Reads a page. Also returns the arguments of its `.TH`.
pub(super) fn read(source: &str) -> (Vec<Piece>, Vec<String>) {
    let mut reader = Reader::default();
    // Some requests have no line break before them.
    let lines = source.lines().flat_map(|line| {
        let marks = [r"\fP.SS \fB", r"\fP.INDENT ", r"- .INDENT "];
        match marks
            .iter()
            .find_map(|mark| Some(line.find(mark)? + mark.find('.')?))
        {
            Some(at) => vec![&line[..at], &line[at..]],
            None => vec![line],
        }
    });
    for line in lines {
        if let Some(end) = reader.skips {
            if line == end {
                reader.skips = None;
            }
            continue;
        }
        match line.strip_prefix(['.', '\'']) {
            Some(request) => reader.request(request),
            None if reader.code.is_some() => reader.code_line(line),
            None if line.trim().is_empty() => reader.end_piece(Kind::Paragraph),
            None => reader.text_line(line),
        }
    }
    reader.end_piece(Kind::Paragraph);
    (reader.pieces, reader.title)
}

#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    title: Vec<String>,
    depth: usize,
    /// The kind of the piece under construction, and its source.
    open: Option<Kind>,
    text: String,
    /// The lines of code so far.
    code: Option<String>,
    /// Everything up to this line is left out.
    skips: Option<&'static str>,
    /// The next line is a term.
    term: bool,
}

impl Reader {
    fn request(&mut self, request: &str) {
        let (name, rest) = request.split_once(' ').unwrap_or((request, ""));
        match name {
            "TH" => self.title = arguments(rest),
            "SH" | "SS" => {
                self.end_piece(Kind::Paragraph);
                self.depth = 0;
                self.push(Kind::Heading, unescaped(rest, Style::Prose));
            }
            "INDENT" => {
                self.end_piece(Kind::Paragraph);
                self.depth = (self.depth + 1).min(DEEPEST);
            }
            "UNINDENT" => {
                self.end_piece(Kind::Paragraph);
                self.depth = self.depth.saturating_sub(1);
            }
            "TP" => {
                self.end_piece(Kind::Paragraph);
                self.term = true;
            }
            "IP" => {
                self.end_piece(Kind::Paragraph);
                let marks = arguments(rest);
                match marks.first().map(|mark| unescaped(mark, Style::Prose)) {
                    Some(mark) if mark == "•" => self.open = Some(Kind::Bullet),
                    Some(mark) if mark.ends_with('.') => {
                        self.open = Some(Kind::Bullet);
                        self.text = format!("{mark} ");
                    }
                    Some(label) => self.push(Kind::Label, label),
                    None => {}
                }
            }
            "B" => self.text_line(rest),
            "nf" | "EX" => {
                self.end_piece(Kind::Paragraph);
                self.code = Some(String::new());
            }
            "fi" | "EE" => {
                if let Some(code) = self.code.take() {
                    self.push(Kind::Code, code);
                }
            }
            "sp" if self.code.is_some() => self.code_line(""),
            "sp" => self.end_piece(Kind::Paragraph),
            "de" | "de1" => self.skips = Some(".."),
            "TS" => self.skips = Some(".TE"),
            _ => {}
        }
    }

    fn text_line(&mut self, line: &str) {
        if std::mem::take(&mut self.term) {
            self.push(Kind::Term, unescaped(line, Style::Prose));
            return;
        }
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.text.push_str(line.trim());
    }

    fn code_line(&mut self, line: &str) {
        if let Some(code) = &mut self.code {
            code.push_str(&unescaped(line, Style::Code));
            code.push('\n');
        }
    }

    /// Ends the piece under construction, which is of this kind unless it said otherwise.
    fn end_piece(&mut self, kind: Kind) {
        let kind = self.open.take().unwrap_or(kind);
        let text = unescaped(&std::mem::take(&mut self.text), Style::Prose);
        if !text.is_empty() {
            self.push(kind, text);
        } else if kind == Kind::Bullet {
            // Its text begins with the next paragraph.
            self.open = Some(kind);
        }
    }

    fn push(&mut self, kind: Kind, text: String) {
        let depth = self.depth;
        self.pieces.push(Piece { depth, kind, text });
    }
}

/// The arguments of a request: words, or texts in double quotes.
fn arguments(rest: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Names stand in backticks.
    Prose,
    Code,
}

/// The text that roff prints.
fn unescaped(source: &str, style: Style) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    // Where a run in bold, or of a reference in italics, began.
    let mut run: Option<usize> = None;
    let mut italic = None;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('f') => {
                let (font, after) = font(chars.as_str());
                if let Some(start) = run.take() {
                    quote(&mut text, start);
                }
                italic = (font == "I").then_some(text.len());
                if style == Style::Prose && font == "B" {
                    run = Some(text.len());
                }
                rest = after;
                continue;
            }
            // A reference to a definition begins so, in italics.
            Some('%') if style == Style::Prose && italic == Some(text.len()) => {
                run = Some(text.len());
            }
            Some('(') => {
                let name: String = chars.by_ref().take(2).collect();
                text.push_str(&named(&name));
            }
            Some('[') => {
                if let Some((name, after)) = chars.as_str().split_once(']') {
                    text.push_str(&named(name));
                    chars = after.chars();
                }
            }
            Some('e' | '\\') => text.push('\\'),
            Some('&' | '%' | ':' | '/' | ',' | '^' | '|' | ')') | None => {}
            Some('0' | '~') => text.push(' '),
            // `\-`, `\.`, `\'` and the like.
            Some(c) => text.push(c),
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    if let Some(start) = run {
        quote(&mut text, start);
    }
    match style {
        Style::Prose => text.trim().to_owned(),
        Style::Code => text.trim_end().to_owned(),
    }
}

/// The name of a font after `\f`, and what follows it.
fn font(after: &str) -> (&str, &str) {
    if let Some(long) = after.strip_prefix('[') {
        return long.split_once(']').unwrap_or((long, ""));
    }
    let end = match after.strip_prefix('(') {
        Some(_) => after.char_indices().nth(3),
        None => after.char_indices().nth(1),
    };
    after.split_at(end.map_or(after.len(), |(at, _)| at))
}

/// Puts what begins at `start` in backticks, if it is a name. One that follows another directly belongs to it.
fn quote(text: &mut String, start: usize) {
    let run = &text[start..];
    // Emphasis.
    if matches!(run, "any" | "must" | "not" | "only") {
        return;
    }
    if run.is_empty() || run.contains([' ', '`']) || run.ends_with(':') {
        return;
    }
    if text[..start].ends_with('`') {
        text.remove(start - 1);
    } else {
        text.insert(start, '`');
    }
    text.push('`');
}

/// The character of this name in `groff_char(7)`.
fn named(name: &str) -> String {
    let known = match name {
        "aq" | "cq" | "oq" => "'",
        "dq" | "lq" | "rq" => "\"",
        "bu" => "•",
        "en" => "–",
        "em" => "—",
        "ga" => "`",
        "ha" => "^",
        "ti" => "~",
        "rs" => "\\",
        "hy" => "-",
        "<-" => "←",
        "->" => "→",
        "co" => "©",
        _ => "",
    };
    let by_code = || {
        let code = u32::from_str_radix(name.strip_prefix('u')?, 16).ok()?;
        char::from_u32(code).map(String::from)
    };
    by_code().unwrap_or_else(|| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(source: &str) -> Vec<(usize, Kind, String)> {
        let (pieces, _) = read(source);
        let parts = |piece: Piece| (piece.depth, piece.kind, piece.text);
        pieces.into_iter().map(parts).collect()
    }

    #[test]
    fn paragraphs_terms_lists_and_code_are_told_apart() {
        let source = ".TH \"A\" \"7\" \"May 25\" \"7.2\"\n.de1 X\nleft out\n..\n.SS \\fBa\\-b\\fP (Command)\n.sp\nOne\ntwo\\&.\n\
                      .sp\nthree\n.INDENT 0.0\n.TP\n.B \\fBid\\fP: \\fBstring\\fP\nits name\n.UNINDENT\n.INDENT 0.0\n.IP \\(bu 2\n\
                      first\n.IP 1. 3\nsecond\n.IP \"Example:\"\n.EX\n\\-> {\\(dqa\\(dq\n      }\n.EE\n.UNINDENT\n";
        assert_eq!(
            pieces(source),
            [
                (0, Kind::Heading, "`a-b` (Command)".to_owned()),
                (0, Kind::Paragraph, "One two.".to_owned()),
                (0, Kind::Paragraph, "three".to_owned()),
                (1, Kind::Term, "`id`: `string`".to_owned()),
                (1, Kind::Paragraph, "its name".to_owned()),
                (1, Kind::Bullet, "first".to_owned()),
                (1, Kind::Bullet, "1. second".to_owned()),
                (1, Kind::Label, "Example:".to_owned()),
                (1, Kind::Code, "-> {\"a\"\n      }\n".to_owned()),
            ]
        );
        assert_eq!(read(source).1, ["A", "7", "May 25", "7.2"]);
    }

    #[test]
    fn names_stand_in_backticks_and_emphasis_does_not() {
        for (source, text) in [
            (
                r"\fB\-m\fP, \fI\%Name\fP and \fInot\fP",
                "`-m`, `Name` and not",
            ),
            (
                r"\fB[\fP\fI\%Name\fP\fB]\fP \-\- a list",
                "`[Name]` -- a list",
            ),
            (r"\fBNOTE:\fP", "NOTE:"),
            (r"\fBtwo words\fP", "two words"),
            (r"it\(aqs \[u00E9] \e \(co", r"it's é \ ©"),
            (r"open \fBend", "open `end`"),
            (r"\f", ""),
            (r"\fé\(é", ""),
        ] {
            assert_eq!(unescaped(source, Style::Prose), text, "{source}");
        }
    }

    #[test]
    fn a_heading_may_stand_directly_after_a_text() {
        let headed = [
            (0, Kind::Paragraph, "`a`".to_owned()),
            (0, Kind::Heading, "`b` (Command)".to_owned()),
        ];
        assert_eq!(pieces("\\fBa\\fP.SS \\fBb\\fP (Command)\n"), headed);
    }

    #[test]
    fn any_text_can_be_read() {
        for source in [
            "\\",
            ".",
            "'",
            ".IP",
            ".IP \"",
            ".TP",
            ".UNINDENT\n.UNINDENT\nx",
            ".EE\n.EX\nx",
            ".SH \\f[",
            "\\[",
            "\\(é",
        ] {
            read(source);
        }
    }
}
