//! Which names stand for a secret.

use strsim::osa_distance;

/// A key that has one of these in it is a secret's, however it goes on: `new-password`, `cookie64`.
const PARTS: [&str; 7] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "cookie",
    "credential",
    "token",
];

/// Keys of secrets, without their `-` and `_`. The last four are the guest agent's base64, which may be anything.
const WHOLE: [&str; 17] = [
    "secret",
    "secrets",
    "pass",
    "sshpass",
    "pw",
    "pwd",
    "psk",
    "pin",
    "privatekey",
    "secretkey",
    "accesskey",
    "apikey",
    "masterkey",
    "inputdata",
    "outdata",
    "errdata",
    "bufb64",
];

/// What a misspelt key may have been meant to be, and how many letters may be wrong.
const NEAR: [(&str, usize); 5] = [
    ("password", 2),
    ("passphrase", 2),
    ("passwd", 1),
    ("secret", 1),
    ("cookie", 1),
];

/// What a `…-key` is of that is not secret: the left command key is one of a keyboard.
const OPEN_KEYS: [&str; 6] = ["public", "host", "hot", "command", "author", "sort"];

/// What an object for a secret has besides the secret, and what is said around it.
const KNOWN: [&str; 15] = [
    "qomtype", "id", "format", "file", "keyid", "iv", "loaded", "serial", "props", "type",
    "driver", "path", "property", "execute", "execoob",
];

/// A longer key is judged by what it contains alone.
const LONGEST: usize = 64;

/// What a key tells of its value, and of the values beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Its value is a secret.
    pub is_secret: bool,
    /// It is `key`, which is a secret's, or a keyboard's.
    pub is_key: bool,
    /// Its value is one if the object is for a secret: `data`, or nearly.
    pub is_data: bool,
    /// Its value is one if another member names a secret: `value`, or nearly.
    pub is_value: bool,
    /// Its value says what the object is.
    pub is_type: bool,
    /// The same, and `data` beside it is a secret whatever the value.
    pub is_qom_type: bool,
    /// Its value names a property.
    pub is_name: bool,
    /// An object for a secret has no such member.
    pub is_strange: bool,
    /// Its members belong to the object around it.
    pub is_wrapper: bool,
    /// Its value is a line for the human monitor.
    pub is_line: bool,
}

impl Key {
    /// Reads the name of one member.
    pub fn of(name: &str) -> Self {
        let plain = plain(name);
        if plain.len() > LONGEST {
            return Self {
                is_secret: is_secret(name),
                is_strange: true,
                ..Self::default()
            };
        }
        let is_near = |word, wrong| is_near(&plain, word, wrong);
        Self {
            is_secret: is_secret(name),
            is_key: plain == "key",
            is_data: is_near("data", 1),
            is_value: is_near("value", 1),
            is_type: ["type", "driver", "objecttype"].contains(&&*plain),
            is_qom_type: is_near("qomtype", 2),
            is_name: plain == "name" || is_near("property", 2),
            is_strange: !KNOWN.contains(&&*plain),
            is_wrapper: ["props", "arguments"].contains(&&*plain),
            is_line: is_near("commandline", 2),
        }
    }

    /// Reads what may be a key in a text: what can be told from its value alone.
    pub fn in_text(name: &str) -> Self {
        let letters = letters(name);
        if may_be_secret(name)
            || lacks_at_most(letters, "data", 1)
            || lacks_at_most(letters, "value", 1)
        {
            return Self::of(name);
        }
        Self::default()
    }

    /// Reads a dotted key. The last segment that is no index counts, and a secret on the way to it.
    pub fn of_path(path: &str) -> Self {
        let mut key = Self::default();
        let mut is_inside = false;
        for segment in path.split('.') {
            if segment.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            is_inside |= key.is_secret && !key.is_key;
            key = Self::of(segment);
        }
        key.is_secret |= is_inside;
        key
    }
}

/// Whether a value of this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    if !may_be_secret(name) {
        return false;
    }
    let whole = plain(name);
    if whole.len() > LONGEST {
        return PARTS.iter().any(|part| whole.contains(part));
    }
    if whole.ends_with("id") {
        // What names an object for a secret is none: `passwordid`, `keyid`.
        return false;
    }
    let name = name.to_ascii_lowercase();
    let parts = || name.split(['-', '_', ' ']).filter(|part| !part.is_empty());
    let count = parts().count();
    let last = parts().next_back().unwrap_or_default();
    if count > 1 && is_near(last, "secret", 1) {
        // As are `key-secret` and `password-secret`.
        return false;
    }
    if PARTS.iter().any(|part| whole.contains(part)) || WHOLE.contains(&&*whole) {
        return true;
    }
    if last == "key" {
        return !parts().any(|part| OPEN_KEYS.contains(&part));
    }
    let near = |word: &str| NEAR.iter().any(|(name, wrong)| is_near(word, name, *wrong));
    near(&whole) || parts().any(near)
}

/// Whether `name` is the type of an object for a secret: `secret`, its kin `secret_keyring`, or nearly.
pub(super) fn is_secret_type(name: &str) -> bool {
    let name = name.trim_start_matches('-');
    let start = name.split(['-', '_']).next().unwrap_or_default();
    let is_one = |start: &str| start.eq_ignore_ascii_case("secret");
    name.get(..6).is_some_and(is_one)
        || start.len() <= LONGEST && is_near(&plain(start), "secret", 1)
}

/// Whether `name` is `data`, or nearly.
pub(super) fn is_data(name: &str) -> bool {
    is_command(name, "data")
}

/// Whether `name` is a command that takes a secret, at the human monitor as a bare word.
pub(super) fn takes_secret(name: &str) -> bool {
    let name = name.trim_start_matches([':', '-']);
    if name.len() > LONGEST || !lacks_at_most(letters(name), "passwd", 2) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let mut parts = name.split(['-', '_']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.contains(['-', '_'])
        && name.chars().all(is_part)
        && !name.starts_with("expire")
        && parts.any(|part| is_near(part, "password", 2) || is_near(part, "passwd", 1))
}

/// Whether `name` is the command `command`, which is written here without `-` and `_`.
pub(super) fn is_command(name: &str, command: &str) -> bool {
    name.len() <= LONGEST
        && lacks_at_most(letters(name), command, 1)
        && is_near(&plain(name), command, 1)
}

/// In lower case, without what separates its parts.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether at most `wrong` letters of `name` are wrong, missing, too many or in another's place.
fn is_near(name: &str, word: &str, wrong: usize) -> bool {
    if name == word {
        return true;
    }
    // Each letter that is missing is a change. This spares most names the slow look.
    name.len().abs_diff(word.len()) <= wrong
        && lacks_at_most(letters(name), word, wrong)
        && osa_distance(name, word) <= wrong
}

/// Which letters a name has in either case, a bit each.
const fn letters(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let (mut letters, mut at) = (0, 0);
    while at < bytes.len() {
        letters |= 1 << (bytes[at] & 31);
        at += 1;
    }
    letters
}

const fn letters_of<const COUNT: usize>(names: [&str; COUNT]) -> [u32; COUNT] {
    let (mut all, mut at) = ([0; COUNT], 0);
    while at < COUNT {
        all[at] = letters(names[at]);
        at += 1;
    }
    all
}

/// Whether a name has the letters of anything that is known here. Most have not, and a text may have millions.
fn may_be_secret(name: &str) -> bool {
    const WORDS: [u32; 7] = letters_of(PARTS);
    const NAMES: [u32; 17] = letters_of(WHOLE);
    const KEY: u32 = letters("key");
    let letters = letters(name);
    let has = |word: &u32| word & !letters == 0;
    has(&KEY)
        || WORDS.iter().chain(&NAMES).any(has)
        || NEAR
            .iter()
            .any(|(word, wrong)| lacks_at_most(letters, word, *wrong))
}

/// Whether of the letters of `word` at most so many are not among `letters`.
fn lacks_at_most(letters: u32, word: &str, most: usize) -> bool {
    (self::letters(word) & !letters).count_ones() as usize <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_any_case_and_with_a_letter_wrong() {
        for name in [
            "password",
            "PASSWORD",
            "Password",
            "new-password",
            "user_password",
            "pasword",
            "passwrod",
            "paswrod",
            "passwd",
            "pasw",
            "pass",
            "secret",
            "secrt",
            "key",
            "KEY",
            "private-key",
            "apikey",
            "cookie",
            "cookie64",
            "txcookie",
            "input-data",
            "buf-b64",
            "passphrase",
            "auth-token",
        ] {
            assert_eq!(is_secret(name), name != "pasw", "{name}");
        }
    }

    #[test]
    fn names_of_what_is_no_secret_are_left_alone() {
        for name in [
            "",
            "keys",
            "key-secret",
            "password-secret",
            "new-secret",
            "proxy-password-secret",
            "passwordid",
            "keyid",
            "tls-creds",
            "encryption_key_missing",
            "key-offset",
            "keyslot",
            "host-key-check",
            "left-command-key",
            "master-key-iters",
            "pass-discard-request",
            "protocol",
            "sectors",
            "data",
            "value",
            "size",
            "public-key",
            "skipauth",
            "pincounter",
            "host-data",
            "data-file",
            "select",
            "secure",
            "passthrough",
            "passt",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_dotted_key_is_what_it_ends_in_and_a_secret_on_the_way() {
        assert!(Key::of_path("file.x.password").is_secret);
        assert!(Key::of_path("password.0").is_secret);
        assert!(Key::of_path("secret.a.b").is_secret);
        assert!(!Key::of_path("events.0.data.key.type").is_secret);
        assert!(Key::of_path("props.data").is_data);
    }

    #[test]
    fn commands_that_take_a_secret_are_known() {
        for name in [
            "set_password",
            "set_pasword",
            "SET_PASSWORD",
            "guest-set-user-password",
            "block_passwd",
        ] {
            assert!(takes_secret(name), "{name}");
        }
        for name in [
            "expire_password",
            "password",
            "send-key",
            "query-status",
            "help",
        ] {
            assert!(!takes_secret(name), "{name}");
        }
    }
}
