//! The reader against another's (the `plist` crate), round trips, and hostile bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{At, Broken, Dict, PlistError, Value, read, target, write_value};
use ::plist as oracle;
use droves_facts::{Limits, Wall};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

fn check(text: &str, expected: Value) {
    assert_eq!(read(text.as_bytes(), &Limits::default()), Ok(expected), "{text}");
}

fn broken(bytes: &[u8]) -> Broken {
    read(bytes, &Limits::default()).unwrap_err().broken
}

fn xml(inner: &str) -> String {
    format!("<?xml version=\"1.0\"?><plist version=\"1.0\">{inner}</plist>")
}

#[test]
fn every_element_is_read() {
    check("<dict><key>a</key><true/></dict>", Value::Dict(Dict(vec![("a".into(), Value::Bool(true))])));
    check(&xml("<dict/>"), Value::Dict(Dict::default()));
    check(&xml("<array><false></false><array></array></array>"), {
        Value::Array(vec![Value::Bool(false), Value::Array(vec![])])
    });
    check(&xml("<string>a&amp;b&#x41;<![CDATA[<c>]]><!-- no -->d </string>"), Value::String("a&bA<c>d ".into()));
    check(&xml("<string/>"), Value::String(String::new()));
    check(&xml("<integer> -42 </integer>"), Value::Integer(-42));
    check(&xml("<integer>-9223372036854775808</integer>"), Value::Integer(i64::MIN));
    check(&xml("<integer>18446744073709551615</integer>"), Value::Unsigned(u64::MAX));
    check(&xml("<integer>0xff</integer>"), Value::Integer(255));
    check(&xml("<real>-1.5e3</real>"), Value::Real(-1500.0));
    check(&xml("<real>+infinity</real>"), Value::Real(f64::INFINITY));
    check(&xml("<date>2026-01-05T08:00:00Z</date>"), Value::Date(Wall::VIRTUAL_START));
    check(&xml("<data>\n\tAAEC\n\tAw==\n</data>"), Value::Data(vec![0, 1, 2, 3]));
    check(&xml("<data>AAECAw</data>"), Value::Data(vec![0, 1, 2, 3]));
    check("\u{feff}<plist><true/></plist>", Value::Bool(true));
}

#[test]
fn broken_rules_are_named() {
    let check = |text: &str, expected: Broken| assert_eq!(broken(text.as_bytes()), expected, "{text}");
    check("", Broken::Empty);
    check(&xml(""), Broken::Empty);
    check("hello", Broken::StrayText);
    check(&xml("<dict>x</dict>"), Broken::StrayText);
    check(&xml("<dict><true/></dict>"), Broken::ValueWithoutKey);
    check(&xml("<dict><key>a</key></dict>"), Broken::KeyWithoutValue);
    check(&xml("<array><key>a</key></array>"), Broken::KeyWithoutValue);
    check(&xml("<true/><true/>"), Broken::Trailing);
    check("<plist><true/></plist><true/>", Broken::Trailing);
    check("<plist><dict>", Broken::Truncated);
    check(&xml("<set/>"), Broken::Element("set".into()));
    check(&xml("<plist><true/></plist>"), Broken::Element("plist".into()));
    check(&xml("<string>a<b/></string>"), Broken::ElementInText("string"));
    check(&xml("<string>&lol;</string>"), Broken::Entity);
    check(&xml("<integer>18446744073709551616</integer>"), Broken::Integer);
    check(&xml("<integer>--1</integer>"), Broken::Integer);
    check(&xml("<integer></integer>"), Broken::Integer);
    check(&xml("<real>one</real>"), Broken::Real);
    check(&xml("<date>yesterday</date>"), Broken::Date);
    check(&xml("<data>!</data>"), Broken::Data);
    assert_eq!(broken(b"<string>\xff</string>"), Broken::Encoding);
    assert!(matches!(broken(b"<dict></array>"), Broken::Xml(_)));
    assert_eq!(broken(b"bplist01"), Broken::Version);
    assert_eq!(broken(b"bplist00"), Broken::Truncated);
}

#[test]
fn an_error_names_line_and_column() {
    let error = read(b"<plist>\n<dict>\n\t<true/>", &Limits::default()).unwrap_err();
    assert_eq!(error, PlistError { broken: Broken::ValueWithoutKey, at: At::Line { line: 3, column: 2 } });
    assert_eq!(error.to_string(), "value without a key at line 3, column 2");
}

/// A body of 200,000 nested arrays aborts a recursive reader.
#[test]
fn nesting_is_bounded_however_deep() {
    let deep = "<array>".repeat(200_000);
    assert_eq!(broken(deep.as_bytes()), Broken::TooDeep { depth_max: 64 });
    assert_eq!(broken(deep.replace("array", "dict").as_bytes()), Broken::ValueWithoutKey);
    let generous = Limits { plist_depth_max: usize::MAX, ..Limits::default() };
    assert_eq!(read(deep.as_bytes(), &generous).unwrap_err().broken, Broken::TooDeep { depth_max: 256 });
    let fits = |n| format!("{}{}", "<array>".repeat(n), "</array>".repeat(n));
    assert!(read(fits(256).as_bytes(), &generous).is_ok());
    assert_eq!(broken(&nested_binary(200)), Broken::TooDeep { depth_max: 64 });
    assert!(read(&nested_binary(200), &generous).is_ok());
}

#[test]
fn entities_of_a_dtd_are_never_expanded() {
    let mut text = String::from("<!DOCTYPE plist [<!ENTITY lol \"lol\">");
    for n in 1..10 {
        text.push_str(&format!("<!ENTITY lol{n} \"{}\">", "&lol;".repeat(10)));
    }
    text.push_str("<!ENTITY file SYSTEM \"file:///etc/passwd\">]><plist><string>");
    for entity in ["&lol9;", "&file;", "&#0;", "&#x110000;"] {
        assert_eq!(broken(format!("{text}{entity}</string></plist>").as_bytes()), Broken::Entity, "{entity}");
    }
    check(&format!("{text}fine</string></plist>"), Value::String("fine".into()));
}

#[test]
fn counts_and_sizes_are_bounded() {
    let many = format!("<array>{}</array>", "<true/>".repeat(200_001));
    assert_eq!(broken(many.as_bytes()), Broken::TooManyValues { values_max: 200_000 });
    let small = Limits { body_bytes_max: 100, ..Limits::default() };
    assert_eq!(read(&[b' '; 101], &small).unwrap_err().broken, Broken::TooLarge { bytes_max: 100 });
}

#[test]
fn a_binary_object_that_contains_itself_is_found() {
    assert_eq!(broken(&binary(&[b"\xa1\x00"])), Broken::Cycle);
    assert_eq!(broken(&binary(&[b"\xa1\x01", b"\xa1\x02", b"\xa1\x00"])), Broken::Cycle);
    assert_eq!(broken(&binary(&[b"\xd1\x01\x00", b"\x51k"])), Broken::Cycle);
    assert_eq!(broken(&binary(&[b"\xa1\x07"])), Broken::Reference);
    assert_eq!(broken(&binary(&[b"\xd1\x01\x01", b"\x08"])), Broken::Key);
    assert_eq!(broken(&binary(&[b"\x80\x00"])), Broken::Type(0x80));
}

/// Few bytes that stand for a huge tree: 30 arrays of two references each, and one long string named 50,000 times.
#[test]
fn shared_binary_objects_do_not_grow_without_bound() {
    let mut objects: Vec<Vec<u8>> = (1..=30).map(|n| vec![0xa2, n, n]).collect();
    objects.push(vec![0x09]);
    let shared: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    assert_eq!(broken(&binary(&shared)), Broken::TooManyValues { values_max: 200_000 });

    let mut array = vec![0xaf, 0x11, 0xc3, 0x50];
    array.resize(4 + 50_000, 1);
    let mut text = vec![0x5f, 0x11, 0x10, 0x00];
    text.resize(4 + 4_096, b'x');
    assert_eq!(broken(&binary(&[&array, &text])), Broken::TooLarge { bytes_max: 8 << 20 });
}

#[test]
fn a_list_cut_at_any_byte_is_an_error() {
    let value = Value::Dict(Dict(vec![
        ("Name".into(), Value::String("ü & <".into())),
        ("List".into(), Value::Array(vec![Value::Integer(1), Value::Real(0.5), Value::Date(Wall::VIRTUAL_START)])),
        ("Data".into(), Value::Data(vec![7; 100])),
        ("Yes".into(), Value::Bool(true)),
    ]));
    let mut text = Vec::new();
    write_value(&mut text, &value);
    let mut bin = Vec::new();
    as_oracle(&value).to_writer_binary(&mut bin).unwrap();
    for whole in [text.trim_ascii_end(), &bin] {
        assert_eq!(read(whole, &Limits::default()).as_ref(), Ok(&value));
        for end in 0..whole.len() {
            assert!(read(&whole[..end], &Limits::default()).is_err(), "{end} of {}", whole.len());
            target(&whole[..end]);
        }
        for at in 0..whole.len() {
            for byte in [0, 0x0f, 0x3c, 0x7f, 0xff] {
                let mut damaged = whole.to_vec();
                damaged[at] = byte;
                target(&damaged);
            }
        }
    }
}

/// `plistlib` of Python imitates the same writer (testdata/plist/README.md).
#[test]
fn the_layout_is_that_of_apples_writer() {
    let value = Value::Dict(Dict(vec![
        ("Array".into(), Value::Array(vec![Value::Array(vec![]), Value::Data((0..60).collect())])),
        ("Data".into(), Value::Data((0..60).collect())),
        ("Empty".into(), Value::Dict(Dict::default())),
        ("None".into(), Value::Data(vec![])),
        ("Text".into(), Value::String("<a> & \"b\" 'c'".into())),
    ]));
    let mut out = Vec::new();
    write_value(&mut out, &value);
    assert_eq!(String::from_utf8(out).unwrap(), include_str!("../../testdata/plist/layout.plist"));
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("plist", target);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in values()) {
        let mut out = Vec::new();
        write_value(&mut out, &value);
        prop_assert_eq!(read(&out, &Limits::default()), Ok(value));
    }

    #[test]
    fn another_reader_reads_what_we_write(value in values()) {
        let mut out = Vec::new();
        write_value(&mut out, &value);
        let read = oracle::Value::from_reader_xml(out.as_slice()).unwrap();
        prop_assert_eq!(read, as_oracle(&value));
    }

    #[test]
    fn we_read_what_another_writes(value in values()) {
        let other = as_oracle(&value);
        let (mut text, mut bin) = (Vec::new(), Vec::new());
        other.to_writer_xml(&mut text).unwrap();
        other.to_writer_binary(&mut bin).unwrap();
        prop_assert_eq!(read(&text, &Limits::default()), Ok(value.clone()));
        prop_assert_eq!(read(&bin, &Limits::default()), Ok(value));
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        target(&bytes);
        let mut bin = b"bplist00".to_vec();
        bin.extend_from_slice(&bytes);
        target(&bin);
    }

    /// Objects at random behind a trailer that is right: the reader gets past its first checks.
    #[test]
    fn no_binary_objects_do_harm(objects in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 1..20)) {
        let objects: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
        target(&binary(&objects));
    }

    #[test]
    fn no_run_of_elements_does_harm(pieces in prop::collection::vec(piece(), 0..40)) {
        target(pieces.concat().as_bytes());
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<plist>",
        "</plist>",
        "<dict>",
        "</dict>",
        "<array>",
        "</array>",
        "<key>",
        "</key>",
        "<key>k</key>",
        "<string>",
        "</string>",
        "<integer>1</integer>",
        "<real>1</real>",
        "<true/>",
        "<date/>",
        "<data>AA==</data>",
        "&amp;",
        "&#1;",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?x",
        "?>",
        "<!DOCTYPE a [",
        "]>",
        " ",
        "x",
        "<",
        ">",
    ])
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[ -~äß€😀\t\n]{0,12}".prop_map(Value::String),
        any::<i64>().prop_map(Value::Integer),
        (i64::MAX as u64 + 1..=u64::MAX).prop_map(Value::Unsigned),
        (-1e12..1e12).prop_map(Value::Real),
        any::<bool>().prop_map(Value::Bool),
        (0_i64..4_000_000_000).prop_map(|secs| Value::Date(Wall::from_secs(secs))),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Value::Data),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map("[ -~ü]{1,8}", inner, 0..8)
                .prop_map(|map| Value::Dict(map.into_iter().collect())),
        ]
    })
}

fn as_oracle(value: &Value) -> oracle::Value {
    match value {
        Value::Dict(dict) => {
            let pairs = dict.iter().map(|(key, value)| (key.to_owned(), as_oracle(value)));
            oracle::Value::Dictionary(pairs.collect())
        }
        Value::Array(array) => oracle::Value::Array(array.iter().map(as_oracle).collect()),
        Value::String(text) => oracle::Value::String(text.clone()),
        Value::Integer(n) => oracle::Value::Integer((*n).into()),
        Value::Unsigned(n) => oracle::Value::Integer((*n).into()),
        Value::Real(x) => oracle::Value::Real(*x),
        Value::Bool(b) => oracle::Value::Boolean(*b),
        Value::Date(at) => {
            let since = Duration::from_micros(u64::try_from(at.0).unwrap());
            oracle::Value::Date((SystemTime::UNIX_EPOCH + since).into())
        }
        Value::Data(bytes) => oracle::Value::Data(bytes.clone()),
    }
}

/// A binary list of these objects, the first of them its root, references of one byte.
fn binary(objects: &[&[u8]]) -> Vec<u8> {
    let mut out = b"bplist00".to_vec();
    let mut table = Vec::new();
    for object in objects {
        table.extend_from_slice(&(out.len() as u32).to_be_bytes());
        out.extend_from_slice(object);
    }
    let start = out.len() as u64;
    out.extend_from_slice(&table);
    out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 4, 1]);
    for n in [objects.len() as u64, 0, start] {
        out.extend_from_slice(&n.to_be_bytes());
    }
    out
}

fn nested_binary(depth: u8) -> Vec<u8> {
    let mut objects: Vec<Vec<u8>> = (1..depth).map(|n| vec![0xa1, n]).collect();
    objects.push(vec![0xa0]);
    binary(&objects.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
