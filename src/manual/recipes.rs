//! The recipes: what people do over QMP, as files to read and to run.
//!
//! Those whose names end in `.qmp` are lines of qmpsh with blanks, which are variables that they do not set themselves.
//! The others are shell scripts. Each begins with comments; the first says what it does.

use crate::lang;

/// A recipe.
pub struct Recipe {
    /// The name of its file in `tests/recipes`.
    pub file: &'static str,
    /// What is in the file.
    pub text: &'static str,
}

macro_rules! recipes {
    ($($file:literal)*) => {
        &[$(Recipe {
            file: $file,
            text: include_str!(concat!("../../tests/recipes/", $file)),
        }),*]
    };
}

/// Every recipe, in the order in which they are listed.
pub const RECIPES: &[Recipe] = recipes! {
    "wait-until-running.qmp"
    "power-down"
    "ci-job"
    "fleet"
    "compare"
    "ask-hmp.qmp"
    "crash-dump.qmp"
    "screenshot.qmp"
    "stable-screen"
    "keys.qmp"
    "guest-exec.qmp"
    "freeze"
    "snapshot-and-commit"
    "internal-snapshot"
    "bitmap-backup"
    "mirror-and-pivot.qmp"
    "nbd-export"
    "throttle.qmp"
    "resize.qmp"
    "inject-fault.qmp"
    "change-cd.qmp"
    "eject-cd.qmp"
    "plug-disk.qmp"
    "hotplug"
    "plug-nic.qmp"
    "unplug-nic.qmp"
    "plug-memory.qmp"
    "balloon.qmp"
    "plug-cpu.qmp"
    "pin-vcpus"
    "migrate-live.qmp"
    "migrate-to-file"
    "restore-from-file.qmp"
};

/// The recipe of this name.
pub fn find(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.name() == name)
}

impl Recipe {
    /// Its name: that of its file, without `.qmp`.
    pub fn name(&self) -> &'static str {
        self.file.strip_suffix(".qmp").unwrap_or(self.file)
    }

    /// Whether it is for a shell, and has no blanks.
    pub fn is_script(&self) -> bool {
        !self.file.ends_with(".qmp")
    }

    /// What it does: one line, without a full stop.
    pub fn title(&self) -> &'static str {
        let title = self.text.lines().find_map(|line| line.strip_prefix("# "));
        title.unwrap_or_default().trim_end_matches('.')
    }

    /// Its lines without the comments; none if it is a script.
    fn lines(&self) -> impl Iterator<Item = &'static str> {
        let lines = self.text.lines();
        lines.filter(|line| !self.is_script() && !line.starts_with('#'))
    }

    /// The names of its blanks, in the order in which it has them.
    pub fn blanks(&self) -> Vec<&'static str> {
        let (mut blanks, mut own) = (Vec::new(), Vec::new());
        for line in self.lines() {
            for (_, name) in lang::variables_in(line) {
                if !own.contains(&name) && !blanks.contains(&name) {
                    blanks.push(name);
                }
            }
            own.extend(
                line.strip_prefix(":let ")
                    .and_then(|rest| rest.split(' ').next()),
            );
        }
        blanks
    }

    /// The beginning of the line in which this blank is the value of an argument, up to that value.
    pub fn before(&self, blank: &str) -> Option<&'static str> {
        self.lines().find_map(|line| {
            let found = lang::variables_in(line).into_iter();
            let mut before = found
                .filter(|(_, name)| *name == blank)
                .map(|(span, _)| &line[..span.start]);
            before.find(|before| before.ends_with('='))
        })
    }

    /// Its lines after some that set variables to these values.
    pub fn filled(&self, values: &[(&str, String)]) -> String {
        let set = values
            .iter()
            .map(|(name, value)| format!(":let {name} = {}", lang::in_quotes(value)));
        let lines = set.chain(self.lines().map(str::to_owned));
        lines.map(|line| line + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_says_what_it_does_and_how_its_blanks_are_given() {
        for recipe in RECIPES {
            let (name, title) = (recipe.name(), recipe.title());
            assert!(title.len() > 10 && title.len() < 80, "{name}: {title}");
            let usage = recipe.text.lines().find(|line| line.starts_with("#   "));
            let usage = usage.expect("it says how it is run");
            assert!(usage.contains(name), "{usage}");
            let words = usage.split(['\'', ' ']);
            let given = words.filter_map(|word| Some(word.split_once('=')?.0));
            let given: Vec<&str> = given.collect();
            let mut blanks = recipe.blanks();
            blanks.sort_by_key(|blank| given.iter().position(|name| name == blank));
            assert!(recipe.is_script() || given == blanks, "{usage}: {blanks:?}");
        }
    }

    #[test]
    fn a_blank_is_found_as_the_value_of_an_argument() {
        let recipe = find("plug-disk").expect("it is there");
        assert_eq!(recipe.blanks(), ["id", "file", "bus"]);
        let before = recipe.before("bus").expect("it is a value");
        assert!(before.starts_with("device_add") && before.ends_with(" bus="));
        assert_eq!(recipe.before("other"), None);
        // What a recipe sets itself is no blank.
        assert_eq!(find("plug-cpu").expect("it is there").blanks(), ["id"]);
        assert_eq!(find("power-down").expect("it is there").blanks(), [""; 0]);
    }

    #[test]
    fn values_are_set_before_the_lines() {
        let recipe = find("resize").expect("it is there");
        let filled = recipe.filled(&[("node", "a $b".to_owned()), ("size", "1G".to_owned())]);
        assert_eq!(
            filled,
            ":let node = \"a \\u0024b\"\n:let size = \"1G\"\nblock_resize node-name=$node size=$size\n"
        );
    }
}
