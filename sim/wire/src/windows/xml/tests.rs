//! The reader against hostile bytes, and the writer's escapes.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Broken, Content, Reader, Writer, XmlError};
use crate::plist::At;
use droves_facts::Limits;
use proptest::prelude::*;

/// The reader does not look at namespaces, but others do: whether each prefix that is written means something.
pub(in crate::windows) fn every_prefix_is_bound(bytes: &[u8]) {
    use quick_xml::events::Event;
    use quick_xml::name::ResolveResult;
    let mut xml = quick_xml::NsReader::from_reader(bytes);
    loop {
        match xml.read_event().unwrap() {
            Event::Start(start) | Event::Empty(start) => {
                let resolver = xml.resolver();
                let mut names = vec![resolver.resolve_element(start.name()).0];
                names.extend(start.attributes().map(|attribute| resolver.resolve_attribute(attribute.unwrap().key).0));
                let unbound = names.iter().find(|name| matches!(name, ResolveResult::Unknown(_)));
                assert_eq!(unbound, None, "{}", String::from_utf8_lossy(bytes));
            }
            Event::Eof => return,
            _ => {}
        }
    }
}

/// Reads a document whole, as its nesting with texts: `a(b"text"c())`.
fn outline(bytes: &[u8], limits: &Limits) -> Result<String, XmlError> {
    fn inside(xml: &mut Reader<'_>, out: &mut String) -> Result<(), XmlError> {
        out.push('(');
        while let Some(child) = xml.child()? {
            out.push_str(child.name());
            if child.name() == "t" {
                out.push_str(&format!("{:?}", xml.text()?));
            } else {
                inside(xml, out)?;
            }
        }
        out.push(')');
        Ok(())
    }
    let mut xml = Reader::new(bytes, limits)?;
    let mut out = xml.root("r")?.name().to_owned();
    inside(&mut xml, &mut out)?;
    xml.finish()?;
    Ok(out)
}

fn check(text: &str, expected: &str) {
    assert_eq!(outline(text.as_bytes(), &Limits::default()).as_deref(), Ok(expected), "{text}");
}

fn broken(bytes: &[u8]) -> Broken {
    outline(bytes, &Limits::default()).unwrap_err().broken
}

#[test]
fn elements_are_read_whatever_stands_around_them() {
    check("<r/>", "r()");
    check("\n\n<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<p:r xmlns:p=\"x\"><p:a/> <b></b></p:r>\n", "r(a()b())");
    check("\u{feff}<!DOCTYPE r SYSTEM \"r.dtd\"><!-- no --><r><?pi?><a/></r><!-- no -->", "r(a())");
    check("<r><t> a&amp;b&#x41;<!-- no --><![CDATA[<c>]]>\r\nd </t></r>", "r(t\" a&bA<c>\\nd \")");
    check("<r><t>&#13;</t><t/></r>", "r(t\"\\r\"t\"\")");
}

#[test]
fn broken_rules_are_named() {
    let check = |text: &str, expected: Broken| assert_eq!(broken(text.as_bytes()), expected, "{text}");
    check("", Broken::Empty);
    check(" <!-- no --> ", Broken::Empty);
    check("hello", Broken::StrayText);
    check("<html/>", Broken::Element { wanted: "r", found: "html".into() });
    check("<r>x</r>", Broken::StrayText);
    check("<r><t><b/></t></r>", Broken::ElementInText);
    check("<r/><r/>", Broken::Trailing);
    check("<r><a>", Broken::Truncated);
    check("<r><t>&lol;</t></r>", Broken::Entity);
    check("<r><t>&#1;</t></r>", Broken::Entity);
    check("<r><t>\u{1}</t></r>", Broken::Character);
    check("<r><t><?xml version=\"1.0\"?></t></r>", Broken::Declaration);
    check("<?xml version=\"1.0\" encoding=\"utf-16\"?><r/>", Broken::Encoding);
    assert_eq!(broken(b"<r>\xff</r>"), Broken::Encoding);
    assert_eq!(broken(b"\xff\xfe<\0r\0/\0>\0"), Broken::Encoding);
    for ill in [
        "<r></a>",
        "<r a=\"1\" a=\"2\"/>",
        "<r a=1/>",
        "<r a=\"&lol;\"/>",
        "<r><axsi:nil=\"true\"/></r>",
        "<r><a:/></r>",
    ] {
        assert!(matches!(broken(ill.as_bytes()), Broken::Xml(_)), "{ill}: {:?}", broken(ill.as_bytes()));
    }
}

#[test]
fn an_error_names_line_and_column() {
    let error = outline(b"<r>\n <a>\n  x</a></r>", &Limits::default()).unwrap_err();
    assert_eq!(error, XmlError { broken: Broken::StrayText, at: At::Line { line: 2, column: 5 } });
}

/// Each of these costs a reader without bounds its stack, its memory or its time.
#[test]
fn every_size_is_bounded() {
    let limits = Limits::default();
    assert_eq!(broken("<r>".repeat(200_000).as_bytes()), Broken::TooDeep { depth_max: limits.xml_depth_max });
    let many = format!("<r>{}</r>", "<a/>".repeat(limits.xml_elements_max));
    assert_eq!(broken(many.as_bytes()), Broken::TooManyElements { elements_max: limits.xml_elements_max });
    let attributes: String = (0..200_000).map(|n| format!(" a{n}=\"\"")).collect();
    let wide = format!("<r><a{attributes}/></r>");
    assert_eq!(broken(wide.as_bytes()), Broken::TooManyAttributes { attributes_max: limits.xml_attributes_max });
    let small = Limits { body_bytes_max: 10, ..Limits::default() };
    assert_eq!(outline(&[b' '; 11], &small).unwrap_err().broken, Broken::TooLarge { bytes_max: 10 });
    // However deep, what nobody asked for is passed over without recursion, and the caller's own depth has a cap.
    let generous = Limits { xml_depth_max: usize::MAX, ..Limits::default() };
    assert_eq!(outline("<r>".repeat(200).as_bytes(), &generous).unwrap_err().broken, Broken::TooDeep { depth_max: 64 });
}

#[test]
fn markup_is_kept_as_it_stands() {
    let text = "<r> <p:a b='1'>x&amp;<c/></p:a>\r\n</r>";
    let mut xml = Reader::new(text.as_bytes(), &Limits::default()).unwrap();
    xml.root("r").unwrap();
    let Content::Markup(markup) = xml.content().unwrap() else { panic!("no markup") };
    assert_eq!(markup, " <p:a b='1'>x&amp;<c/></p:a>\r\n");
    xml.finish().unwrap();
}

#[test]
fn a_search_finds_the_first_and_ends_with_the_element() {
    let mut xml =
        Reader::new(b"<r><q><a><x/></a><b><A> 1 </A></b><a>2</a>z</q><t>t</t></r>", &Limits::default()).unwrap();
    xml.root("R").unwrap();
    xml.expect("q").unwrap();
    let [a, none] = xml.find(["a", "none"]).unwrap();
    assert_eq!((a.as_deref(), none), (Some("1"), None));
    xml.expect("t").unwrap();
    assert_eq!(xml.text().unwrap(), "t");
    assert!(xml.child().unwrap().is_none());
}

proptest! {
    #[test]
    fn what_is_written_is_read(text in any::<String>(), value in any::<String>()) {
        let clean = |text: &str| -> String {
            text.chars().map(|c| if matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..) { c } else { '\u{fffd}' }).collect()
        };
        let mut out = Vec::new();
        Writer { out: &mut out }.text_with("r", &[("a", &value)], &text);
        let mut xml = Reader::new(&out, &Limits::default()).unwrap();
        let root = xml.root("r").unwrap();
        prop_assert_eq!(root.attribute("a"), Some(clean(&value)));
        prop_assert_eq!(xml.text().unwrap(), clean(&text));
        xml.finish().unwrap();
    }
}

/// What `xmllint` says of a message by a schema of the independent peer in `tests/peers/windows`, whose author has not seen
/// this code. CI must have it.
pub(crate) fn fits(schema: &str, message: &str) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/windows/schemas");
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--noout", "--relaxng", &format!("{schemas}/{schema}.rng"), "-"]);
    let started = xmllint.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = started else {
        assert!(std::env::var_os("CI").is_none(), "CI without xmllint");
        if let Some(list) = std::env::var_os("DROVES_LEFT_OUT") {
            let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
            writeln!(list, "Windows messages against schemas\txmllint is not installed").unwrap();
        }
        return;
    };
    child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "{schema}: {}\n{message}", String::from_utf8_lossy(&said.stderr));
}
