//! The licences of everything that is linked into the binary, as `THIRD-PARTY.md` has them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// The platforms on Linux differ in nothing that is linked.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// What cargo says of the packages and who needs which, as far as we look at it.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    authors: Vec<String>,
    repository: Option<String>,
    manifest_path: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` if it is needed to run, not only to build or to test.
    kind: Option<String>,
}

const HEAD: &str = "\
# Third-party licences

A binary of qmpsh contains these packages. Where a package may be used under one of several licences, the one that
is used is MIT. The binary also contains Rust's standard library (MIT OR Apache-2.0), and what `cargo static` builds
contains the GNU C library (LGPL-2.1-or-later), too.

`QMPSH_GENERATE=1 cargo test --test all generated::` writes this file.

";

/// For a package that says it is under the MIT licence without bringing the text: that text, as
/// https://spdx.org/licenses/MIT.html has it.
const MIT: &str = "\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.";

/// The text of `THIRD-PARTY.md`.
pub fn text() -> String {
    let packages = linked();
    let mut page = HEAD.to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in &packages {
        let name = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().expect("it has a licence");
        let place = package.repository.as_deref().unwrap_or_default();
        writeln!(page, "- {name}: {license} {place}").expect("memory takes it");
        for text in license_texts(package, license) {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, names) in texts {
        write!(page, "\n## {}\n\n```text\n{text}\n```\n", names.join(", "))
            .expect("memory takes it");
    }
    page
}

/// The packages that are linked, by name: what runs only while something is built is left out.
fn linked() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", PLATFORM])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo's JSON");
    let mut packages: HashMap<String, Package> = (metadata.packages.into_iter())
        .map(|package| (package.id.clone(), package))
        .collect();
    let nodes: HashMap<&str, &Node> = (metadata.resolve.nodes.iter())
        .map(|node| (&*node.id, node))
        .collect();
    let mut seen = HashSet::new();
    let mut open = vec![&*metadata.resolve.root];
    while let Some(id) = open.pop() {
        let is_macro = |target: &Target| target.kind.iter().any(|kind| kind == "proc-macro");
        if packages[id].targets.iter().any(is_macro) || !seen.insert(id) {
            continue;
        }
        let dependencies = nodes[id].deps.iter();
        let runs = |of: &&Dependency| of.dep_kinds.iter().any(|kind| kind.kind.is_none());
        open.extend(dependencies.filter(runs).map(|dependency| &*dependency.pkg));
    }
    seen.remove(&*metadata.resolve.root);
    let mut linked: Vec<Package> = (seen.into_iter())
        .map(|id| packages.remove(id).expect("each once"))
        .collect();
    linked.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    linked
}

/// The texts of the licences that hold for a package: MIT's if that is enough.
fn license_texts(package: &Package, license: &str) -> Vec<String> {
    let dir = Path::new(&package.manifest_path)
        .parent()
        .expect("a directory");
    let names = fs::read_dir(dir).expect("it was unpacked").flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("LICENSE") || name.starts_with("COPYING"))
        .collect();
    names.sort();
    let is_enough = license.contains("MIT") && !license.contains(" AND ");
    if is_enough && names.iter().any(|name| name.contains("MIT")) {
        names.retain(|name| name.contains("MIT"));
    }
    if names.is_empty() && license == "MIT" {
        let authors = package.authors.join(", ");
        return vec![format!("Copyright (c) {authors}\n\n{MIT}")];
    }
    assert!(
        !names.is_empty(),
        "{} has no text of its licence",
        package.name
    );
    let read = |name: &String| fs::read_to_string(dir.join(name)).expect("a text");
    let tidy = |text: String| {
        text.replace('\r', "")
            .trim_end()
            .trim_start_matches('\n')
            .to_owned()
    };
    names.iter().map(read).map(tidy).collect()
}
