//! What a QEMU says of itself, on disk: its schema, so that a one-shot command need not ask for 200 kB to type one word,
//! and its types, so that not every shell must start a QEMU to ask. Also what was read from a file of its.

use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use etcetera::BaseStrategy;

use super::Schema;
use crate::os::private;

/// How many schemas are kept.
const SCHEMAS: usize = 16;

/// How many answers about types are kept. There is one for each type that somebody asked for.
const ANSWERS: usize = 256;

/// How many files are kept, in the form in which they are used.
const FILES: usize = 4;

/// Where the schema of one very QEMU is kept, or its answer to a question, or what was read from a file.
#[derive(Debug, Clone)]
pub struct Cache {
    path: PathBuf,
    key: String,
}

impl Cache {
    /// Returns the cache for a server of this version whose process is `pid`.
    ///
    /// Returns `None` unless the process is certainly QEMU: if a socket was inherited (from
    /// libvirt, say), the kernel names the process that made it, not the one that serves it. Also
    /// returns `None` for a QEMU that was told to hide a part of its schema (`-compat`).
    pub fn of(version: &str, package: &str, pid: i32) -> Option<Self> {
        let options = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let mut options = options.split(|byte| *byte == 0);
        if options.any(|option| option == b"-compat" || option == b"--compat") {
            return None;
        }
        let exe = format!("/proc/{pid}/exe");
        let path = fs::read_link(&exe).ok()?;
        let name = path.file_name()?.to_str()?;
        if !name.starts_with("qemu") && name != "kvm" {
            return None;
        }
        // Follow the link itself: it leads to the running file even if an upgrade has replaced
        // that.
        let key = format!("{version} {package} {}", identity(Path::new(&exe))?);
        Some(Self::new(&directory()?, key))
    }

    /// Returns where to keep what was read from a file; `form` says in which form.
    pub fn of_file(path: &Path, form: &str) -> Option<Self> {
        let key = format!("{form} {} {}", path.display(), identity(path)?);
        Some(Self::named("file", &directory()?, key))
    }

    fn new(directory: &Path, key: String) -> Self {
        Self::named("schema", directory, key)
    }

    fn named(kind: &str, directory: &Path, key: String) -> Self {
        let key = key.replace('\n', " ");
        Self {
            path: directory.join(format!("{kind}-{:016x}", hash(&key))),
            key,
        }
    }

    /// Where the same QEMU's answer to `question` is kept.
    pub fn answer(&self, question: &str) -> Self {
        let key = format!("{} {}", self.key, question.replace('\n', " "));
        Self {
            path: self
                .path
                .with_file_name(format!("types-{:016x}", hash(&key))),
            key,
        }
    }

    /// The schema, if it is there and undamaged.
    pub fn load(&self) -> Option<Schema> {
        Schema::read(&self.load_json()?).ok()
    }

    /// What was stored, if it is there and undamaged.
    pub fn load_json(&self) -> Option<String> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (header, json) = text.split_once('\n')?;
        (header == self.header(json)).then(|| json.to_owned())
    }

    /// Keeps what was returned, whole or not at all.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn store(&self, json: &str) -> io::Result<()> {
        private::create_parent(&self.path)?;
        let unfinished = self.path.with_extension(std::process::id().to_string());
        let result = self.write(&unfinished, json);
        if result.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        result
    }

    fn write(&self, unfinished: &Path, json: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = private::open(options.write(true).create(true).truncate(true), unfinished)?;
        file.write_all(self.header(json).as_bytes())?;
        file.write_all(b"\n")?;
        file.write_all(json.as_bytes())?;
        fs::rename(unfinished, &self.path)?;
        self.forget_old()
    }

    /// The first line of the file: whose answer follows, and its sum.
    fn header(&self, json: &str) -> String {
        format!("{:016x} {}", hash(json), self.key)
    }

    fn forget_old(&self) -> io::Result<()> {
        let directory = self.path.parent().expect("it lies in a directory");
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let kinds = [("types-", ANSWERS), ("schema-", SCHEMAS), ("file-", FILES)];
        let mut kinds = kinds.into_iter();
        let (kind, kept) = kinds
            .find(|(kind, _)| name.starts_with(kind))
            .expect("its name begins with its kind");
        let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(directory)?
            .flatten()
            .filter(|file| file.file_name().to_string_lossy().starts_with(kind))
            .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
            .collect();
        files.sort();
        let old = files.len().saturating_sub(kept);
        files[..old]
            .iter()
            .try_for_each(|(_, path)| fs::remove_file(path))
    }
}

fn directory() -> Option<PathBuf> {
    let caches = etcetera::base_strategy::Xdg::new().ok()?.cache_dir();
    Some(caches.join("qmpsh"))
}

/// What tells a file from every other, and from itself once it has changed.
fn identity(path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    Some(format!(
        "{}:{} {} {}.{:09}",
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec()
    ))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const JSON: &str = r#"[{"meta-type": "enum", "name": "1", "values": ["a"]}]"#;

    #[test]
    fn a_schema_is_loaded_only_with_the_key_it_was_stored_with() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let directory = home.path().join("deep/qmpsh");
        let cache = Cache::new(&directory, "1".to_owned());
        assert!(cache.load().is_none());
        cache.store(JSON).expect("stored");
        assert!(cache.load().is_some());
        assert!(Cache::new(&directory, "2".to_owned()).load().is_none());
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&cache.path), 0o600);
        assert_eq!(mode(&directory), 0o700);
    }

    #[test]
    fn a_damaged_file_is_ignored_and_replaced() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::new(home.path(), "1".to_owned());
        cache.store(JSON).expect("stored");
        let whole = fs::read(&cache.path).expect("there");
        for damaged in [
            &b""[..],
            b"\xff\xff",
            &whole[..whole.len() - 1],
            &whole[1..],
        ] {
            fs::write(&cache.path, damaged).expect("written");
            assert!(cache.load().is_none(), "{damaged:?}");
        }
        // This keeps the length, and the text is still JSON.
        let changed = String::from_utf8(whole)
            .expect("text")
            .replace("[\"a\"]", "[\"b\"]");
        fs::write(&cache.path, changed).expect("written");
        assert!(cache.load().is_none());
        cache.store(JSON).expect("stored");
        assert!(cache.load().is_some());
    }

    #[test]
    fn old_schemas_are_removed() {
        let home = tempfile::tempdir().expect("a temporary directory");
        for key in 0..SCHEMAS + 5 {
            let cache = Cache::new(home.path(), key.to_string());
            cache.store(JSON).expect("stored");
        }
        let count = || fs::read_dir(home.path()).expect("there").count();
        assert_eq!(count(), SCHEMAS);
        // What is kept of one kind takes no room from the other.
        let cache = Cache::new(home.path(), "0".to_owned());
        for type_name in 0..ANSWERS + 5 {
            let answer = cache.answer(&type_name.to_string());
            answer.store("[]").expect("stored");
        }
        assert_eq!(count(), SCHEMAS + ANSWERS);
    }

    #[test]
    fn an_answer_is_kept_under_its_question() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::new(home.path(), "1".to_owned());
        cache.answer("a").store("[1]").expect("stored");
        assert_eq!(cache.answer("a").load_json().as_deref(), Some("[1]"));
        assert_eq!(cache.answer("b").load_json(), None);
        assert_eq!(cache.load_json(), None);
        let other = Cache::new(home.path(), "2".to_owned());
        assert_eq!(other.answer("a").load_json(), None);
    }
}
