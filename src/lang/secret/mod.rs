//! Which arguments are secrets, so that they stay out of history, logs and errors.
//!
//! A secret is known by the key that it has ([`keys`]), by what else its object has ([`members`]), by its looks in a
//! text ([`text`]: option strings, URLs, lines for the human monitor), or by where it stands on a line ([`line`]).
//! When in doubt, it is one. All of this takes time in proportion to the text, and no stack for what is nested.

mod json;
mod keys;
mod line;
mod members;
mod quick;
mod text;

use std::borrow::Cow;
use std::ops::Range;

pub use quick::may_have_secret;

/// What a secret is shown as.
const MASK: &str = "••••";

/// The same as JSON.
pub const MASKED: &str = "\"••••\"";

/// The place of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    range: Range<usize>,
    /// It is a whole value of JSON, with its quotes.
    is_value: bool,
}

impl Found {
    fn whole(range: Range<usize>) -> Self {
        Self {
            range,
            is_value: true,
        }
    }

    /// A part of a text that starts at `start`.
    fn part(range: Range<usize>, start: usize) -> Self {
        let found = Self {
            range,
            is_value: false,
        };
        found.shifted(start)
    }

    fn shifted(mut self, by: usize) -> Self {
        self.range = self.range.start + by..self.range.end + by;
        self
    }
}

/// Whether `line` carries a secret. A line that does not parse is judged by the words in it.
pub fn line_has_secret(line: &str) -> bool {
    !line::find(line, 0).is_empty()
}

/// `line` with its secrets overwritten, byte for byte, so that places in it stay where they are. It need not parse.
pub fn conceal(line: &str) -> Cow<'_, str> {
    overwrite(line, line::find(line, 0))
}

/// The same for the text that `words` are of.
pub(super) fn conceal_words<'a>(source: &'a str, spans: &[Range<usize>]) -> Cow<'a, str> {
    let mut found = line::find(source, 0);
    found.extend(line::find_in_words(source, spans, false, true, 0));
    overwrite(source, found)
}

/// The words of a process, with their secrets masked.
pub fn mask_arguments<S: AsRef<str>>(words: &[S]) -> Vec<String> {
    let mut source = String::new();
    let mut spans = Vec::new();
    for word in words {
        let start = source.len();
        source.push_str(word.as_ref());
        spans.push(start..source.len());
        source.push(' ');
    }
    let mut found = in_order(line::find_in_words(&source, &spans, false, false, 0))
        .into_iter()
        .peekable();
    let mut masked = Vec::with_capacity(spans.len());
    for span in spans {
        let mut inside = Vec::new();
        while let Some(next) = found.next_if(|next| next.range.start < span.end) {
            inside.push(next.range.start - span.start..next.range.end - span.start);
        }
        masked.push(replace(&source[span], &inside, |_| MASK.into()));
    }
    masked
}

/// A message with the values masked that are secrets; nothing if it has none. What is JSON stays JSON.
pub fn mask_secrets(json: &str) -> Option<String> {
    let found = in_order(json::find(json, 0));
    if found.is_empty() {
        return None;
    }
    let mut masked = String::with_capacity(json.len());
    let mut end = 0;
    for Found { range, is_value } in found {
        masked.push_str(&json[end..range.start]);
        masked.push_str(if is_value { MASKED } else { MASK });
        end = range.end;
    }
    masked.push_str(&json[end..]);
    Some(masked)
}

/// Whether the property of this name is a secret, so that the reply to a question for it is one.
pub fn names_secret(name: &str) -> bool {
    keys::is_secret(name) || keys::is_data(name)
}

/// A sentence of somebody else's, with the secrets masked that it quotes.
pub fn mask_text(text: &str) -> Cow<'_, str> {
    let found = text::find(text, 0).into_iter();
    let found = in_order(found.map(|range| Found::part(range, 0)).collect());
    if found.is_empty() {
        return text.into();
    }
    let ranges: Vec<_> = found.into_iter().map(|found| found.range).collect();
    replace(text, &ranges, |_| MASK.into()).into()
}

fn overwrite(line: &str, found: Vec<Found>) -> Cow<'_, str> {
    if found.is_empty() {
        return line.into();
    }
    let ranges: Vec<_> = in_order(found)
        .into_iter()
        .map(|found| found.range)
        .collect();
    replace(line, &ranges, |secret| "*".repeat(secret.len()).into()).into()
}

fn replace(text: &str, ranges: &[Range<usize>], by: impl Fn(&str) -> Cow<'_, str>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    for range in ranges {
        replaced.push_str(&text[end..range.start]);
        replaced.push_str(&by(&text[range.clone()]));
        end = range.end;
    }
    replaced.push_str(&text[end..]);
    replaced
}

/// The places in order, those that lie in another left out.
fn in_order(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    let mut end = 0;
    found.retain_mut(|found| {
        // Two that overlap are a text's, not JSON's: the second goes on from the first.
        let is_new = found.range.end > end;
        found.range.start = found.range.start.max(end);
        end = end.max(found.range.end);
        is_new
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_secret_are_known() {
        for line in [
            "set_password protocol=vnc password=x",
            "set_password protocol=vnc PASSWORD=x",
            "set_password protocol=vnc pasword=x",
            "set_password vnc x",
            "set_pasword vnc x",
            ":every 5s set_password vnc x",
            "object-add qom-type=secret id=s data=x",
            "object-add data=x qom-type=secret id=s",
            "object-add qom-type=secret id=s dat=x",
            "object-add qom-type=secrt id=s data=x",
            "object-add qomtype=secret id=s data=x",
            "object-add qom-type=secret id=s content=x",
            "object-add secret id=s data=x",
            "object-add qom-type=secret id=s props.data=x",
            "object-add qom-type=secret id=s props:={'data':'x'}",
            "object-add qom-type=secret id=s data:=['x']",
            "{'execute': 'object-add', 'arguments': {'data': 'x', 'qom-type': 'secret'}}",
            "{'execute': 'object-add', 'arguments': {'qom-type': 'secret', 'props': {'data': 'x'}}}",
            r#"{"execute": "set_password", "arguments": {"password": "x"}}"#,
            r#"{"execute": "set_password", "arguments": {"password": ["x"]}}"#,
            r#"{"execute": "set_password", "arguments": {"p\u0061ssword": "x"}}"#,
            r#"{"execute": "set_password", "arguments": {"p\u0061ssword": "x"#,
            "blockdev-add driver=luks file.x.password=y",
            "blockdev-add driver=luks password.0=y",
            "blockdev-add driver=https url=https://u:x@h/a",
            "blockdev-add driver=iscsi url=iscsi://u%x@h/a",
            "blockdev-add driver=https url=u cookie=x",
            "blockdev-add driver=rbd key=x",
            "blockdev-add filename='json:{\"driver\":\"https\",\"password\":\"x\"}'",
            "blockdev-add filename=json:{'driver':'https','password':'x'}",
            "blockdev-add filename=rbd:pool/image:id=admin:key=x",
            "transaction( a b={'password':'x'} )",
            "a b={password:x}",
            "set_password password='unclosed",
            "a password= x",
            "a password = x",
            "a password x",
            "human-monitor-command command-line='object_add secret,id=s,data=x'",
            "human-monitor-command command-line='object_add data=x,id=s,qom-type=secret'",
            "human-monitor-command command-line='set_password vnc x'",
            "human-monitor-command command-line='change vnc password x'",
            "human-monitor-command command-line='qom-set /objects/s data x'",
            "human-monitor-command command-lin='set_password vnc x'",
            ":hmp set_password vnc x",
            "chardev-add -object secret,id=s,data=x",
            "qom-set path=/objects/s property=password value=x",
            "qom-set path=/objects/q property=data value=x",
            "qom-set path=/objects/q property=dat valu=x",
            "qom-set path=/objects/q propery=password value={'a':1}",
            "guest-exec path=/bin/sh input-data=eA==",
            "guest-set-user-password username=u password=eA== crypted=false",
            "x new-password=x",
            "x user_password=x",
            "query-status # password=x",
            "query-status # set_password vnc x",
        ] {
            assert!(line_has_secret(line), "{line}");
        }
    }

    #[test]
    fn lines_without_a_secret_are_left_alone() {
        for line in [
            "",
            "query-status",
            "query-vnc",
            "blockdev-add driver=luks key-secret=s0",
            "blockdev-add driver=https url=https://h:80/a password-secret=s cookie-secret=c",
            "blockdev-add filename='json:{\"driver\":\"luks\",\"key-secret\":\"s\"}'",
            "send-key keys=[]",
            "send-key keys=[{'type':'qcode','data':'a'}]",
            "send-key keys=[{'type' oops",
            "send-key keys=[1 2]",
            "send-key keys.0.type=qcode keys.0.data=a",
            "input-send-event events=[{'type':'key','data':{'down':true,'key':{'type':'qcode','data':'a'}}}]",
            "input-send-event events.0.data.key.type=qcode events.0.data.key.data=a",
            "object-add qom-type=rng-random id=r",
            "object-add qom-type=tls-creds-x509 id=t dir=/x passwordid=s",
            ":help set_password password",
            "help set_password",
            ":has set_password password",
            "qom-get path=/objects/s property=password",
            "qom-list path=/objects",
            "qom-set path=/machine property=size value=1",
            "expire_password protocol=vnc time=now",
            "chardev-add id=c backend={'type':'socket','data':{'addr':{'type':'unix','data':{'path':'/p'}}}}",
            "migrate uri=tcp:h:4444",
            "add_client protocol=vnc fdname=f",
            "getfd fdname=f <a.img",
            "human-monitor-command command-line='info block'",
            "human-monitor-command command-line='sendkey a'",
            ":on SHUTDOWN reason=guest-reset do query-status",
            "transaction( blockdev-snapshot node=a overlay=b )",
            ":wait STOP --timeout 5",
        ] {
            assert_eq!(conceal(line), line);
        }
    }

    #[test]
    fn a_line_is_shown_without_its_secrets_and_nothing_moves() {
        for (line, shown) in [
            ("a password=hunter2 b=1", "a password=******* b=1"),
            ("a password=hunter2 oops b=1", "a password=******* **** b=1"),
            ("a password='x y' oops", "a password=***** ****"),
            ("a password=\"x y", "a password=****"),
            ("a b={'key': 'x'} c", "a b={'key': ***} c"),
            (
                "a b={'key': ['x', 1], 'd': 2} c",
                "a b={'key': ********, 'd': 2} c",
            ),
            ("a key:=[1 2", "a key:=****"),
            (
                "a b={'c': 'd', 'key': 'x] e=f",
                "a b={'c': 'd', 'key': *******",
            ),
            (
                "a qom-type=secret data=x c=y",
                "a qom-type=secret data=* c=*",
            ),
            ("a key-secret=s0 c=x y", "a key-secret=s0 c=x y"),
            ("set_password vnc x &", "set_password *** * &"),
            ("a url=https://u:p@s@h/x", "a url=https://u:***@h/x"),
            ("a o=secret,id=s,data=x", "a o=secret,id=s,data=*"),
            (
                "a b='json:{\"password\":\"x\",\"c\":1}'",
                "a b='json:{\"password\":***,\"c\":1}'",
            ),
            ("{\"password\": \"é\"}", "{\"password\": ****}"),
        ] {
            assert_eq!(conceal(line), shown);
            assert_eq!(line.len(), shown.len(), "{line}");
        }
    }

    #[test]
    fn the_words_of_a_process_are_shown_without_their_secrets() {
        for (words, shown) in [
            (
                &["qemu", "-object", "secret,id=s,data=x", "-m", "1G"][..],
                "qemu|-object|secret,id=s,data=••••|-m|1G",
            ),
            (
                &["qemu", "-vnc", ":0,password=x", "-name", "a"],
                "qemu|-vnc|:0,password=••••|-name|a",
            ),
            (
                &["qemu", "-vnc", ":0,password-secret=s"],
                "qemu|-vnc|:0,password-secret=s",
            ),
            (
                &["qemu", "-drive", "file=https://u:x@h/i,if=none"],
                "qemu|-drive|file=https://u:••••@h/i,if=none",
            ),
            (
                &["qmpsh", "v", "set_password", "protocol=vnc", "password=a b"],
                "qmpsh|v|set_password|protocol=vnc|password=••••",
            ),
            (
                &["qmpsh", "v", "-e", "set_password vnc x"],
                "qmpsh|v|-e|set_password •••• ••••",
            ),
            (
                &[
                    "qmpsh",
                    "v",
                    "human-monitor-command",
                    "command-line=set_password vnc x",
                ],
                "qmpsh|v|human-monitor-command|command-line=set_password •••• ••••",
            ),
            (
                &["sh", "-c", "qmpsh v 'set_password vnc x'"],
                "sh|-c|qmpsh v 'set_password •••• ••••'",
            ),
            (&["sshpass", "-p", "x", "ssh", "h"], "sshpass|-p|••••|ssh|h"),
            (&["sshpass", "-px", "ssh", "h"], "sshpass|-p••••|ssh|h"),
            (&["w", "--password", "x", "y"], "w|--password|••••|y"),
            (&["w", "--password=x", "y"], "w|--password=••••|y"),
            (
                &[
                    "qemu",
                    "-object",
                    r#"{"qom-type":"secret","id":"s","data":"x"}"#,
                ],
                r#"qemu|-object|{"qom-type":"secret","id":"s","data":••••}"#,
            ),
        ] {
            assert_eq!(mask_arguments(words).join("|"), shown);
        }
    }

    #[test]
    fn a_message_keeps_its_shape_and_the_rest_of_it() {
        for (message, masked) in [
            (
                r#"{"execute": "set_password", "arguments": {"protocol": "vnc", "password": "x"}, "id": 1}"#,
                r#"{"execute": "set_password", "arguments": {"protocol": "vnc", "password": "••••"}, "id": 1}"#,
            ),
            (
                r#"{"data": 5, "qom-type": "secret"}"#,
                r#"{"data": "••••", "qom-type": "secret"}"#,
            ),
            (
                r#"{"password": null, "key": true, "cookie": [1, {"a": "b"}]}"#,
                r#"{"password": null, "key": true, "cookie": "••••"}"#,
            ),
            (
                r#"{"return": [{"name": "data", "type": "string", "value": "x"}]}"#,
                r#"{"return": [{"name": "data", "type": "string", "value": "••••"}]}"#,
            ),
            (
                r#"{"command-line": "set_password vnc x"}"#,
                r#"{"command-line": "set_password •••• ••••"}"#,
            ),
            (
                r#"{"a": "object_add secret,id=s,data=x"}"#,
                r#"{"a": "object_add secret,id=s,data=••••"}"#,
            ),
            (
                r#"{"a": "object_add secret,id=s,data=\"x\""}"#,
                r#"{"a": "••••"}"#,
            ),
            (
                r#"{"error": {"desc": "Could not open 'https://u:x@h/i': no"}}"#,
                r#"{"error": {"desc": "Could not open 'https://u:••••@h/i': no"}}"#,
            ),
            (r#"{"a": "json:{\"password\": \"x\"}"}"#, r#"{"a": "••••"}"#),
        ] {
            assert_eq!(mask_secrets(message).as_deref(), Some(masked));
        }
        for message in [
            r#"{"execute": "query-status"}"#,
            r#"{"error": {"class": "CommandNotFound", "desc": "The command set_password has not been found"}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Parameter 'password' is missing"}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Could not load secret: No such file"}}"#,
            r#"{"return": [{"name": "password", "type": "str", "default": null}]}"#,
        ] {
            assert_eq!(mask_secrets(message), None, "{message}");
        }
    }

    #[test]
    fn what_is_deep_or_long_takes_no_stack_and_no_more_than_its_share_of_time() {
        for part in [
            "{\"a\":",
            "[",
            "{'props':",
            "{'props':{'data':1,",
            "password=",
            "data=",
            "data='",
            "secret,data=",
            "a://",
            "a://b:",
            "json:{'",
            "\"",
            "{\"a",
            "a ",
            "password ",
            "# ",
            "\\u0070",
            "a=",
            "=",
            "{ ",
            "value=",
            "'",
            "(",
            "set_password ",
            "x_y:",
        ] {
            // What takes quadratic time takes minutes.
            let many = part.repeat(10_000);
            for text in [
                many.clone(),
                format!("c a={many}"),
                format!("{many}{{\"password\": \"x\"}}"),
            ] {
                let _ = conceal(&text);
                let _ = mask_secrets(&text);
                let _ = mask_text(&text);
            }
        }
    }
}
