//! The tree of QOM objects.

use std::pin::Pin;

use serde::Deserialize;
use serde_json::json;

use super::ask;
use super::order::natural;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::Tree;

/// Types of which a device has dozens. Below others they are only counted.
const COUNTED: [&str; 2] = ["memory-region", "irq"];

/// This many siblings that differ only in their number are one line.
const MANY: usize = 3;

#[derive(Deserialize)]
struct Property {
    name: String,
    #[serde(rename = "type")]
    of: String,
}

/// The objects at `path` and below.
///
/// # Errors
///
/// There is no such object, or the server does not answer.
pub(super) async fn tree(context: &Context, path: &str) -> Result<Tree, Failure> {
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let mut tree = Tree::new(path, []);
    fill(context, path, true, &mut tree).await?;
    Ok(tree)
}

/// Adds what is below the object at `path`. Those of [`COUNTED`] types are shown only if that is the `top`.
fn fill<'a>(
    context: &'a Context,
    path: &'a str,
    top: bool,
    tree: &'a mut Tree,
) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async move {
        let properties: Vec<Property> =
            ask(context, "qom-list", Some(json!({"path": path}))).await?;
        let mut counts = [0; COUNTED.len()];
        let mut children: Vec<(String, String)> = Vec::new();
        for Property { name, of } in properties {
            let Some(of) = of
                .strip_prefix("child<")
                .and_then(|of| of.strip_suffix('>'))
            else {
                continue;
            };
            match COUNTED.iter().position(|counted| *counted == of) {
                Some(at) if !top => counts[at] += 1,
                _ => children.push((name, of.to_owned())),
            }
        }
        children.sort_by(|(a, _), (b, _)| natural(a, b));
        for (name, of) in children {
            let below = format!("{}/{name}", path.trim_end_matches('/'));
            let counted = COUNTED.contains(&&*of);
            let mut child = Tree::new(name, [of]);
            if !counted {
                match fill(context, &below, false, &mut child).await {
                    // It may be gone by now.
                    Ok(()) | Err(Failure::Command { .. }) => {}
                    Err(failure) => return Err(failure),
                }
            }
            tree.children.push(child);
        }
        merge(&mut tree.children);
        let counted: Vec<String> = COUNTED
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(of, count)| format!("{count} {of}"))
            .collect();
        if !counted.is_empty() {
            tree.notes.resize(1, String::new());
            tree.notes.push(counted.join(", "));
        }
        Ok(())
    })
}

/// Makes one line of several siblings of one type that have nothing below them and differ only in their number.
fn merge(children: &mut Vec<Tree>) {
    let mut merged: Vec<Tree> = Vec::new();
    let mut rest = std::mem::take(children).into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut alike = vec![first];
        while let Some(next) = rest.next_if(|next| is_alike(&alike[0], next)) {
            alike.push(next);
        }
        if alike.len() < MANY {
            merged.extend(alike);
            continue;
        }
        let (first, last) = (&alike[0], &alike[alike.len() - 1]);
        let mut one = Tree::new(
            format!("{} … {}", first.name, last.name),
            first.notes.clone(),
        );
        one.notes[0] = format!("{} × {}", alike.len(), first.notes[0]);
        merged.push(one);
    }
    *children = merged;
}

fn is_alike(a: &Tree, b: &Tree) -> bool {
    let stem = |name: &str| {
        name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ']')
            .to_owned()
    };
    let is_leaf = |tree: &Tree| tree.children.is_empty() && tree.notes.len() == 1;
    is_leaf(a) && is_leaf(b) && a.notes == b.notes && stem(&a.name) == stem(&b.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_that_differ_only_in_their_number_are_one_line() {
        let leaf = |name: &str, of: &str| Tree::new(name, [of.to_owned()]);
        let mut children = vec![
            leaf("device[1]", "a"),
            leaf("device[2]", "eeprom"),
            leaf("device[3]", "eeprom"),
            leaf("device[4]", "eeprom"),
            leaf("ide.0", "IDE"),
            leaf("ide.1", "IDE"),
        ];
        merge(&mut children);
        let names: Vec<&str> = children.iter().map(|child| &*child.name).collect();
        assert_eq!(
            names,
            ["device[1]", "device[2] … device[4]", "ide.0", "ide.1"]
        );
        assert_eq!(children[1].notes, ["3 × eeprom"]);
    }
}
