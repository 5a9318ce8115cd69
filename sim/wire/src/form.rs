//! `application/x-www-form-urlencoded`: the fields of a query or of a form.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The fields in their order, names and values decoded; what has no `=` is left out. Bytes that are no UTF-8 become U+FFFD.
pub fn pairs(form: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form.split('&').filter_map(|field| field.split_once('=')).map(|(name, value)| (decoded(name), decoded(value)))
}

fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        return Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let read = |form| pairs(form).map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(" ");
        assert_eq!(read("a=1&b=c+d%2B%C3%A4&e&f=&g=%ff"), "a:1 b:c d+ä f: g:\u{fffd}");
    }
}
