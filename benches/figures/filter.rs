//! Filters on large replies, compared with `jq` on a file of the same value, and a table of many block nodes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::memory::memory_of;
use crate::report::{alone, in_turn, print_ratio, print_times};
use crate::{QMPSH, reply};

const ROUNDS: usize = 9;

/// How often to look at the memory of a process and its children.
const LOOK: Duration = Duration::from_millis(1);

/// Measures all, in the directory `dir`.
pub fn measure(dir: &Path) -> Result<()> {
    const SIZE: usize = 50_000_000;
    const NODES: usize = 10_000;
    let one = r#"{"iops_rd": 0, "detect_zeroes": "off", "image": {"virtual-size": 1073741824, "filename": "/srv/a.qcow2"}, "encrypted": false, "cache": {"writeback": true}, "name": "disk"#;
    let value = list(SIZE / (one.len() + 9), |number| {
        format!("{one}{number:06}\"}}")
    });
    println!("\na reply of {} MB", value.len() / 1_000_000);
    compare(dir, "large", &value, ".[] | .name")?;
    let nodes = include_str!("../../tests/replies/query-named-block-nodes.json");
    let nodes: Vec<Value> = serde_json::from_str(nodes)?;
    let value = list(NODES, |number| {
        let mut node = nodes[number % nodes.len()].clone();
        node["node-name"] = format!("node{number}").into();
        node.to_string()
    });
    let size = value.len() / 1_000_000;
    println!("\n{NODES} block nodes, {size} MB");
    compare(
        dir,
        "nodes",
        &value,
        r#".[] | select(.drv == "qcow2") | ."node-name""#,
    )?;
    let servers = reply::serve(dir, "table", &value)?;
    let table = || qmpsh(dir, &servers, &["-o", "table"]);
    let times = alone(ROUNDS, || time(&mut table(), &dir.join("table")))?;
    println!("  as a table, in ms:");
    print_times("qmpsh", &times);
    let lines = fs::read_to_string(dir.join("table"))?.lines().count();
    ensure!(lines == NODES + 1, "a table of {lines} lines");
    print_peak("qmpsh", &mut table(), &dir.join("table"))
}

fn list(length: usize, item: impl FnMut(usize) -> String) -> String {
    let items: Vec<String> = (0..length).map(item).collect();
    format!("[{}]", items.join(", "))
}

/// Runs a filter on a reply, and `jq` on a file.
fn compare(dir: &Path, name: &str, value: &str, filter: &str) -> Result<()> {
    let servers = reply::serve(dir, name, value)?;
    let file = dir.join(name).with_extension("json");
    fs::write(&file, value)?;
    let (ours, theirs) = (dir.join("ours"), dir.join("theirs"));
    let qmpsh = || qmpsh(dir, &servers, &["-j", filter]);
    let jq = || {
        let mut jq = Command::new("jq");
        jq.args(["-c", filter]).arg(&file);
        jq
    };
    let (a, b) = in_turn(
        ROUNDS,
        || time(&mut qmpsh(), &ours),
        || time(&mut jq(), &theirs),
    )?;
    ensure!(fs::read(&ours)? == fs::read(&theirs)?, "they differ");
    println!("  through `{filter}`, in ms:");
    print_times("qmpsh", &a);
    print_times("jq", &b);
    print_ratio("qmpsh / jq", &a, &b, "   (target: at most 1)");
    print_peak("qmpsh", &mut qmpsh(), &ours)?;
    print_peak("jq", &mut jq(), &theirs)
}

fn qmpsh(dir: &Path, servers: &reply::Servers, options: &[&str]) -> Command {
    let mut command = Command::new(QMPSH);
    command.env_clear().env("HOME", dir);
    command.arg("--connect").arg(&servers.qmp);
    command.args(options).arg("query-large");
    command
}

/// Starts a command whose output goes to the file `output`.
fn start(command: &mut Command, output: &Path) -> Result<Child> {
    command.stdin(Stdio::null()).stdout(File::create(output)?);
    command.spawn().with_context(|| format!("{command:?}"))
}

fn time(command: &mut Command, output: &Path) -> Result<Duration> {
    let started = Instant::now();
    let status = start(command, output)?.wait()?;
    let time = started.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(time)
}

/// Prints the peak memory of a command, in MB: the sum of its process's and its children's.
fn print_peak(name: &str, command: &mut Command, output: &Path) -> Result<()> {
    let mut child = start(command, output)?;
    let mut peaks = BTreeMap::new();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let pid = child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        for pid in children.chain([pid]) {
            // It may have ended meanwhile.
            if let Ok(peak) = memory_of(pid, "VmHWM") {
                peaks.insert(pid, peak);
            }
        }
        thread::sleep(LOOK);
    };
    ensure!(status.success(), "{command:?}: {status}");
    let peaks: Vec<u32> = peaks.into_values().map(|peak| peak / 1000).collect();
    let sum: u32 = peaks.iter().sum();
    println!("  {name:10} peak memory {sum} MB, by process {peaks:?}");
    Ok(())
}
