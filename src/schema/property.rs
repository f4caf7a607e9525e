//! Properties that only QOM knows. The schema lists no properties of devices and, before QEMU 6.0,
//! none of objects.

use serde::Deserialize;

use super::model::Scalar;

/// A property of a QOM type or object, as listed by `device-list-properties` and `qom-list`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Property {
    /// Its name.
    pub name: String,
    /// QOM's name for its type, such as `uint32`, `OnOffAuto` or `child<virtio-rng-pci>`.
    #[serde(rename = "type")]
    pub of: String,
    /// What it is for, if QEMU says so.
    pub description: Option<String>,
    /// Its default, if QEMU says so.
    pub default_value: Option<serde_json::Value>,
}

impl Property {
    /// Whether users may set it. They cannot set what QOM calls a child or, in old versions, a
    /// legacy property.
    pub fn is_for_users(&self) -> bool {
        !self.of.starts_with("child<") && !self.name.starts_with("legacy-")
    }

    /// Its type, default and description, in a few words.
    pub fn note(&self) -> String {
        let mut note = self.of.clone();
        if let Some(default) = &self.default_value {
            note.push_str(&format!(", default {default}"));
        }
        match &self.description {
            Some(description) if *description != "on/off" => note + ": " + description,
            _ => note,
        }
    }

    /// Its possible values, if they are known: those of a bool, or those of an enum, which QEMU
    /// lists in the description, separated by slashes. The list is the whole description, or is at
    /// its end, with or without brackets.
    pub fn values(&self) -> Vec<String> {
        let description = self.description.as_deref().unwrap_or_default();
        let list = match (self.scalar(), &*self.of) {
            (Scalar::Bool, _) => "on/off",
            (Scalar::Str, "str" | "string") => description,
            (Scalar::Str, "OnOffAuto") => "on/off/auto",
            (Scalar::Str, _) => description.rsplit([' ', '(']).next().unwrap_or_default(),
            _ => "",
        };
        let list = list.trim_end_matches(')');
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        if !list.contains('/') || !list.chars().all(is_name) {
            return Vec::new();
        }
        list.split('/').map(str::to_owned).collect()
    }

    /// The QAPI type for QOM's type name. Anything that does not look like a number or a bool is a
    /// string.
    pub fn scalar(&self) -> Scalar {
        // Before QEMU 10, a PCI address is said to be an int32. As a number it would mean 8 times
        // the slot plus the function. People write slot and function, which is a string.
        if self
            .description
            .as_deref()
            .is_some_and(|d| d.starts_with("Slot and "))
        {
            return Scalar::Str;
        }
        let name = self.of.trim_end_matches("_t");
        let is_int = |name: &str| {
            let bits = name.trim_start_matches('u').strip_prefix("int");
            bits.is_some_and(|bits| bits.bytes().all(|b| b.is_ascii_digit()))
        };
        match name {
            "bool" => Scalar::Bool,
            "number" | "double" | "float" => Scalar::Number,
            "size" => Scalar::Int,
            name if is_int(name) => Scalar::Int,
            _ => Scalar::Str,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_values_of_an_enum_are_taken_from_its_description() {
        for (of, description, values) in [
            ("OnOffAuto", None, "on off auto"),
            ("bool", Some("whatever"), "on off"),
            (
                "FdcDriveType",
                Some("FDC drive type, 144/288/120"),
                "144 288 120",
            ),
            (
                "BlockdevOnError",
                Some("Policy (report/ignore/stop)"),
                "report ignore stop",
            ),
            ("str", Some("slirp/tap"), "slirp tap"),
            ("str", Some("this and/or that"), ""),
            ("link<memory-backend>", None, ""),
            ("uint32", Some("1/2"), ""),
        ] {
            let property = json!({"name": "p", "type": of, "description": description});
            let property: Property = serde_json::from_value(property).expect("a property");
            assert_eq!(property.values().join(" "), values, "{of} {description:?}");
        }
    }

    #[test]
    fn qom_type_names_map_to_qapi_types() {
        for (of, scalar) in [
            ("bool", Scalar::Bool),
            ("uint64_t", Scalar::Int),
            ("uint32", Scalar::Int),
            ("uint4", Scalar::Int),
            ("int", Scalar::Int),
            ("size", Scalar::Int),
            ("OnOffAuto", Scalar::Str),
            ("str", Scalar::Str),
            ("string", Scalar::Str),
            ("interface", Scalar::Str),
            ("link<memory-backend>", Scalar::Str),
        ] {
            let property: Property =
                serde_json::from_value(json!({"name": "p", "type": of})).expect("a property");
            assert_eq!(property.scalar(), scalar, "{of}");
        }
    }
}
