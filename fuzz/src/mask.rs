use qmpsh::lang::{
    Words, conceal, line_has_secret, mask_arguments, mask_secrets, mask_text, may_have_secret,
    quote,
};

use super::{beginning, is_json};

const SECRET: &str = "hunter2";

/// Longer texts find nothing more.
const LONGEST: usize = 2000;

const KEYS: [&str; 16] = [
    "password",
    "secret",
    "passphrase",
    "new-password",
    "user_password",
    "PASSWORD",
    "cookie",
    "api-key",
    "token",
    "sasl-passwd",
    "pass",
    "credentials",
    "key",
    "pasword",
    "props.password",
    "a.0.password",
];

/// What is somewhere around a secret: the secret does not survive. The first two characters choose a key and a place
/// for it. The rest stands before and after it, with a NUL between.
pub fn mask(text: &str) {
    let text = beginning(text, LONGEST);
    takes_any(text);
    let mut chars = text.chars();
    let (Some(key), Some(place)) = (chars.next(), chars.next()) else {
        return;
    };
    let key = KEYS[key as usize % KEYS.len()];
    let (before, after) = chars
        .as_str()
        .split_once('\0')
        .unwrap_or((chars.as_str(), ""));
    // A line that asks for help has names, no values.
    if text.contains(SECRET) || text.contains("help") {
        return;
    }
    match place as u32 % 8 {
        0 => in_message(key, &quote(before), &quote(after)),
        1 if is_json(before) && is_json(after) => in_message(key, before, after),
        2 => in_line(&format!("{before} {key}={SECRET} {after}")),
        3 => in_line(&format!("{before} {key}='{SECRET}' {after}")),
        4 => in_line(&format!(
            "{before} a={{'b': 'x', '{key}': '{SECRET}'}} {after}"
        )),
        5 => {
            let masked = mask_arguments(&[before, &format!("{key}={SECRET}"), after]);
            assert!(!masked.concat().contains(SECRET), "{masked:?}");
        }
        6 => {
            let url = format!("https://user:{SECRET}@host/{after}");
            in_line(&format!("c filename={url}"));
            in_message("filename", &quote(before), &quote(&url));
        }
        _ => in_line(&format!("c a={} {key}:={} ", quote(before), quote(SECRET))),
    }
}

/// A secret in JSON, and in JSON that is in a string.
fn in_message(key: &str, before: &str, after: &str) {
    let key = key.rsplit('.').next().unwrap_or(key);
    let secret = quote(SECRET);
    let secret = match key {
        "filename" => after,
        _ => &secret,
    };
    let object = format!(r#"{{"before": {before}, "{key}": {secret}, "after": {after}}}"#);
    let inside = quote(&format!("json:{object}"));
    for json in [
        format!(r#"{{"execute": "c", "arguments": {object}}}"#),
        format!(r#"{{"execute": "c", "arguments": {{"a": [{object}]}}}}"#),
        format!(r#"{{"execute": "c", "arguments": {{"file": {inside}}}}}"#),
    ] {
        let masked = mask_secrets(&json).unwrap_or_else(|| panic!("it has a secret: {json}"));
        assert!(!masked.contains(SECRET), "{json} became {masked}");
        assert!(is_json(&masked), "{json} became {masked}");
        // The quick look overlooks nothing but what is misspelt.
        assert!(key == "pasword" || may_have_secret(&json), "{json}");
        in_line(&json);
    }
}

fn in_line(line: &str) {
    assert!(line_has_secret(line), "{line:?}");
    let shown = conceal(line);
    assert!(!shown.contains(SECRET), "{line:?} became {shown:?}");
}

/// Any text can be looked at, and places in a line stay where they are.
fn takes_any(text: &str) {
    let shown = conceal(text);
    assert_eq!(shown.len(), text.len());
    if !text.contains('*') {
        assert_eq!(line_has_secret(text), *shown != *text);
    }
    let words = Words::from_args(&[text, text]);
    assert_eq!(words.concealed().len(), words.source().len());
    assert_eq!(mask_arguments(&[text, "x", text]).len(), 3);
    let _ = mask_text(text);
    if let Some(masked) = mask_secrets(text)
        && is_json(text)
    {
        assert!(is_json(&masked), "{text} became {masked}");
    }
}
