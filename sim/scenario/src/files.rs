//! Files beside a scenario or a profile. What is shipped with the program is inside it, so that it runs anywhere.

use crate::plan::Payload;
use crate::problem::Problem;
use crate::yaml::At;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A payload is a profile, a certificate or a template.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Server profiles, and what they name.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("headwind.yaml", include_str!("../../../scenarios/servers/headwind.yaml")),
    ("nanohub.yaml", include_str!("../../../scenarios/servers/nanohub.yaml")),
    ("nanomdm.yaml", include_str!("../../../scenarios/servers/nanomdm.yaml")),
    ("practice.yaml", include_str!("../../../scenarios/servers/practice.yaml")),
    ("sink.yaml", include_str!("../../../scenarios/servers/sink.yaml")),
    ("windows-peer.yaml", include_str!("../../../scenarios/servers/windows-peer.yaml")),
    ("apple.mobileconfig", include_str!("../../../scenarios/servers/apple.mobileconfig")),
];

/// Where relative files are looked for.
#[derive(Debug)]
pub(crate) enum Files {
    /// In this folder.
    Folder(PathBuf),
    /// In [`SHIPPED`].
    Shipped,
}

impl Files {
    /// What a file holds; a problem at the place of its name if it can't be read.
    pub(crate) fn read(&self, path: &At<String>, what: &str, problems: &mut Vec<Problem>) -> Option<Payload> {
        let full = match self {
            Files::Folder(folder) => folder.join(&path.value),
            Files::Shipped => {
                let found = SHIPPED.iter().find(|(name, _)| *name == path.value);
                let bytes = found.map(|(_, text)| text.as_bytes().into());
                return bytes.map(|bytes| Payload { path: PathBuf::from(&path.value), bytes });
            }
        };
        match read_bounded(&full, FILE_BYTES_MAX) {
            Ok(bytes) => Some(Payload { path: full, bytes: bytes.into() }),
            Err(why) => {
                let problem = Problem::new(format!("the {what} `{}` can't be read", path.value), path.place);
                problems.push(problem.labelled(why).cured(format!("it is looked for as {}", full.display())));
                None
            }
        }
    }
}

/// A file's bytes, or why there are none.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| why(&e))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err("it is a folder".into());
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|e| why(&e))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it has more than {} KiB", bytes_max >> 10));
    }
    Ok(bytes)
}

/// The system's words without its number: they are the same on every machine.
fn why(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".into(),
        kind => kind.to_string(),
    }
}
