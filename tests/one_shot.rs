//! One command, one reply, one exit status.

mod common;

use common::Qemu;

#[test]
fn a_command_prints_the_value_it_returns() {
    let outcome = Qemu::start().qmpsh(&["query-status"]);
    outcome.assert_status(0);
    assert_eq!(outcome.json()[0]["running"], true, "{outcome}");
}
