//! Resource names: `enterprises/LC00abcdef/devices/0123456789abcdef` (AIP-122): collections and ids by turns.

/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 1_024;

/// The ids of a name that has this shape, in which `*` stands for an id: `enterprises/*/devices/*`. An id is never
/// empty, and has no `/`, `?`, `#` or `%`; a name is not longer than [`NAME_BYTES_MAX`].
pub fn ids<'a, const N: usize>(name: &'a str, shape: &str) -> Option<[&'a str; N]> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut ids = [""; N];
    let mut free = ids.iter_mut();
    let (mut parts, mut shapes) = (name.split('/'), shape.split('/'));
    loop {
        match (parts.next(), shapes.next()) {
            (None, None) => return free.next().is_none().then_some(ids),
            (Some(id), Some("*")) if is_id(id) => *free.next()? = id,
            (Some(part), Some(shape)) if part == shape && shape != "*" => {}
            _ => return None,
        }
    }
}

/// Whether a name has this shape.
pub fn is_like(name: &str, shape: &str) -> bool {
    let (mut parts, mut shapes) = (name.split('/'), shape.split('/'));
    name.len() <= NAME_BYTES_MAX
        && parts
            .by_ref()
            .zip(shapes.by_ref())
            .all(|(part, shape)| if shape == "*" { is_id(part) } else { part == shape })
        && name.split('/').count() == shape.split('/').count()
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && !text.contains(['?', '#', '%']) && text.chars().all(|c| !c.is_control())
}

/// What a fuzzer drives: a name is what its ids make it.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some([enterprise, device]) = ids(text, "enterprises/*/devices/*") {
        assert_eq!(format!("enterprises/{enterprise}/devices/{device}"), text);
        assert!(is_like(text, "enterprises/*/devices/*"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_has_its_ids() {
        assert_eq!(ids("enterprises/LC1/devices/ab", "enterprises/*/devices/*"), Some(["LC1", "ab"]));
        assert_eq!(ids("projects/p/topics/t", "projects/*/topics/*"), Some(["p", "t"]));
        for (name, shape) in [
            ("enterprises/LC1", "enterprises/*/devices/*"),
            ("enterprises/LC1/devices/", "enterprises/*/devices/*"),
            ("enterprises/LC1/devices/a/b", "enterprises/*/devices/*"),
            ("enterprises/LC1/policies/a", "enterprises/*/devices/*"),
            ("enterprises/a%2Fb/devices/a", "enterprises/*/devices/*"),
            ("enterprises/LC1/devices/a", "enterprises/*/devices/a"),
        ] {
            assert_eq!(ids::<2>(name, shape), None, "{name}");
        }
        assert!(is_like("signupUrls/x", "signupUrls/*"));
        assert!(!is_like("signupUrls/x/y", "signupUrls/*"));
        assert_eq!(ids::<1>(&format!("enterprises/{}", "a".repeat(NAME_BYTES_MAX)), "enterprises/*"), None);
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("google_name", target);
    }

    proptest! {
        #[test]
        fn a_name_is_what_its_ids_make_it(one in "[a-zA-Z0-9._~-]{1,20}", other in "[a-z]{1,9}") {
            let name = format!("enterprises/{one}/devices/{other}");
            prop_assert_eq!(ids(&name, "enterprises/*/devices/*"), Some([one.as_str(), other.as_str()]));
        }

        #[test]
        fn no_text_does_harm(text in "[a-z/%?*]{0,40}") {
            target(text.as_bytes());
        }
    }
}
