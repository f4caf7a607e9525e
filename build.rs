//! Links the unwinder statically: loading libgcc_s.so.1 just for that takes a tenth of a one-shot command's run
//! time. Names the commit that a release is built from, for `--version`.

use std::env::var;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux")
        && var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu")
    {
        // std links with -lgcc_s. The linker finds this script of that name first, and it names the static
        // libraries instead.
        let out = PathBuf::from(var("OUT_DIR").expect("cargo sets it"));
        fs::write(out.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc )\n")?;
        println!("cargo:rustc-link-search=native={}", out.display());
    }
    let mut version = var("CARGO_PKG_VERSION").expect("cargo sets it");
    // Everything would be compiled anew after each commit, so builds for development do without.
    if var("PROFILE").as_deref() == Ok("release")
        && let Some(commit) = commit_of_crate().or_else(commit_of_repository)
    {
        version += &format!(" ({})", commit.get(..10).unwrap_or(&commit));
    }
    println!("cargo:rustc-env=QMPSH_VERSION={version}");
    Ok(())
}

/// The commit that a published crate was made from: `cargo package` writes it down.
fn commit_of_crate() -> Option<String> {
    let about = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, commit) = about.split_once("\"sha1\": \"")?;
    Some(commit.split_once('"')?.0.to_owned())
}

/// The commit that is checked out here, unless the repository is that of a directory above.
fn commit_of_repository() -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    // It grows with each commit and checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
