//! Pages of a list. A token names the last key that was given, so that nothing is left out or comes twice because others
//! came and went meanwhile.

use super::query::Query;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use droves_wire::android::{Code, Status};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Elements of a page: where none are asked for, and at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) default: usize,
    pub(crate) max: usize,
}

/// A page of `all` as the query asks for it, each element as `shown`; `what` is the list's name in the answer.
pub(crate) fn page<V>(
    all: &BTreeMap<String, V>,
    query: &Query<'_>,
    what: &str,
    sizes: Sizes,
    shown: impl Fn(&V) -> Value,
) -> Result<Value, Status> {
    let size = match query.number("pageSize")? {
        None | Some(0) => sizes.default,
        Some(size) => usize::try_from(size).map_err(|_| Status::bad_field("pageSize", "negative"))?.min(sizes.max),
    };
    let after = match query.get("pageToken") {
        None => Bound::Unbounded,
        Some(token) => Bound::Excluded(key(token)?),
    };
    let mut rest = all.range((after, Bound::Unbounded)).peekable();
    let mut elements = Vec::new();
    let mut last = None;
    for (key, value) in rest.by_ref().take(size) {
        elements.push(shown(value));
        last = Some(key);
    }
    let mut answer = Map::new();
    if !elements.is_empty() {
        answer.insert(what.to_owned(), Value::Array(elements));
    }
    if let Some(last) = last.filter(|_| rest.peek().is_some()) {
        answer.insert("nextPageToken".to_owned(), json!(URL_SAFE_NO_PAD.encode(last)));
    }
    Ok(Value::Object(answer))
}

fn key(token: &str) -> Result<String, Status> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| Status::new(Code::InvalidArgument, "Invalid page token."))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SIZES: Sizes = Sizes { default: 2, max: 3 };

    fn pages(all: &BTreeMap<String, u32>, query: &str) -> Value {
        page(all, &Query::read(query).unwrap(), "devices", SIZES, |value| json!(value)).unwrap()
    }

    #[test]
    fn nobody_is_left_out_while_others_come_and_go() {
        let mut all: BTreeMap<String, u32> = (0..6).map(|n| (format!("{n}"), n)).collect();
        let first = pages(&all, "");
        assert_eq!(first["devices"], json!([0, 1]));
        let token = first["nextPageToken"].as_str().unwrap().to_owned();
        all.remove("1");
        all.remove("2");
        all.insert("00".to_owned(), 7);
        let second = pages(&all, &format!("pageSize=9&pageToken={token}"));
        assert_eq!(second, json!({ "devices": [3, 4, 5] }), "3 at most, and the last page has no token");
        assert_eq!(pages(&BTreeMap::new(), ""), json!({}), "an empty list is absent");
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let all = BTreeMap::<String, u32>::new();
        for query in ["pageSize=-1", "pageSize=x", "pageToken=%25"] {
            let refused = page(&all, &Query::read(query).unwrap(), "devices", SIZES, |value| json!(value));
            assert_eq!(refused.map_err(|status| status.code), Err(Code::InvalidArgument), "{query}");
        }
    }
}
