//! Finds out whether a server has an argument, a value or a feature.

use super::{Features, Member, Object, Schema, Type, TypeId};

/// The arguments that are given as `KEY=VALUE`, which select variants of unions.
type Given<'a> = [(&'a str, &'a str)];

impl Schema {
    /// The first of `words` that `command` does not have; the command itself if the server does not have that. A word
    /// is an argument, `ARGUMENT=VALUE` for a value that it can have, or a feature of the command or of the
    /// arguments among the words. Arguments that depend on the value of another count if some value allows them,
    /// unless that value is among the words.
    pub fn lacks<'a>(&self, command: &'a str, words: &'a [String]) -> Option<&'a str> {
        let Some(known) = self.command(command) else {
            return Some(command);
        };
        let root = known.arguments;
        let given: Vec<(&str, &str)> = words
            .iter()
            .filter_map(|word| word.split_once('='))
            .collect();
        let mut features = vec![&known.features];
        features.extend(
            self.forms(root, "", &given)
                .iter()
                .map(|form| &form.features),
        );
        let mut others = Vec::new();
        for word in words {
            let (path, value) = match word.split_once('=') {
                Some((path, value)) => (path, Some(value)),
                None => (word.as_str(), None),
            };
            let mut found = self.members_at(root, "", path, &given);
            found.retain(|member| value.is_none_or(|value| self.allows(member.of, value)));
            if found.is_empty() {
                others.push(word);
            }
            for member in found {
                features.push(&member.features);
                let forms = self.forms(member.of, path, &given);
                features.extend(forms.iter().map(|form| &form.features));
                features.extend(value.and_then(|value| self.features_of_value(member.of, value)));
            }
        }
        let mut others = others.into_iter();
        others
            .find(|name| !features.iter().any(|features| features.has(name)))
            .map(String::as_str)
    }

    /// The object types that a value of this type at `path` can consist of: the type itself, and its variants.
    fn forms<'s>(&'s self, of: TypeId, path: &str, given: &Given<'_>) -> Vec<&'s Object> {
        let Some(object) = self.object(of) else {
            return Vec::new();
        };
        let case = object.tag.as_deref().and_then(|tag| {
            let tag = joined(path, tag);
            given
                .iter()
                .find(|(key, _)| *key == tag)
                .map(|(_, value)| *value)
        });
        let mut forms = vec![object];
        for variant in &object.variants {
            if case.is_none_or(|case| case == &*variant.case) {
                forms.extend(self.forms(variant.of, path, given));
            }
        }
        forms
    }

    /// The members at the dotted path `rest` below a value of this type, which is itself at `path`.
    fn members_at<'s>(
        &'s self,
        of: TypeId,
        path: &str,
        rest: &str,
        given: &Given<'_>,
    ) -> Vec<&'s Member> {
        let (first, rest) = match rest.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (rest, None),
        };
        if let (Some(items), Ok(_), Some(rest)) = (self.items(of), first.parse::<usize>(), rest) {
            return self.members_at(items, &joined(path, first), rest, given);
        }
        let forms = self.forms(of, path, given).into_iter();
        let found = forms
            .flat_map(|form| &form.members)
            .filter(|member| *member.name == *first);
        match rest {
            None => found.collect(),
            Some(rest) => {
                let path = joined(path, first);
                found
                    .flat_map(|member| self.members_at(member.of, &path, rest, given))
                    .collect()
            }
        }
    }

    /// Whether the schema allows this value. It limits only the values of enumerations.
    fn allows(&self, of: TypeId, value: &str) -> bool {
        match self.get(of) {
            Type::Enum(values) => values.iter().any(|known| *known.name == *value),
            Type::Alternate(choices) => choices.iter().any(|choice| self.allows(*choice, value)),
            Type::Scalar(_) => true,
            Type::Array(_) | Type::Object(_) => false,
        }
    }

    fn features_of_value(&self, of: TypeId, value: &str) -> Option<&Features> {
        match self.get(of) {
            Type::Enum(values) => {
                let known = values.iter().find(|known| *known.name == *value);
                known.map(|known| &known.features)
            }
            _ => None,
        }
    }
}

fn joined(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"[
        {"meta-type": "command", "name": "c", "arg-type": "1", "ret-type": "0", "features": ["f", "unstable"]},
        {"meta-type": "object", "name": "0", "members": []},
        {"meta-type": "object", "name": "1", "tag": "t", "members": [{"name": "t", "type": "3"}, {"name": "l", "type": "[1]"}],
         "variants": [{"case": "a", "type": "2"}, {"case": "b", "type": "0"}]},
        {"meta-type": "object", "name": "2", "features": ["of-a"], "members": [{"name": "x", "type": "int", "features": ["of-x"]}]},
        {"meta-type": "enum", "name": "3", "members": [{"name": "a"}, {"name": "b", "features": ["of-b"]}]},
        {"meta-type": "array", "name": "[1]", "element-type": "1"},
        {"meta-type": "builtin", "name": "int", "json-type": "int"}]"#;

    #[test]
    fn the_first_word_that_a_command_lacks_is_found() {
        let schema = Schema::read(SMALL).expect("it is one");
        let lacks = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            schema.lacks(&words[0], &words[1..]).map(str::to_owned)
        };
        for there in [
            "c",
            "c t",
            "c f unstable",
            "c t=a",
            "c x",
            "c t=a x",
            "c x t=a",
            "c of-a",
            "c t=a of-a",
            "c x of-x",
            "c t=b of-b",
            "c l.0.x",
            "c l.0.t=a l.0.x of-x",
            "c x=7",
        ] {
            assert_eq!(lacks(there), None, "{there}");
        }
        for (line, lacking) in [
            ("d x", "d"),
            ("c y", "y"),
            ("c t=z", "t=z"),
            ("c t=b x", "x"),
            ("c t=b of-a", "of-a"),
            ("c of-x", "of-x"),
            ("c x.y", "x.y"),
            ("c l.0.t=b l.0.x", "l.0.x"),
            ("c f deprecated", "deprecated"),
        ] {
            assert_eq!(lacks(line).as_deref(), Some(lacking), "{line}");
        }
    }
}
