//! Finds the installed reference, as `man` does, and reads it.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::MultiGzDecoder;

use super::Reference;
use crate::schema::Schema;
use crate::schema::cache::Cache;

/// Where to get it, in words.
pub const PACKAGES: &str = "Debian and Ubuntu have it in qemu-system-common (the guest agent's in \
     qemu-guest-agent), Fedora in qemu-common";

/// The largest reference that is read, uncompressed. QEMU's has a megabyte.
const LARGEST: u64 = 32 << 20;

/// How a page may be compressed, and the program that reads it, if not we.
const FORMATS: [(&str, Option<&str>); 4] = [
    ("", None),
    (".gz", None),
    (".xz", Some("xz")),
    (".zst", Some("zstd")),
];

/// Which of QEMU's references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Of the system emulator's monitor.
    Qmp,
    StorageDaemon,
    GuestAgent,
}

impl Which {
    /// The one that describes a server with this schema.
    pub fn of(schema: &Schema) -> Self {
        match () {
            () if schema.command("guest-info").is_some() => Self::GuestAgent,
            () if schema.command("query-status").is_none() => Self::StorageDaemon,
            () => Self::Qmp,
        }
    }

    /// The names of its page. What the storage daemon knows, the emulator's describes too.
    fn pages(self) -> &'static [&'static str] {
        match self {
            Self::Qmp => &["qemu-qmp-ref.7"],
            Self::StorageDaemon => &["qemu-storage-daemon-qmp-ref.7", "qemu-qmp-ref.7"],
            Self::GuestAgent => &["qemu-ga-ref.7"],
        }
    }
}

impl Reference {
    /// The path of the installed reference: of the one that came with the program `exe`, or else of the first that `man`
    /// finds. `None` if there is none.
    pub fn find(which: Which, exe: Option<&Path>) -> Option<PathBuf> {
        let directories = directories(exe, env::var_os("MANPATH"), env::var_os("PATH"));
        find(which, &directories)
    }

    /// Reads a reference, or what was kept on disk of it the last time. This blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is too large.
    pub fn load(path: &Path) -> io::Result<Self> {
        let cache = Cache::of_file(path, concat!("reference 1 ", env!("CARGO_PKG_VERSION")));
        let kept = cache.as_ref().and_then(Cache::load_json);
        if let Some(kept) = kept.and_then(|json| serde_json::from_str(&json).ok()) {
            return Ok(kept);
        }
        let reference = Self::open(path)?;
        if let (Some(cache), Ok(json)) = (cache, serde_json::to_string(&reference)) {
            // A cache that cannot be written costs time, nothing else.
            let _ = cache.store(&json);
        }
        Ok(reference)
    }

    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is too large.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::read(&source(path)?, &path.to_string_lossy()))
    }
}

/// The directories with manual pages, as man-db derives them from `MANPATH` and `PATH`; those of the program come first.
fn directories(
    exe: Option<&Path>,
    manpath: Option<impl AsRef<OsStr>>,
    path: Option<impl AsRef<OsStr>>,
) -> Vec<PathBuf> {
    let beside = |bin: &Path| {
        let prefix = bin.parent().map(Path::to_owned).unwrap_or_default();
        [prefix.join("share/man"), prefix.join("man")]
    };
    let own: Vec<PathBuf> = exe
        .and_then(Path::parent)
        .into_iter()
        .flat_map(beside)
        .collect();
    let usual = || {
        let path = path.as_ref().map(env::split_paths);
        let bins = path.into_iter().flatten().filter(|bin| bin.is_absolute());
        let mut usual: Vec<PathBuf> = bins.flat_map(|bin| beside(&bin)).collect();
        usual.extend(["/usr/local/share/man".into(), "/usr/share/man".into()]);
        usual
    };
    let listed: Vec<PathBuf> = match &manpath {
        None => usual(),
        // An empty entry stands for the usual directories.
        Some(listed) => env::split_paths(listed)
            .flat_map(|entry| match entry.as_os_str().is_empty() {
                true => usual(),
                false => vec![entry],
            })
            .collect(),
    };
    own.into_iter().chain(listed).collect()
}

fn find(which: Which, directories: &[PathBuf]) -> Option<PathBuf> {
    which.pages().iter().find_map(|page| {
        directories.iter().find_map(|directory| {
            let formats = FORMATS.iter();
            let mut paths =
                formats.map(|(ending, _)| directory.join("man7").join(format!("{page}{ending}")));
            paths.find(|path| path.is_file())
        })
    })
}

/// The text of a manual page.
fn source(path: &Path) -> io::Result<String> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let format = FORMATS
        .iter()
        .find(|(ending, _)| *ending == format!(".{extension}"));
    match format.and_then(|(_, program)| *program) {
        Some(program) => {
            let mut child = Command::new(program)
                .arg("-dc")
                .stdin(File::open(path)?)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let text = child.stdout.take().map_or(Ok(String::new()), whole);
            // If it was not read to its end, it would wait.
            let _ = child.kill();
            child.wait()?;
            text
        }
        None if extension == "gz" => whole(MultiGzDecoder::new(File::open(path)?)),
        None => whole(File::open(path)?),
    }
}

fn whole(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(LARGEST).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The program that a process runs, if we may know.
pub fn program_of(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(exe: Option<&str>, manpath: Option<&str>, path: Option<&str>) -> Vec<String> {
        let directories = directories(exe.map(Path::new), manpath, path);
        let text = |directory: PathBuf| directory.to_string_lossy().into_owned();
        directories.into_iter().map(text).collect()
    }

    #[test]
    fn pages_are_looked_for_beside_the_program_and_where_man_does() {
        assert_eq!(
            listed(Some("/opt/q/bin/qemu"), Some("/m"), Some("/bin")),
            ["/opt/q/share/man", "/opt/q/man", "/m"]
        );
        assert_eq!(
            listed(None, None, Some("/a/bin:relative")),
            [
                "/a/share/man",
                "/a/man",
                "/usr/local/share/man",
                "/usr/share/man"
            ]
        );
        assert_eq!(
            listed(None, Some("/m:"), None),
            ["/m", "/usr/local/share/man", "/usr/share/man"]
        );
    }

    #[test]
    fn a_page_is_read_in_every_format_and_a_huge_one_is_not() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let plain = home.path().join("a.7");
        fs::write(&plain, ".SH é\n").expect("written");
        assert_eq!(source(&plain).expect("read"), ".SH é\n");
        for (program, ending) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
            let status = Command::new(program)
                .args(["-k", "-q"])
                .arg(&plain)
                .status();
            assert!(status.expect("it is installed").success(), "{program}");
            let packed = home.path().join(format!("a.7.{ending}"));
            assert_eq!(source(&packed).expect("read"), ".SH é\n", "{ending}");
            fs::write(&packed, "garbage").expect("written");
            let read = source(&packed).unwrap_or_default();
            assert!(!read.contains("SH"), "{ending}: {read}");
        }
        let zeros = File::create(&plain).expect("created");
        zeros.set_len(LARGEST + 1).expect("sparse");
        assert!(source(&plain).is_err());
    }
}
