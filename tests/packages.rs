//! What is published: the crate, the Debian package, and the version that a binary says it is. `tests/package` builds
//! both packages and tries them in a clean Debian; here is what can be told without.

use std::fs;
use std::path::Path;
use std::process::Command;

use toml::{Table, Value};

use crate::common::{Qemu, qmpsh, scratch, text};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_version_is_a_line_and_with_two_dashes_says_for_which_qemus() {
    let short = qmpsh(&["-V"], "").assert_status(0).stdout();
    assert_eq!(short, format!("qmpsh {}\n", env!("QMPSH_VERSION")));
    let long = qmpsh(&["--version"], "").assert_status(0).stdout();
    let (first, range) = long.split_once('\n').expect("a second line");
    assert_eq!(first, short.trim_end());
    let (from, to) = (range.strip_prefix("for QEMU "))
        .and_then(|range| range.split_once(';')?.0.split_once(" to "))
        .expect("a range");
    let major = |version: &str| -> u32 {
        let major = version.trim().split('.').next();
        major
            .and_then(|major| major.parse().ok())
            .expect("a version")
    };
    let qemu = Qemu::start();
    let qemu = qemu.control("query-version | .qemu.major");
    let qemu = major(&qemu.stdout());
    assert!((major(from)..=major(to)).contains(&qemu), "{range}: {qemu}");
}

/// What the build script says in `directory`, a package's.
fn version_built_in(directory: &Path, profile: &str) -> String {
    let script = directory.join("script");
    if !script.exists() {
        let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
        let built = Command::new(rustc)
            .args(["--edition", "2024", "-o", text(&script)])
            .arg(Path::new(ROOT).join("build.rs"))
            .status();
        assert!(built.expect("rustc runs").success());
    }
    let said = Command::new(&script)
        .current_dir(directory)
        .env("CARGO_PKG_VERSION", "1.2.3")
        .env("PROFILE", profile)
        .env_remove("CARGO_CFG_TARGET_OS")
        .output()
        .expect("it runs");
    let said = String::from_utf8(said.stdout).expect("text");
    let version = said.lines().find_map(|line| {
        let (_, version) = line.split_once("cargo:rustc-env=QMPSH_VERSION=")?;
        Some(version.to_owned())
    });
    version.expect("it says a version")
}

#[test]
fn a_release_names_its_commit_from_the_repository_or_from_the_published_crate() {
    let package = scratch();
    let package = package.path();
    assert_eq!(version_built_in(package, "release"), "1.2.3");
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .current_dir(package)
            .output()
            .expect("git runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "One"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let named = format!("1.2.3 ({})", &commit[..10]);
    assert_eq!(version_built_in(package, "release"), named);
    assert_eq!(version_built_in(package, "debug"), "1.2.3");

    // A crate that is unpacked in somebody's repository is not of that repository.
    let unpacked = package.join("vendor");
    fs::create_dir(&unpacked).expect("a directory of ours");
    assert_eq!(version_built_in(&unpacked, "release"), "1.2.3");
    fs::write(
        unpacked.join(".cargo_vcs_info.json"),
        "{\n  \"git\": {\n    \"sha1\": \"0123456789abcdef0123\"\n  },\n  \"path_in_vcs\": \"\"\n}",
    )
    .expect("a file of ours");
    assert_eq!(version_built_in(&unpacked, "release"), "1.2.3 (0123456789)");
}

#[test]
fn the_crate_has_what_it_is_built_from_and_no_more() {
    let listed = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    let listed = String::from_utf8(listed.stdout).expect("text");
    for file in listed.lines() {
        let kept = ["src/", "man/", "completions/", "debian/", "tests/recipes/"];
        let is_kept = match file.rsplit_once('/') {
            Some(_) => {
                kept.iter().any(|kept| file.starts_with(kept)) || file == ".cargo/config.toml"
            }
            None => {
                file.ends_with(".md") || file.starts_with("Cargo.") || file.starts_with("LICENSE-")
            }
        };
        let others = ["build.rs", ".cargo_vcs_info.json"];
        assert!(is_kept || others.contains(&file), "{file}");
    }
    for (file, _, _) in debian_files() {
        assert!(
            file.starts_with("target/") || listed.lines().any(|listed| listed == file),
            "{file} is not in the crate"
        );
    }
}

/// The files of the Debian package: where each comes from, where it goes, and its mode.
fn debian_files() -> Vec<(String, String, String)> {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).expect("it is there");
    let manifest: Table = manifest.parse().expect("TOML");
    let deb = &manifest["package"]["metadata"]["deb"];
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let licence = text(&deb["license-file"][0]);
    let copyright = ("usr/share/doc/qmpsh/copyright", "644");
    let mut files = vec![(licence, copyright.0.to_owned(), copyright.1.to_owned())];
    for asset in deb["assets"].as_array().expect("a list") {
        let (from, to, mode) = (text(&asset[0]), text(&asset[1]), text(&asset[2]));
        let (directory, name) = from.rsplit_once('/').unwrap_or(("", &from));
        let names = match name {
            "*" => fs::read_dir(Path::new(ROOT).join(directory))
                .expect("a directory")
                .map(|entry| {
                    entry
                        .expect("an entry")
                        .file_name()
                        .into_string()
                        .expect("text")
                })
                .collect(),
            name => vec![name.to_owned()],
        };
        for name in names {
            let from = [directory, &name].join("/");
            let to = match to.ends_with('/') {
                true => to.clone() + &name,
                false => to.clone(),
            };
            files.push((from.trim_start_matches('/').to_owned(), to, mode.clone()));
        }
    }
    files
}

#[test]
fn the_debian_package_has_its_files_where_debian_looks_for_them() {
    let files = debian_files();
    for (from, to, mode) in &files {
        assert!(
            from.starts_with("target/") || Path::new(ROOT).join(from).is_file(),
            "{from}"
        );
        let expected = if to.starts_with("usr/bin/") {
            "755"
        } else {
            "644"
        };
        assert_eq!(mode, expected, "{to}");
    }
    for wanted in [
        "usr/bin/qmpsh",
        "usr/share/bash-completion/completions/qmpsh",
        "usr/share/doc/qmpsh/THIRD-PARTY.md",
        "usr/share/doc/qmpsh/copyright",
        "usr/share/doc/qmpsh/examples/throttle.qmp",
        "usr/share/fish/vendor_completions.d/qmpsh.fish",
        "usr/share/man/man1/qmpsh.1",
        "usr/share/zsh/vendor-completions/_qmpsh",
    ] {
        assert!(files.iter().any(|(_, to, _)| to == wanted), "{wanted}");
    }
    // It names the licences that the crate names, under the names that Debian has for them.
    let copyright = fs::read_to_string(Path::new(ROOT).join("debian/copyright")).expect("text");
    assert!(copyright.contains("License: Expat or Apache-2.0"));
    let mit = fs::read_to_string(Path::new(ROOT).join("LICENSE-MIT")).expect("text");
    let words = |text: &str| {
        let words = text.split_whitespace().filter(|word| *word != ".");
        words.collect::<Vec<_>>().join(" ")
    };
    let (_, terms) = mit.split_once("Permission").expect("its terms");
    assert!(words(&copyright).contains(&words(terms)));
}
