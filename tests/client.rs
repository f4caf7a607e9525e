//! A session and its client against a server that sends what the test wants.

use std::sync::mpsc;

use qmpsh::qmp::{Blocking, Error, Filter, Lost, Options, Passing, Pending, Request, State};
use qmpsh::transport::StreamEnd;
use serde_json::{Value, json};

use crate::common::connected::{Connected, within};
use crate::common::fake::{Fake, GREETING, event, success};
use crate::common::{DEADLINE, Qemu, text};

/// The reply's value.
async fn value(pending: Pending) -> Value {
    let reply = within(pending).await.expect("a reply");
    serde_json::from_str(reply.value().expect("a success")).expect("valid JSON")
}

#[tokio::test]
async fn replies_find_their_commands_in_any_order() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let commands = peer.commands(5);
        for at in [3, 0, 4, 2, 1] {
            peer.send(success(&commands[at], commands[at]["execute"].clone()));
        }
        peer.wait_for_end();
    });
    let connected = Connected::to(&fake).await;
    let pending: Vec<_> = ["a", "b", "c", "d", "e"]
        .map(|name| connected.send(name))
        .into();
    for (pending, name) in pending.into_iter().zip(["a", "b", "c", "d", "e"]) {
        assert_eq!(value(pending).await, name);
    }
}

#[tokio::test]
async fn a_late_reply_is_reported_as_late_and_never_given_to_another_command() {
    let fake = Fake::start(|peer| {
        peer.greet();
        // Until the waiter of the first has given up, nothing is answered.
        let commands = peer.commands(3);
        for command in &commands {
            peer.send(success(command, command["execute"].clone()));
        }
        while let Some(command) = peer.command() {
            peer.send(success(&command, command["execute"].clone()));
        }
    });
    let mut connected = Connected::to(&fake).await;
    let mut late = connected.late_replies();
    drop(connected.send("given up"));
    let (second, third) = (connected.send("second"), connected.send("third"));
    assert_eq!(value(second).await, "second");
    assert_eq!(value(third).await, "third");
    let late = late.next().await.expect("the late reply");
    assert_eq!(late.name.as_deref(), Some("given up"));
    assert_eq!(late.outcome.expect("a reply").raw(), "\"given up\"");
    for name in ["fourth", "fifth"] {
        assert_eq!(value(connected.send(name)).await, name);
    }
}

#[tokio::test]
async fn the_unknown_outcome_of_an_abandoned_command_is_reported() {
    let (go, wait) = mpsc::channel();
    let fake = Fake::start(move |peer| {
        peer.greet();
        peer.commands(2);
        let _ = wait.recv();
    });
    let mut connected = Connected::to(&fake).await;
    let mut late = connected.late_replies();
    drop(connected.send("given up"));
    drop(connected.client.send(Request::new("nobody's").quietly()));
    go.send(()).expect("the server waits");
    let told = late.next().await.expect("the outcome");
    assert_eq!(told.name.as_deref(), Some("given up"));
    assert!(
        matches!(told.outcome, Err(Error::OutcomeUnknown(..))),
        "{told:?}"
    );
    drop(connected);
    assert!(late.next().await.is_none());
}

#[tokio::test]
async fn ids_given_by_the_user_do_not_clash_with_ours() {
    let fake = Fake::start(|peer| {
        peer.greet();
        for command in peer.commands(4).iter().rev() {
            peer.send(success(command, command["execute"].clone()));
        }
        peer.wait_for_end();
    });
    let connected = Connected::to(&fake).await;
    let users = |id: Value| {
        connected.client.send(Request {
            text: json!({"execute": format!("id {id}"), "id": id}).to_string(),
            id: Some(id),
            ..Request::default()
        })
    };
    // The second of ours would be the same.
    let two = users(json!(-2)).expect("a free id");
    let [first, second] = ["first", "second"].map(|name| connected.send(name));
    let three = users(json!("3")).expect("a free id");
    assert!(matches!(users(json!(-2)), Err(Error::IdInUse(id)) if id == "-2"));
    assert_eq!(value(two).await, "id -2");
    assert_eq!(value(three).await, "id \"3\"");
    assert_eq!(value(first).await, "first");
    assert_eq!(value(second).await, "second");
}

/// Replies and events in every way QEMU writes them, pretty-printed and not.
fn session(commands: &[Value]) -> String {
    let pretty = |text: &str| {
        let value: Value = serde_json::from_str(text).expect("valid JSON");
        serde_json::to_string_pretty(&value).expect("a value")
    };
    [
        event("A", &json!({"s": "}{\\\"[\u{e9}"})),
        success(&commands[1], json!("one \" } \\ two")),
        "\r\n\n".to_owned(),
        pretty(&event("B", &json!({"a": [{}, []]}))).replace('\n', "\r\n"),
        pretty(&success(&commands[0], json!({"x": [1, {"y": "\n"}]}))) + "\n",
        event("C", &json!({})),
    ]
    .concat()
}

#[tokio::test]
async fn messages_are_read_however_their_bytes_are_split() {
    let pieces = [1, 2, 3, 5, 7, 16, 33, 64, 100, 1000];
    let mut sizes = pieces.into_iter();
    let fake = Fake::start(move |peer| {
        let size = sizes.next().unwrap_or(1);
        peer.greet();
        let commands = peer.commands(2);
        for piece in session(&commands).into_bytes().chunks(size) {
            peer.send(piece);
            std::thread::yield_now();
        }
        peer.wait_for_end();
    });
    for size in pieces {
        let connected = Connected::to(&fake).await;
        let mut events = connected
            .session
            .hub()
            .listen(Filter::default(), usize::MAX);
        let (first, second) = (connected.send("first"), connected.send("second"));
        assert_eq!(value(first).await, json!({"x": [1, {"y": "\n"}]}), "{size}");
        assert_eq!(value(second).await, "one \" } \\ two", "{size}");
        for (name, data) in [
            ("A", json!({"s": "}{\\\"[\u{e9}"})),
            ("B", json!({"a": [{}, []]})),
            ("C", json!({})),
        ] {
            let event = within(events.next()).await.expect("an event");
            let found: Value = serde_json::from_str(event.data()).expect("valid JSON");
            assert_eq!((event.name(), found), (name, data), "{size}");
        }
    }
}

#[tokio::test]
async fn a_greeting_may_be_pretty_and_come_with_what_follows_it() {
    let fake = Fake::start(|peer| {
        let greeting: Value = serde_json::from_str(GREETING).expect("valid JSON");
        let greeting = serde_json::to_string_pretty(&greeting).expect("a value");
        peer.send(format!("{greeting}\n{}", event("EARLY", &json!({}))));
        let negotiation = peer.command().expect("a command");
        assert_eq!(negotiation["arguments"]["enable"], json!(["oob"]));
        let early = "{\"return\": {}}".to_owned() + &event("NEXT", &json!({}));
        peer.send(early);
        peer.wait_for_end();
    });
    let connected = Connected::to(&fake).await;
    assert!(connected.client.oob());
    assert_eq!(
        connected.client.greeting().version.qemu.to_string(),
        "7.2.0"
    );
}

#[tokio::test]
async fn out_of_band_execution_is_requested_only_if_offered_and_wanted() {
    let fake = Fake::start(|peer| {
        peer.send(GREETING.replace("\"oob\"", ""));
        let negotiation = peer.command().expect("a command");
        assert_eq!(negotiation.get("arguments"), None);
        peer.send("{\"return\": {}}");
        peer.wait_for_end();
    });
    assert!(!Connected::to(&fake).await.client.oob());
    let fake = Fake::start(|peer| {
        peer.greet();
        peer.wait_for_end();
    });
    let options = Options {
        no_oob: true,
        ..Options::default()
    };
    assert!(!Connected::with(&fake, options).await.client.oob());
}

#[tokio::test]
async fn an_event_during_negotiation_is_kept() {
    let fake = Fake::start(|peer| {
        peer.send(GREETING);
        peer.line();
        peer.send(event("EARLY", &json!({})) + "{\"return\": {}}\r\n");
        peer.wait_for_end();
    });
    let history = Connected::to(&fake).await.session.hub().history();
    let names: Vec<_> = history.iter().map(|event| event.name()).collect();
    assert_eq!(names, ["EARLY"]);
}

#[tokio::test]
async fn each_listener_gets_the_events_of_its_names_in_order() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let command = peer.command().expect("a command");
        for n in 0..300 {
            let name = ["A", "B", "C"][n % 3];
            peer.send(event(name, &json!({"n": n})));
        }
        peer.send(success(&command, json!({})));
        peer.wait_for_end();
    });
    let connected = Connected::to(&fake).await;
    let listen = |names: &[&str], capacity| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let filter = Filter {
            names,
            matches: None,
        };
        connected.session.hub().listen(filter, capacity)
    };
    let mut all = listen(&[], usize::MAX);
    let mut some = listen(&["A", "C"], usize::MAX);
    let mut few = listen(&["B"], 10);
    value(connected.send("go")).await;
    // The reply came after the events, so they are all there.
    let count = |listener: &mut qmpsh::qmp::Listener| {
        let mut numbers = Vec::new();
        while let Some(event) = listener.try_next() {
            let data: Value = serde_json::from_str(event.data()).expect("valid JSON");
            numbers.push(data["n"].as_u64().expect("a number"));
        }
        numbers
    };
    assert_eq!(count(&mut all), (0..300).collect::<Vec<_>>());
    let expected: Vec<u64> = (0..300).filter(|n| n % 3 != 1).collect();
    assert_eq!(count(&mut some), expected);
    assert_eq!(
        count(&mut few),
        (90..100).map(|n| n * 3 + 1).collect::<Vec<_>>()
    );
    assert_eq!(few.missed(), 90);
    assert_eq!(connected.session.hub().history().len(), 300);
}

#[tokio::test]
async fn an_orderly_close_is_reported_as_such_and_listeners_end_with_the_session() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let command = peer.command().expect("a command");
        peer.send(success(&command, json!({})) + &event("SHUTDOWN", &json!({})));
    });
    let connected = Connected::to(&fake).await;
    let mut events = connected
        .session
        .hub()
        .listen(Filter::default(), usize::MAX);
    value(connected.send("quit")).await;
    assert!(matches!(
        within(connected.client.ended()).await,
        Lost::Stream(StreamEnd::Closed)
    ));
    let event = within(events.next())
        .await
        .expect("what came before the end");
    assert_eq!(event.name(), "SHUTDOWN");
    let refused = connected.client.send(Request::new("late"));
    assert!(matches!(
        refused,
        Err(Error::NotConnected(Lost::Stream(StreamEnd::Closed)))
    ));
    match within(connected.session.settled()).await {
        State::Idle(Some(ending)) => assert!(
            matches!(ending.lost, Lost::Stream(StreamEnd::Closed)),
            "{ending}"
        ),
        _ => panic!("it knows that the connection has ended, and seeks no other"),
    }
    // They would hear of another connection, but with the session there can be none.
    drop(connected);
    assert!(within(events.next()).await.is_none());
}

#[tokio::test]
async fn the_end_of_the_connection_leaves_every_pending_outcome_unknown() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let commands = peer.commands(3);
        peer.send(success(&commands[1], json!({})));
        peer.send("{1");
    });
    let connected = Connected::to(&fake).await;
    let [first, second, third] = ["a", "b", "c"].map(|name| connected.send(name));
    assert_eq!(value(second).await, json!({}));
    for (pending, expected) in [(first, "a"), (third, "c")] {
        match within(pending).await {
            Err(Error::OutcomeUnknown(Lost::Cut(quote), name)) => {
                assert_eq!((quote.as_str(), name.as_str()), ("{1", expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn dropping_the_session_closes_the_socket_and_ends_what_is_pending() {
    let (sender, closed) = mpsc::channel();
    let fake = Fake::start(move |peer| {
        peer.greet();
        peer.command();
        peer.wait_for_end();
        let _ = sender.send(());
    });
    let connected = Connected::to(&fake).await;
    let pending = connected.send("stop");
    let mut events = connected.session.hub().listen(Filter::default(), 1);
    let ended = connected.client.ended();
    drop(connected);
    assert!(matches!(
        within(pending).await,
        Err(Error::OutcomeUnknown(Lost::Disconnected, name)) if name == "stop"
    ));
    assert!(within(events.next()).await.is_none());
    assert!(matches!(within(ended).await, Lost::Disconnected));
    let wait = tokio::task::spawn_blocking(move || closed.recv_timeout(DEADLINE));
    within(wait)
        .await
        .expect("no panic")
        .expect("the server saw the end");
}

#[tokio::test]
async fn the_tap_sees_every_message_as_it_passes() {
    let fake = Fake::answering(|command| success(command, json!(null)));
    let (sender, seen) = mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let options = Options {
        tap: Some(std::sync::Arc::new(move |passing: &Passing<'_>| {
            let (direction, message) = (passing.direction, passing.text);
            let sender = sender.lock().expect("no holder of this lock panics");
            let _ = sender.send((direction, message.len()));
        })),
        ..Options::default()
    };
    let connected = Connected::with(&fake, options).await;
    value(connected.send("a")).await;
    use qmpsh::qmp::Direction::{Receive, Send};
    let directions: Vec<_> = seen.try_iter().map(|(direction, _)| direction).collect();
    assert_eq!(directions, [Receive, Send, Receive, Send, Receive]);
    let stats = connected.client.stats();
    assert_eq!((stats.sent, stats.received), (1, 1));
}

#[test]
fn a_program_without_async_asks_and_gets_events() {
    let qemu = Qemu::start();
    let address = text(&qemu.socket).parse().expect("an address");
    let mut vm = Blocking::connect(&address).expect("a connection");
    let reply = vm.ask(Request::new("query-status")).expect("a reply");
    assert!(reply.value().expect("a success").contains("running"));
    let arguments = json!({"id": "nothing"});
    let reply = vm.ask(Request::with("device_del", &arguments));
    let reply = reply.expect("a reply");
    assert_eq!(
        reply.value().expect_err("a failure").class,
        "DeviceNotFound"
    );
    for name in ["stop", "cont", "quit"] {
        vm.ask(Request::new(name)).expect("a reply");
    }
    let mut names = Vec::new();
    let end = loop {
        match vm.next_event(DEADLINE) {
            Ok(event) => names.push(event.expect("an event in time").name().to_owned()),
            Err(error) => break error,
        }
    };
    assert_eq!(names, ["STOP", "RESUME", "SHUTDOWN"]);
    assert!(matches!(end, Error::NotConnected(_)));
    assert!(vm.ask(Request::new("query-status")).is_err());
}
