//! Finds the monitors in a QEMU's command line (`qemu-options.hx`).

use std::collections::HashMap;

/// The options that `--list` needs.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Options {
    pub name: Option<String>,
    pub monitors: Vec<QmpSocket>,
}

/// A socket that speaks QMP.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum QmpSocket {
    Unix(String),
    Tcp {
        host: String,
        port: u16,
    },
    /// A descriptor that QEMU inherited.
    Inherited(i32),
}

/// An option's value: the first part, if it has no key, and the keys.
struct Keys {
    first: Option<String>,
    keys: HashMap<String, String>,
}

impl Keys {
    /// Parses `first,key=value,switch`. In a value, `,,` stands for a comma.
    fn read(text: &str) -> Self {
        // An argument cannot contain a NUL, so it can stand for the doubled comma.
        let text = text.replace(",,", "\0");
        let mut parts = text
            .split(',')
            .map(|part| part.replace('\0', ","))
            .peekable();
        let first = parts.next_if(|part| !part.contains('=') || part.starts_with(['/', '@']));
        let keys = parts
            .map(|part| match part.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                None => (part, "on".to_owned()),
            })
            .collect();
        Self { first, keys }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }
}

impl Options {
    /// Reads the options from the words after the program's name.
    pub fn read(words: &[String]) -> Self {
        let mut options = Self::default();
        let mut chardevs = HashMap::new();
        // A chardev may be used before it is defined, so they are matched at the end.
        let mut by_chardev = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some((name, value)) = name.zip(words.as_slice().first()) else {
                continue;
            };
            let keys = Keys::read(value);
            match name {
                "name" => options.name = keys.get("guest").map(str::to_owned).or(keys.first),
                "qmp" | "qmp-pretty" => match value.strip_prefix("chardev:") {
                    Some(id) => by_chardev.push(id.to_owned()),
                    None => options.monitors.extend(legacy(value)),
                },
                "chardev" if keys.first.as_deref() == Some("socket") => {
                    if let Some((id, socket)) = keys.get("id").zip(socket(&keys)) {
                        chardevs.insert(id.to_owned(), socket);
                    }
                }
                "mon" if keys.get("mode") == Some("control") => {
                    by_chardev.extend(keys.get("chardev").map(str::to_owned).or(keys.first));
                }
                // The storage daemon's monitors always speak QMP.
                "monitor" => by_chardev.extend(keys.get("chardev").map(str::to_owned)),
                _ => continue,
            }
            words.next();
        }
        let named = by_chardev.iter().filter_map(|id| chardevs.remove(id));
        options.monitors.extend(named);
        options
    }
}

/// The socket of a `-chardev socket`.
fn socket(keys: &Keys) -> Option<QmpSocket> {
    if let Some(path) = keys.get("path") {
        // The kernel shows abstract sockets with an `@`.
        let abstract_mark = if keys.get("abstract") == Some("on") {
            "@"
        } else {
            ""
        };
        return Some(QmpSocket::Unix(format!("{abstract_mark}{path}")));
    }
    if let Some(number) = keys.get("fd") {
        return number.parse().ok().map(QmpSocket::Inherited);
    }
    Some(QmpSocket::Tcp {
        host: keys.get("host").unwrap_or_default().to_owned(),
        port: keys.get("port")?.parse().ok()?,
    })
}

/// The socket of `unix:PATH,…` or `tcp:HOST:PORT,…`, as `-qmp` takes it.
fn legacy(text: &str) -> Option<QmpSocket> {
    let first = Keys::read(text).first?;
    if let Some(path) = first.strip_prefix("unix:") {
        return Some(QmpSocket::Unix(path.to_owned()));
    }
    let (host, port) = first.strip_prefix("tcp:")?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(QmpSocket::Tcp {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Options {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::read(&words)
    }

    #[test]
    fn every_way_to_open_a_monitor_is_recognized() {
        let unix = |path: &str| vec![QmpSocket::Unix(path.into())];
        for (line, monitors) in [
            ("-qmp unix:/run/a,server=on,wait=off", unix("/run/a")),
            ("--qmp-pretty unix:a,,b,server,nowait", unix("a,b")),
            (
                "-chardev socket,id=c,path=/a=b,server=on -mon chardev=c,mode=control",
                unix("/a=b"),
            ),
            (
                "-mon c,mode=control -chardev socket,id=c,path=/x",
                unix("/x"),
            ),
            ("-qmp chardev:c -chardev socket,path=/x,id=c", unix("/x")),
            (
                "--chardev socket,path=/x,id=c --monitor chardev=c",
                unix("/x"),
            ),
            (
                "-chardev socket,id=c,path=x,abstract=on -mon chardev=c,mode=control",
                unix("@x"),
            ),
            (
                "-chardev socket,id=c,fd=27 -mon chardev=c,mode=control",
                vec![QmpSocket::Inherited(27)],
            ),
            (
                "-qmp tcp:[::1]:44,server=on",
                vec![QmpSocket::Tcp {
                    host: "::1".into(),
                    port: 44,
                }],
            ),
            (
                "-chardev socket,id=c,path=/x -mon chardev=c,mode=readline",
                Vec::new(),
            ),
            (
                "-monitor unix:/human,server=on -serial unix:/s -qmp stdio -qmp",
                Vec::new(),
            ),
        ] {
            assert_eq!(read(line).monitors, monitors, "{line}");
        }
    }

    #[test]
    fn a_name_is_read_in_both_spellings() {
        assert_eq!(read("-name a,process=b").name.as_deref(), Some("a"));
        assert_eq!(
            read("-name guest=a,,b,debug-threads=on").name.as_deref(),
            Some("a,b")
        );
        assert_eq!(read("-m 1G").name, None);
    }
}
