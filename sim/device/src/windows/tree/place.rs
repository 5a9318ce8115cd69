//! A LocURI, and the rules for it (MS-MDM; OMA-TS-DM-TND 1.2, 7.1).
//!
//! Names are compared without regard to case. A name may hold any character, escaped by percent signs. `./Device` in
//! front is the same as nothing, and `./` may be missing.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use std::sync::Arc;

/// Where a node is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::windows) struct Place<'a> {
    /// Below `./User`.
    pub(in crate::windows) user: bool,
    /// The names on the way, without escapes.
    pub(in crate::windows) names: Vec<Cow<'a, str>>,
    /// The path as it is kept: names as they were written, escapes only where they must be; `User/` in front if it is
    /// the user's.
    pub(in crate::windows) path: Arc<str>,
    /// The same in small letters: what is compared.
    pub(in crate::windows) key: Arc<str>,
}

/// Longer ones are refused with 414.
const URI_BYTES_MAX: usize = 4_096;
/// Deeper ones are refused with 414.
const DEPTH_MAX: usize = 32;

impl<'a> Place<'a> {
    /// Reads a LocURI; the error is the status that it is refused with.
    pub(in crate::windows) fn read(uri: &'a str) -> Result<Self, u16> {
        let uri = uri.trim_ascii();
        if uri.len() > URI_BYTES_MAX {
            return Err(414);
        }
        if uri.contains('?') {
            return Err(406);
        }
        if uri.is_empty() || uri.starts_with('/') {
            return Err(400);
        }
        let inside = uri
            .strip_prefix('.')
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map_or(uri, |rest| rest.strip_prefix('/').unwrap_or_default());
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        let mut names = Vec::new();
        for name in inside.split('/').filter(|_| !inside.is_empty()) {
            let name = percent_decode_str(name).decode_utf8().map_err(|_| 400_u16)?;
            if matches!(&*name, "" | "." | ".." | "*") {
                return Err(400);
            }
            names.push(name);
        }
        if names.len() > DEPTH_MAX {
            return Err(414);
        }
        let scope = names.first().map(|first| first.to_ascii_lowercase());
        let user = scope.as_deref() == Some("user");
        if user || scope.as_deref() == Some("device") {
            names.remove(0);
        }
        Ok(Place::of(user, names))
    }

    /// The place of these names.
    pub(in crate::windows) fn of(user: bool, names: Vec<Cow<'a, str>>) -> Self {
        let mut path = String::new();
        for name in user.then_some("User").into_iter().chain(names.iter().map(|name| &**name)) {
            if !path.is_empty() {
                path.push('/');
            }
            path.extend(utf8_percent_encode(name, KEPT_ESCAPED));
        }
        let key = path.to_ascii_lowercase().into();
        Place { user, names, path: path.into(), key }
    }

    /// The last name; empty for the root.
    pub(in crate::windows) fn name(&self) -> &str {
        self.names.last().map_or("", |name| name)
    }

    /// The place as a URI of the device's own making.
    pub(in crate::windows) fn uri(&self) -> String {
        uri(&self.path)
    }

    /// The place of another node beside this one.
    pub(in crate::windows) fn beside(&self, name: &'static str) -> Place<'_> {
        let parents = self.names.split_last().map_or(&[][..], |(_, parents)| parents);
        let names = parents.iter().map(|name| Cow::Borrowed(&**name)).chain([Cow::Borrowed(name)]);
        Place::of(self.user, names.collect())
    }

    /// The place so many levels up.
    pub(in crate::windows) fn up(&self, levels: usize) -> Place<'_> {
        let kept = self.names.len().saturating_sub(levels);
        Place::of(self.user, self.names.iter().take(kept).map(|name| Cow::Borrowed(&**name)).collect())
    }
}

/// A kept path as a URI of the device's own making: every escape that a URI may want, and the scope in front.
pub(in crate::windows) fn uri(path: &str) -> String {
    let scope = if path.starts_with("User/") { "." } else { "./Device" };
    path.split('/').fold(scope.to_owned(), |uri, name| format!("{uri}/{}", escaped(&unescaped(name))))
}

/// A name as a `Get` of its parent lists it.
pub(super) fn escaped(name: &str) -> String {
    utf8_percent_encode(name, LISTED_ESCAPED).to_string()
}

/// A kept name back without escapes.
pub(super) fn unescaped(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8_lossy()
}

/// What would make two places look like one.
const KEPT_ESCAPED: &AsciiSet = &percent_encoding::CONTROLS.add(b'/').add(b'%');
/// All but what a URI need never escape (RFC 3986, 2.3).
const LISTED_ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
