//! The graph of block nodes, drawn from the devices, exports and jobs that use them.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::json;

use super::ask;
use super::order::natural;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Tree, bytes};

/// The graph, as `x-debug-query-block-graph` tells it.
#[derive(Deserialize)]
struct Graph {
    nodes: Vec<Vertex>,
    edges: Vec<Edge>,
}

/// A block node, or something that uses one.
#[derive(Deserialize)]
struct Vertex {
    id: u64,
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    #[serde(rename = "block-backend")]
    Backend,
    #[serde(rename = "block-job")]
    Job,
    #[serde(rename = "block-driver")]
    Node,
}

#[derive(Deserialize)]
struct Edge {
    parent: u64,
    child: u64,
    name: String,
}

/// A block node, as `query-named-block-nodes` tells it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Node {
    node_name: String,
    drv: String,
    ro: bool,
    file: String,
    image: Image,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    virtual_size: u64,
}

/// A device's backend, as `query-block` tells it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Backend {
    device: String,
    qdev: Option<String>,
    io_status: Option<String>,
    inserted: Option<Inserted>,
}

#[derive(Deserialize)]
struct Inserted {}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Export {
    id: String,
    #[serde(rename = "type")]
    of: String,
    node_name: String,
}

/// Everything that the server tells of its block layer.
struct Block {
    /// What is in the graph, by its id.
    vertices: HashMap<u64, Vertex>,
    /// The edges that lead from a vertex: the name of each, and where it leads.
    edges: HashMap<u64, Vec<(String, u64)>>,
    nodes: HashMap<String, Node>,
    backends: Vec<Backend>,
    exports: Vec<Export>,
    /// The nodes that were drawn already.
    drawn: HashSet<u64>,
}

/// A tree for each device, export and job, and for each node that nothing uses.
///
/// # Errors
///
/// The server does not answer, or does not tell its graph.
pub(super) async fn trees(context: &Context) -> Result<Vec<Tree>, Failure> {
    let graph: Graph = ask(context, "x-debug-query-block-graph", None).await?;
    // Each node without those below it, which have entries of their own. QEMU before 5.0 tells both.
    let flat = match ask(
        context,
        "query-named-block-nodes",
        Some(json!({"flat": true})),
    )
    .await
    {
        Err(Failure::Command { .. }) => ask(context, "query-named-block-nodes", None).await,
        nodes => nodes,
    };
    let nodes: Vec<Node> = flat?;
    // A storage daemon has no devices, and an old QEMU no such exports.
    let backends = lenient(ask(context, "query-block", None).await)?;
    let exports = lenient(ask(context, "query-block-exports", None).await)?;
    let mut edges: HashMap<u64, Vec<(String, u64)>> = HashMap::new();
    for edge in graph.edges {
        edges
            .entry(edge.parent)
            .or_default()
            .push((edge.name, edge.child));
    }
    for children in edges.values_mut() {
        children.sort();
    }
    let vertices = graph.nodes.into_iter();
    let mut block = Block {
        vertices: vertices.map(|vertex| (vertex.id, vertex)).collect(),
        edges,
        nodes: nodes
            .into_iter()
            .map(|node| (node.node_name.clone(), node))
            .collect(),
        backends,
        exports,
        drawn: HashSet::new(),
    };
    Ok(block.trees())
}

/// Nothing if the server does not know the command.
fn lenient<T>(answer: Result<Vec<T>, Failure>) -> Result<Vec<T>, Failure> {
    match answer {
        Err(Failure::Command { .. }) => Ok(Vec::new()),
        answer => answer,
    }
}

impl Block {
    fn trees(&mut self) -> Vec<Tree> {
        let used: HashSet<u64> = self
            .edges
            .values()
            .flatten()
            .map(|(_, child)| *child)
            .collect();
        let mut roots: Vec<(Kind, String, u64)> = self
            .vertices
            .values()
            .filter(|vertex| !used.contains(&vertex.id))
            .map(|vertex| (vertex.kind, vertex.name.clone(), vertex.id))
            .collect();
        roots.sort_by(|(a, one, id), (b, other, its)| {
            a.cmp(b).then_with(|| natural(one, other)).then(id.cmp(its))
        });
        let mut trees = Vec::new();
        for (kind, name, id) in roots {
            let mut tree = match kind {
                Kind::Node => {
                    let mut tree = Tree::new("unused", []);
                    tree.children.push(self.node(id));
                    trees.push(tree);
                    continue;
                }
                Kind::Job => Tree::new(format!("job {name}"), []),
                Kind::Backend => self.backend(&name, id),
            };
            for (_, child) in self.children(id) {
                let child = self.node(child);
                tree.children.push(child);
            }
            trees.push(tree);
        }
        trees
    }

    /// What uses a node from outside of the graph: a device, an export, or something without a name.
    fn backend(&self, name: &str, id: u64) -> Tree {
        let is_meant =
            |backend: &&Backend| backend.device == name || backend.qdev.as_deref() == Some(name);
        let found = self
            .backends
            .iter()
            .find(is_meant)
            .filter(|_| !name.is_empty());
        if let Some(backend) = found {
            let title = match &backend.qdev {
                Some(qdev) => qdev,
                None => &backend.device,
            };
            let mut notes = Vec::new();
            if !backend.device.is_empty() && backend.device != *title {
                notes.push(format!("drive {}", backend.device));
            }
            if backend.inserted.is_none() {
                notes.push("empty".to_owned());
            }
            if let Some(status) = backend
                .io_status
                .as_deref()
                .filter(|status| *status != "ok")
            {
                notes.push(format!("I/O status {status}"));
            }
            return Tree::new(joined(title, &notes), []);
        }
        let uses: Vec<&str> = self
            .children(id)
            .iter()
            .filter_map(|(_, child)| self.name(*child))
            .collect();
        let export = self
            .exports
            .iter()
            .find(|export| uses.contains(&&*export.node_name));
        match (name, export) {
            ("", Some(export)) => Tree::new(format!("export {} ({})", export.id, export.of), []),
            ("", None) => Tree::new("something without a name", []),
            (name, _) => Tree::new(name, []),
        }
    }

    /// A node, its children, and the chain of its backing files.
    fn node(&mut self, id: u64) -> Tree {
        let mut tree = self.alone(id);
        if !self.drawn.insert(id) {
            tree.notes = vec!["see above".to_owned()];
            return tree;
        }
        let mut at = id;
        let mut backing = self.fill(at, &mut tree);
        while let Some(next) = backing {
            at = next;
            let mut link = self.alone(at);
            if !self.drawn.insert(at) {
                link.notes = vec!["see above".to_owned()];
                tree.chain.push(link);
                break;
            }
            backing = self.fill(at, &mut link);
            tree.chain.push(link);
        }
        tree
    }

    /// Adds the children of a node, and returns its backing file. A file that has no children itself is a note.
    fn fill(&mut self, id: u64, tree: &mut Tree) -> Option<u64> {
        let mut backing = None;
        for (name, child) in self.children(id) {
            match name.as_str() {
                "backing" => backing = Some(child),
                "file" if self.children(child).is_empty() && !self.drawn.contains(&child) => {
                    self.drawn.insert(child);
                    if let Some(name) = self.name(child) {
                        tree.notes.push(format!("on {name}"));
                    }
                }
                _ => {
                    let mut below = self.node(child);
                    if name != "file" {
                        below.notes.push(format!("as {name}"));
                    }
                    tree.children.push(below);
                }
            }
        }
        backing
    }

    /// A node without what is below it.
    fn alone(&self, id: u64) -> Tree {
        let name = self.name(id).unwrap_or("?");
        let Some(node) = self.nodes.get(name) else {
            return Tree::new(name, []);
        };
        let access = if node.ro { "ro" } else { "rw" };
        Tree::new(
            name,
            [
                node.drv.clone(),
                access.to_owned(),
                bytes(node.image.virtual_size),
                node.file.clone(),
            ],
        )
    }

    fn name(&self, id: u64) -> Option<&str> {
        self.vertices.get(&id).map(|vertex| &*vertex.name)
    }

    /// What a vertex uses, each with the name of the edge.
    fn children(&self, id: u64) -> Vec<(String, u64)> {
        self.edges.get(&id).cloned().unwrap_or_default()
    }
}

fn joined(title: &str, notes: &[String]) -> String {
    match notes {
        [] => title.to_owned(),
        notes => format!("{title} ({})", notes.join(", ")),
    }
}
