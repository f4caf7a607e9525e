//! Recipes in which a guest plays its part: a Linux with an agent.

use std::path::Path;

use crate::common::run::{run, script};
use crate::common::{Qemu, guest, qmpsh, scratch, text};

#[test]
fn the_guest_runs_commands_lets_go_of_devices_and_gives_memory_back() {
    let directory = scratch();
    let agent = directory.path().join("agent.sock");
    let mut options = guest::with_agent(&agent);
    for device in ["pcie-root-port,id=port0", "virtio-balloon"] {
        options.extend(["-device".to_owned(), device.to_owned()]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let qemu = Qemu::with_args(&options);
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes");
    let file = |name: &str| text(&recipes.join(name)).to_owned();

    let exec = |command: &str| {
        let command = format!("command={command}");
        let recipe = file("guest-exec.qmp");
        let options = ["-q", "-N", "--connect-timeout", "170", "-f", &recipe];
        qmpsh(
            &[&options[..], &["--var", &command, text(&agent)]].concat(),
            "",
        )
    };
    // By now it has booted.
    let outcome = exec("busybox uname -s; echo \"it's\" $((1 + 1))");
    outcome.assert_status(0).assert_stdout("Linux\nit's 2\n");

    let recipe = |name: &str, variables: &[&str]| {
        let recipe = file(name);
        let mut args = vec!["-f", &recipe];
        for variable in variables {
            args.extend(["--var", variable]);
        }
        qemu.qmpsh(&args).assert_status(0).stdout()
    };
    recipe("plug-nic.qmp", &["id=net1", "bus=port0"]);
    recipe("unplug-nic.qmp", &["id=net1"]);
    let devices = qemu.control("qom-list path=/machine/peripheral").stdout();
    assert!(!devices.contains("net1"), "{devices}");

    assert_eq!(recipe("balloon.qmp", &["mib=100"]), "{}\ntrue\n");

    let mut freeze = script(&recipes.join("freeze"), directory.path());
    freeze.args([text(&agent), "sh", "-c", "exit 7"]);
    run(freeze, b"").assert_status(7);
    let hook = exec("busybox cat /run/hook");
    hook.assert_stdout("freeze\nthaw\n");
}
