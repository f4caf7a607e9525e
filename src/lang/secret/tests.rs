//! Lines, messages and command lines, and what is shown of them.

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
        "send-key keys=[{'ty'cp': 1, 'dat secret=x a': 'alt'}]",
        "x new-password=x",
        "x user_password=x",
        "query-status # password=x",
        ":connect 'exec:sshpass -p x ssh h'",
        ":connect exec:SSHPASS=x",
        "a b='json:{\"c\":\"' #{\"},\"password\":\"x\"}' d",
        "query-status # set_password vnc x",
        "help set_password password=x",
        "? cookie=x \"unclosed",
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
        ":connect exec:ls",
        ":connect 'exec:ssh host socat - /run/vm.sock'",
        "exec:ls /nonexistent sent no QMP greeting: `ls` exited with 2",
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
        (r#"{"a password=x": 1}"#, r#"{"••••": "••••"}"#),
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

#[test]
fn what_is_found_in_a_word_stays_in_it() {
    for word in [
        "password=\"",
        "password='a",
        r#"cd:oob {"exec-ieset_password ': 'stproperty=x-iops-}"#,
    ] {
        let masked = mask_arguments(&[word, "x", word]);
        assert_eq!(masked[1], "x");
        assert_eq!(masked[0], masked[2]);
        assert!(masked[0].contains(MASK), "{masked:?}");
    }
}
