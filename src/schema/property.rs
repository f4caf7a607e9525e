//! Properties that only QOM knows: the schema lists neither a device's nor, before QEMU 6.0, an object's.

use serde::Deserialize;

use super::model::Scalar;

/// A property of a QOM type or object, as `device-list-properties` and `qom-list` tell it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Property {
    pub name: String,
    /// QOM's name of its type, as `uint32`, `OnOffAuto` or `child<virtio-rng-pci>`.
    #[serde(rename = "type")]
    pub of: String,
    pub description: Option<String>,
    pub default_value: Option<serde_json::Value>,
}

impl Property {
    /// Whether it is for users to set: what QOM calls a child or, in old versions, a legacy property is not.
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

    /// The values it can have, if they can be listed: those of a bool, or those that the description of
    /// an enum lists with slashes, alone, at its end, or in brackets at its end.
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

    /// The QAPI type behind QOM's name of it. What has no number or truth in its name is a string.
    pub fn scalar(&self) -> Scalar {
        // Before QEMU 10 a PCI address calls itself an int32. As a number it means 8 times the slot plus
        // the function; slot and function, as people write them, are a string.
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
    fn the_values_of_an_enum_are_read_off_its_description() {
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
    fn qoms_names_of_types_are_read() {
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
