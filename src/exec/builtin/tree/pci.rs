//! The tree of PCI devices.

use serde::Deserialize;

use super::{ask, heading};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::Tree;

/// A bus, as `query-pci` tells it.
#[derive(Deserialize)]
struct Bus {
    bus: u32,
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    bus: u32,
    slot: u32,
    function: u32,
    class_info: Class,
    id: Id,
    qdev_id: String,
    pci_bridge: Option<Bridge>,
}

#[derive(Deserialize)]
struct Class {
    #[serde(default)]
    desc: String,
    class: u32,
}

#[derive(Deserialize)]
struct Id {
    vendor: u32,
    device: u32,
}

#[derive(Deserialize)]
struct Bridge {
    bus: BridgeBus,
    #[serde(default)]
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct BridgeBus {
    secondary: u32,
}

/// The buses with their devices.
///
/// # Errors
///
/// The server does not answer.
pub(super) async fn trees(context: &Context) -> Result<Vec<Tree>, Failure> {
    let buses: Vec<Bus> = ask(context, "query-pci", None).await?;
    Ok(buses
        .into_iter()
        .map(|Bus { bus, devices }| Tree {
            children: in_order(devices),
            ..heading(format!("bus {bus}"))
        })
        .collect())
}

fn in_order(mut devices: Vec<Device>) -> Vec<Tree> {
    devices.sort_by_key(|device| (device.bus, device.slot, device.function));
    devices.into_iter().map(device).collect()
}

fn device(device: Device) -> Tree {
    let Device {
        bus,
        slot,
        function,
        id,
        qdev_id,
        class_info,
        pci_bridge,
    } = device;
    let kind = match class_info.desc.as_str() {
        "" => format!("class {:04x}", class_info.class),
        desc => desc.to_owned(),
    };
    let (kind, devices) = match pci_bridge {
        // The firmware has not numbered the buses yet.
        Some(bridge) if bridge.bus.secondary == 0 => (kind, bridge.devices),
        Some(bridge) => (
            format!("{kind} to bus {}", bridge.bus.secondary),
            bridge.devices,
        ),
        None => (kind, Vec::new()),
    };
    let numbers = format!("{:04x}:{:04x}", id.vendor, id.device);
    Tree {
        children: in_order(devices),
        ..Tree::new(
            format!("{bus:02x}:{slot:02x}.{function:x}"),
            [qdev_id, kind, numbers],
        )
    }
}
