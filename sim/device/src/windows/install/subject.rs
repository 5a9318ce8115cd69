//! `SubjectName` as Windows writes a name (`CertStrToName`): `CN=a,OU="b, ""c"""+L=d`.

/// Relative names in the order of the text, each of pairs of a type and a value; `None` if it is no name.
pub(super) fn read(text: &str) -> Option<Vec<Vec<(String, String)>>> {
    let mut names = Vec::new();
    for name in split(text, &[',', ';'])? {
        if name.trim().is_empty() {
            continue;
        }
        names.push(split(name, &['+'])?.into_iter().map(pair).collect::<Option<Vec<_>>>()?);
    }
    (!names.is_empty()).then_some(names)
}

/// The parts between these separators where they are not quoted; `None` if a quote has no end.
fn split<'t>(text: &'t str, separators: &[char]) -> Option<Vec<&'t str>> {
    let mut quoted = false;
    let parts = text.split(|c| {
        // A quote in quotes is written twice: it ends them, and begins them again.
        quoted ^= c == '"';
        !quoted && separators.contains(&c)
    });
    let parts = parts.collect();
    text.matches('"').count().is_multiple_of(2).then_some(parts)
}

fn pair(text: &str) -> Option<(String, String)> {
    let (kind, value) = text.split_once('=')?;
    let (kind, value) = (kind.trim(), value.trim());
    let kind = if kind.eq_ignore_ascii_case("S") { "ST" } else { kind };
    let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = inside.map_or_else(|| value.to_owned(), |inside| inside.replace("\"\"", "\""));
    (!kind.is_empty()).then(|| (kind.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_windows_writes_it() {
        let check = |text: &str, expected: Option<&[&[(&str, &str)]]>| {
            let own = |(kind, value): &(&str, &str)| ((*kind).to_owned(), (*value).to_owned());
            let expected = expected.map(|names| names.iter().map(|n| n.iter().map(own).collect()).collect());
            assert_eq!(read(text), expected, "{text}");
        };
        check("CN=PC7", Some(&[&[("CN", "PC7")]]));
        check("CN=a b, O = c;S=d", Some(&[&[("CN", "a b")], &[("O", "c")], &[("ST", "d")]]));
        check(r#"CN="a, ""b"" + c",OU=d+L=e=f"#, Some(&[&[("CN", r#"a, "b" + c"#)], &[("OU", "d"), ("L", "e=f")]]));
        check("", None);
        check("PC7", None);
        check("=x", None);
        check(r#"CN="a,O=b"#, None);
    }
}
