//! The committed corpus of a parser, which its `target` is driven with: what a fuzzer starts from, and what it found.

/// Drives a target with every file under `corpus/<parser>`.
pub(crate) fn drive(parser: &str, target: impl Fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(parser);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus of this name") {
        target(&std::fs::read(entry.expect("a folder that can be read").path()).expect("a file that can be read"));
        files += 1;
    }
    assert!(files > 0, "nothing in {}", folder.display());
}
