//! A quick check for possible secrets: most messages have none, and some are large.

/// How many positions are checked at a time.
const BLOCK: usize = 256;

/// A block, and the bytes after it that the checks of its last positions need.
const WINDOW: usize = BLOCK + 2;

/// Every correctly spelt key of a secret contains one of these, and every URL with a password. The last one starts an
/// escape, which may spell anything. All are in lower case, that is, with bit 5 set.
const SIGNS: [[u8; 3]; 13] = [
    *b"pas", *b"cre", *b"key", *b"coo", *b"tok", *b"://", *b"pwd", *b"pw\"", *b"psk", *b"pin",
    *b"dat", *b"b64", *b"|u0",
];

/// Whether `json` may contain a secret with a correctly spelt key.
pub fn may_have_secret(json: &str) -> bool {
    let mut rest = json.as_bytes();
    while let Some(window) = rest.first_chunk::<WINDOW>() {
        if has_sign(window) {
            return true;
        }
        rest = &rest[BLOCK..];
    }
    let mut last = [0; WINDOW];
    last[..rest.len()].copy_from_slice(rest);
    has_sign(&last)
}

/// Has no branches, so that the compiler vectorizes it.
fn has_sign(window: &[u8; WINDOW]) -> bool {
    let mut lower = *window;
    for byte in &mut lower {
        *byte |= 0x20;
    }
    let mut hits = [0; BLOCK];
    for [a, b, c] in SIGNS {
        let places = lower.iter().zip(&lower[1..]).zip(&lower[2..]);
        for (hit, ((first, second), third)) in hits.iter_mut().zip(places) {
            let differs = (first ^ a) | (second ^ b) | (third ^ c);
            *hit |= u8::from(differs == 0);
        }
    }
    hits.iter().fold(0, |any, hit| any | hit) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_seen_wherever_it_stands() {
        for sign in ["PASSWORD", "secret", "\\u0070", "u://", "Key"] {
            for before in 0..600 {
                let text = format!("{}{sign}", " ".repeat(before));
                assert!(may_have_secret(&text), "{before} {sign}");
            }
        }
        assert!(!may_have_secret(&"{\"return\": [1, \"x\"]}".repeat(60)));
        assert!(!may_have_secret(""));
    }
}
