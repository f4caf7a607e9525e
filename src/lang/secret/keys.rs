//! Which names stand for a secret.

use strsim::osa_distance;

/// A key that contains one of these names a secret: `new-password`, `cookie64`.
const PARTS: [&str; 7] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "cookie",
    "credential",
    "token",
];

/// Keys that name a secret, without `-` and `_`. The last four hold the guest agent's base64, which may be anything.
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

/// Words that a misspelt key may have been meant to be, and how many letters may be wrong.
const NEAR: [(&str, usize); 5] = [
    ("password", 2),
    ("passphrase", 2),
    ("passwd", 1),
    ("secret", 1),
    ("cookie", 1),
];

/// The beginnings of keys that end in `key` but are no secrets: the left command key is a key of a keyboard.
const OPEN_KEYS: [&str; 6] = ["public", "host", "hot", "command", "author", "sort"];

/// The other members of a secret object, and those around it in a message.
const KNOWN: [&str; 15] = [
    "qomtype", "id", "format", "file", "keyid", "iv", "loaded", "serial", "props", "type",
    "driver", "path", "property", "execute", "execoob",
];

/// A longer key is only searched for [`PARTS`].
const LONGEST: usize = 64;

/// What a key tells about its value and about the other values of its object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Its value is a secret.
    pub is_secret: bool,
    /// It is `key`: a secret, or a key of a keyboard.
    pub is_key: bool,
    /// It is `data`, or nearly: a secret in a secret object.
    pub is_data: bool,
    /// It is `value`, or nearly: a secret if another member names a secret property.
    pub is_value: bool,
    /// Its value is the object's type.
    pub is_type: bool,
    /// It is `qom-type`, or nearly. Then `data` is a secret, whatever the type.
    pub is_qom_type: bool,
    /// Its value is the name of a property.
    pub is_name: bool,
    /// A secret object has no such member, so it may be `data` misspelt.
    pub is_strange: bool,
    /// The members of its value count as members of the object around it.
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

    /// Reads a possible key in a text. Only what does not depend on other members is told.
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

    /// Reads a dotted key: its last segment that is not an index, and any secret segment before it.
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

/// Whether a member of this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    if !may_be_secret(name) {
        return false;
    }
    let whole = plain(name);
    if whole.len() > LONGEST {
        return PARTS.iter().any(|part| whole.contains(part));
    }
    if whole.ends_with("id") {
        // The id of a secret object is not secret: `passwordid`, `keyid`.
        return false;
    }
    let name = name.to_ascii_lowercase();
    let parts = || name.split(['-', '_', ' ']).filter(|part| !part.is_empty());
    let count = parts().count();
    let last = parts().next_back().unwrap_or_default();
    if count > 1 && is_near(last, "secret", 1) {
        // `key-secret` and `password-secret` are such ids too.
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

/// Whether `name` is the type of a secret object: `secret`, `secret_keyring`, or nearly.
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

/// Whether `name` is a command that takes a secret as a bare word, as in the human monitor.
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

/// Whether `name` is `command`, which is given without `-` and `_`.
pub(super) fn is_command(name: &str, command: &str) -> bool {
    name.len() <= LONGEST
        && lacks_at_most(letters(name), command, 1)
        && is_near(&plain(name), command, 1)
}

/// Converts to lower case and removes separators.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether `name` is `word` with at most `wrong` letters changed, missing, added or swapped.
fn is_near(name: &str, word: &str, wrong: usize) -> bool {
    if name == word {
        return true;
    }
    // Each missing letter is a change. This quick check rejects most names.
    name.len().abs_diff(word.len()) <= wrong
        && lacks_at_most(letters(name), word, wrong)
        && osa_distance(name, word) <= wrong
}

/// The set of letters in a name, a bit each, regardless of case.
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

/// Whether a name has the letters of any word known here. A text may have millions of names, and most do not.
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

/// Whether `letters` lacks at most `most` letters of `word`.
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
