//! Finds the monitors in a QEMU's command line (`qemu-options.hx`).

use std::collections::HashMap;

use serde_json::Value;

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

/// A group of options, as a word, JSON or a section of a file gives it: what stands first without a key, and the keys.
#[derive(Default)]
struct Keys {
    first: Option<String>,
    keys: HashMap<String, String>,
}

impl Keys {
    /// Reads `first,key=value,switch`, where a comma in a value is doubled, or an object in JSON.
    fn read(text: &str) -> Self {
        if text.starts_with('{') {
            let members: HashMap<String, Value> = serde_json::from_str(text).unwrap_or_default();
            let strings = members.into_iter().filter_map(|(key, value)| match value {
                Value::String(value) => Some((key, value)),
                _ => None,
            });
            return Self {
                first: None,
                keys: strings.collect(),
            };
        }
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

    /// The value of the key that need not be named where its value stands first.
    fn first_or(&self, key: &str) -> Option<&str> {
        self.first.as_deref().or_else(|| self.get(key))
    }
}

/// What is known while options are read.
#[derive(Default)]
struct Reader {
    options: Options,
    chardevs: HashMap<String, QmpSocket>,
    /// The chardevs of monitors. One may be named before it is defined.
    by_chardev: Vec<String>,
}

impl Options {
    /// Reads the words after the program's name. `config` returns the text of a file that `-readconfig` names.
    pub fn read(words: &[String], config: impl Fn(&str) -> String) -> Self {
        let mut reader = Reader::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some((name, value)) = name.zip(words.as_slice().first()) else {
                continue;
            };
            match name {
                "readconfig" => reader.config(&config(value)),
                "qmp" | "qmp-pretty" => match value.strip_prefix("chardev:") {
                    Some(id) => reader.by_chardev.push(id.to_owned()),
                    None => reader.options.monitors.extend(legacy(value)),
                },
                "name" | "chardev" | "mon" | "monitor" | "object" => {
                    reader.group(name, &Keys::read(value));
                }
                _ => continue,
            }
            words.next();
        }
        let Reader {
            mut options,
            mut chardevs,
            by_chardev,
        } = reader;
        let named = by_chardev.iter().filter_map(|id| chardevs.remove(id));
        options.monitors.extend(named);
        options
    }
}

impl Reader {
    /// Reads a group of options of this name.
    fn group(&mut self, name: &str, keys: &Keys) {
        let owned = |value: Option<&str>| value.map(str::to_owned);
        match name {
            "name" => self.options.name = owned(keys.get("guest").or(keys.first.as_deref())),
            "chardev" if keys.first_or("backend") == Some("socket") => {
                if let Some((id, socket)) = keys.get("id").zip(socket(keys)) {
                    self.chardevs.insert(id.to_owned(), socket);
                }
            }
            "mon" if keys.get("mode") == Some("control") => {
                self.by_chardev.extend(owned(keys.first_or("chardev")));
            }
            "object" if keys.first_or("qom-type") == Some("monitor-qmp") => {
                self.by_chardev.extend(owned(keys.get("chardev")));
            }
            // The storage daemon's monitors are QMP, always.
            "monitor" => self.by_chardev.extend(owned(keys.get("chardev"))),
            _ => {}
        }
    }

    /// Reads a file of options: sections `[chardev "c"]`, each followed by lines `path = "/run/vm.sock"`
    /// (QEMU's `util/qemu-config.c`).
    fn config(&mut self, text: &str) {
        let mut group = "";
        let mut keys = Keys::default();
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                self.group(group, &keys);
                let section = section.strip_suffix(']').unwrap_or(section);
                let (name, id) = section.split_once(' ').unwrap_or((section, ""));
                (group, keys) = (name, Keys::default());
                keys.keys.insert("id".to_owned(), unquoted(id).to_owned());
            } else if let Some((key, value)) = line.split_once('=') {
                let value = unquoted(value).to_owned();
                keys.keys.insert(key.trim_end().to_owned(), value);
            }
        }
        self.group(group, &keys);
    }
}

/// What stands between quotation marks.
fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"')
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
        Options::read(&words, |path| match path {
            "f" => CONFIG.to_owned(),
            _ => String::new(),
        })
    }

    /// A file as `-readconfig` takes it.
    const CONFIG: &str = r#"
# qemu config file

[chardev "c"]
  backend = "socket"
  path = "/run/a, b"
  server = "on"

[chardev "other"]
  backend = "socket"
  path = "/run/c"

[mon "m"]
  chardev = "c"
  mode = "control"

[mon]
  chardev = "other"

[name]
  guest = "in a file"
"#;

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
                "-qmp-pretty chardev:c -chardev backend=socket,path=/x,id=c",
                unix("/x"),
            ),
            (
                "-chardev socket,id=c,path=/x -object monitor-qmp,id=m,chardev=c",
                unix("/x"),
            ),
            (
                r#"-object {"qom-type":"monitor-qmp","id":"m","pretty":true,"chardev":"c"} -chardev socket,id=c,path=/x"#,
                unix("/x"),
            ),
            (
                "-chardev socket,id=c,path=/x -object monitor-hmp,id=m,chardev=c",
                Vec::new(),
            ),
            ("-readconfig f", unix("/run/a, b")),
            (
                "-readconfig f -qmp chardev:other",
                [unix("/run/a, b"), unix("/run/c")].concat(),
            ),
            ("-readconfig missing -qmp unix:/x", unix("/x")),
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
        assert_eq!(read("-readconfig f").name.as_deref(), Some("in a file"));
        assert_eq!(read("-m 1G").name, None);
    }
}
