//! The VM's buses, and which of them take devices while the VM runs.

use serde::de::DeserializeOwned;
use serde_json::json;

use super::inspector::Inspector;

/// The types of devices that plug others into PCI buses by ACPI. From QEMU 8 on, buses without a number of ACPI's have them,
/// too, but take no devices (`acpi_pcihp_is_hotpluggable_bus`).
const ACPI: [&str; 3] = ["ICH9-LPC", "PIIX4_PM", "acpi-ged"];

/// The property that has the number.
const ACPI_NUMBER: &str = "acpi-pcihp-bsel";

/// A bus that devices can be plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    pub name: String,
    /// Its QOM type, such as `PCIE`.
    pub of: String,
    /// The id of the device that has it; may be empty.
    device: String,
    /// Whether it takes devices while the VM runs.
    pub hotplug: bool,
    /// Whether it has any devices.
    pub is_empty: bool,
}

impl Inspector {
    /// The VM's buses. None if there is no human monitor, which alone lists them.
    pub async fn buses(&self) -> Vec<Bus> {
        let mut buses = read(&self.hmp("info qtree").await.unwrap_or_default());
        for bus in &mut buses {
            // QOM takes the end of a path for the whole if only one path ends so. A port and its bus have the same name.
            let path = match &*bus.device {
                "" => bus.name.clone(),
                device => format!("{device}/{}", bus.name),
            };
            bus.hotplug = self.takes_devices(&path).await;
        }
        buses
    }

    /// Whether the bus at `path` takes devices while the VM runs.
    async fn takes_devices(&self, path: &str) -> bool {
        let handler: Option<String> = self.property(path, "hotplug-handler").await;
        let Some(handler) = handler.filter(|handler| !handler.is_empty()) else {
            return false;
        };
        let of: Option<String> = self.property(&handler, "type").await;
        if of.is_none_or(|of| !ACPI.contains(&&*of)) {
            return true;
        }
        let number: Option<u32> = self.property(path, ACPI_NUMBER).await;
        number.is_some()
    }

    async fn property<T: DeserializeOwned>(&self, path: &str, name: &str) -> Option<T> {
        self.ask("qom-get", json!({"path": path, "property": name}))
            .await
    }
}

/// The buses in the output of `info qtree`: each is followed by its type, and by the devices on it, further to the right,
/// which may have buses of their own.
fn read(tree: &str) -> Vec<Bus> {
    let mut buses: Vec<Bus> = Vec::new();
    // The buses and the devices around a line, with how far they are indented.
    let mut open: Vec<(usize, Option<usize>, String)> = Vec::new();
    for line in tree.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(name) = text.strip_prefix("bus: ") {
            open.retain(|(at, ..)| *at < indent);
            let device = open.last().map_or(String::new(), |(_, _, id)| id.clone());
            open.push((indent, Some(buses.len()), String::new()));
            buses.push(Bus {
                name: name.to_owned(),
                of: String::new(),
                device,
                hotplug: false,
                is_empty: true,
            });
        } else if let Some(device) = text.strip_prefix("dev: ") {
            open.retain(|(at, ..)| *at < indent);
            if let Some((_, Some(bus), _)) = open.last() {
                buses[*bus].is_empty = false;
            }
            let id = device.split_once(", id \"");
            let id = id.map_or("", |(_, id)| id.trim_end_matches('"'));
            open.push((indent, None, id.to_owned()));
        } else if let Some(of) = text.strip_prefix("type ")
            && let Some(bus) = buses.last_mut().filter(|bus| bus.of.is_empty())
        {
            of.clone_into(&mut bus.of);
        }
    }
    buses.retain(|bus| bus.of != "System");
    buses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_belongs_to_the_device_that_it_is_listed_below() {
        let tree = "bus: main-system-bus\n  type System\n  dev: q35-pcihost, id \"\"\n    mmio x\n    bus: pcie.0\n      \
                    type PCIE\n      dev: pcie-root-port, id \"port0\"\n        bus: port0\n          type PCIE\n      \
                    dev: ICH9-LPC, id \"\"\n        bus: isa.0\n          type ISA\n          dev: i8042, id \"\"\n";
        let buses: Vec<_> = read(tree)
            .into_iter()
            .map(|bus| (bus.name, bus.of, bus.device, bus.is_empty))
            .collect();
        let bus = |name: &str, of: &str, device: &str, is_empty| {
            (name.to_owned(), of.to_owned(), device.to_owned(), is_empty)
        };
        assert_eq!(
            buses,
            [
                bus("pcie.0", "PCIE", "", false),
                bus("port0", "PCIE", "port0", true),
                bus("isa.0", "ISA", "", false),
            ]
        );
    }
}
