use std::cmp::Ordering;

/// Orders names as people do: `device[2]` before `device[10]`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let split = |name: &str| {
        let stem = name
            .trim_end_matches(']')
            .trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[stem.len()..].trim_end_matches(']').parse::<u64>();
        (stem.to_owned(), number.ok())
    };
    split(a).cmp(&split(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = [
            "device[10]",
            "ide.2",
            "device[2]",
            "ide.10",
            "device",
            "usb",
        ];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            [
                "device",
                "device[2]",
                "device[10]",
                "ide.2",
                "ide.10",
                "usb"
            ]
        );
    }
}
