//! The verbs of a dialect whose lines are `VERB ARGUMENT…`.

/// A verb, with what may follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verb {
    /// Its names, the usual one first.
    pub names: Vec<String>,
    /// Its arguments, as its help names them, separated by spaces; may be empty.
    pub synopsis: String,
    /// What it does; may have several lines.
    pub summary: String,
    /// What its first argument may be, if that is a verb in turn.
    pub topics: Vec<Verb>,
}

impl Verb {
    /// The usual name.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The name and the arguments.
    pub fn headline(&self) -> String {
        format!("{} {}", self.names.join("|"), self.synopsis)
            .trim_end()
            .to_owned()
    }

    /// The arguments after the first `count`, as the synopsis names them.
    pub fn synopsis_after(&self, count: usize) -> String {
        let options = self.synopsis.split(' ').filter(|word| is_flag(word));
        let arguments = self.synopsis.split(' ').filter(|word| !is_flag(word));
        let given = arguments.skip(count);
        let words: Vec<&str> = match count {
            0 => options.chain(given).collect(),
            _ => given.collect(),
        };
        words.join(" ").trim().to_owned()
    }
}

fn is_flag(word: &str) -> bool {
    word.starts_with("[-")
}

/// Finds a verb by one of its names.
pub fn find<'a>(verbs: &'a [Verb], name: &str) -> Option<&'a Verb> {
    verbs
        .iter()
        .find(|verb| verb.names.iter().any(|other| other == name))
}

/// The verb that `words` begin with, followed into its topics, and how many words that took.
pub fn resolve<'a>(verbs: &'a [Verb], words: &[&str]) -> Option<(&'a Verb, usize)> {
    let verb = find(verbs, words.first()?)?;
    match words.get(1).and_then(|topic| find(&verb.topics, topic)) {
        Some(topic) => Some((topic, 2)),
        None => Some((verb, 1)),
    }
}
