//! BER to DER (X.690): Apple's encoders stream, and write indefinite lengths and strings in pieces, which readers of
//! DER refuse. The messages are small; they are read into a tree of tags and written again.
//!
//! Bounded in depth and count. What is DER already comes out as it went in.

use super::CmsError;
use droves_facts::Limits;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const CONSTRUCTED: u8 = 0x20;
const CONTEXT_0: u8 = 0x80;
/// `id-data` (RFC 5652, 4) in DER.
const DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01];

/// The same message in DER. What follows it is dropped.
pub(crate) fn to_der(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, CmsError> {
    let mut parser = Parser { bytes, at: 0, values_left: limits.asn1_values_max };
    let node = parser.node(limits.asn1_depth_max)?;
    let mut out = Vec::with_capacity(bytes.len());
    node.write(&mut out);
    Ok(out)
}

/// A message in DER as an encoder that streams would have written it: the outer layers with indefinite lengths, the
/// content in pieces. What is signed, and certificates, stay DER.
pub(crate) fn to_streamed(der: &[u8], limits: &Limits) -> Result<Vec<u8>, CmsError> {
    let mut parser = Parser { bytes: der, at: 0, values_left: limits.asn1_values_max };
    let node = parser.node(limits.asn1_depth_max)?;
    let mut out = Vec::with_capacity(der.len() + 64);
    node.write_streamed(STREAMED_LAYERS, &mut out);
    Ok(out)
}

/// `ContentInfo`, its `[0]`, and `SignedData` or `EnvelopedData`.
const STREAMED_LAYERS: usize = 3;
/// Bytes of a string in one piece.
const PIECE_BYTES: usize = 1_000;

struct Node<'a> {
    tag: u8,
    body: Body<'a>,
}

enum Body<'a> {
    Leaf(std::borrow::Cow<'a, [u8]>),
    Tree(Vec<Node<'a>>),
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    values_left: usize,
}

impl<'a> Parser<'a> {
    fn node(&mut self, depth_left: usize) -> Result<Node<'a>, CmsError> {
        let depth_left = depth_left.checked_sub(1).ok_or(CmsError::TooDeep)?;
        self.values_left = self.values_left.checked_sub(1).ok_or(CmsError::TooMany)?;
        let tag = self.byte()?;
        if tag & 0x1F == 0x1F {
            return Err(CmsError::Malformed("tag number over 30".into()));
        }
        let length = self.length()?;
        if tag & CONSTRUCTED == 0 {
            let length = length.ok_or_else(|| CmsError::Malformed("primitive of indefinite length".into()))?;
            return Ok(Node { tag, body: Body::Leaf(self.take(length)?.into()) });
        }
        let mut children = Vec::new();
        match length {
            Some(length) => {
                let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len()).ok_or(CmsError::Cut)?;
                let outer = self.bytes;
                self.bytes = &outer[..end];
                while self.at < end {
                    children.push(self.node(depth_left)?);
                }
                self.bytes = outer;
            }
            None => {
                while self.bytes.get(self.at..self.at.saturating_add(2)) != Some(&[0, 0][..]) {
                    children.push(self.node(depth_left)?);
                }
                self.at += 2;
            }
        }
        Ok(Node { tag, body: Body::Tree(children) }.joined())
    }

    fn byte(&mut self) -> Result<u8, CmsError> {
        let byte = *self.bytes.get(self.at).ok_or(CmsError::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CmsError> {
        let end = self.at.checked_add(length).ok_or(CmsError::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(CmsError::Cut)?;
        self.at = end;
        Ok(taken)
    }

    /// A length; none for an indefinite one.
    fn length(&mut self) -> Result<Option<usize>, CmsError> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(Some(usize::from(first)));
        }
        let octets = usize::from(first & 0x7F);
        if octets == 0 {
            return Ok(None);
        }
        if octets > 4 {
            return Err(CmsError::Malformed("length over four octets".into()));
        }
        let mut length = 0;
        for _ in 0..octets {
            length = length << 8 | usize::from(self.byte()?);
        }
        Ok(Some(length))
    }
}

impl<'a> Node<'a> {
    /// Strings in pieces become one: universal ones by their tag, and the implicitly tagged content of
    /// `EncryptedContentInfo` (RFC 5652, 6.1) by where it stands: third after `id-data` and an algorithm.
    fn joined(mut self) -> Self {
        let Body::Tree(children) = &mut self.body else { return self };
        if self.tag == OCTET_STRING | CONSTRUCTED {
            return Node { tag: OCTET_STRING, body: Body::Leaf(pieces(children).into()) };
        }
        let is_content = self.tag == SEQUENCE
            && children.len() >= 3
            && matches!(&children[0], Node { tag: OBJECT_IDENTIFIER, body: Body::Leaf(oid) } if **oid == *DATA)
            && children[1].tag == SEQUENCE
            && children[2].tag == CONTEXT_0 | CONSTRUCTED;
        if is_content && let Body::Tree(parts) = &children[2].body {
            let joined = pieces(parts);
            children[2] = Node { tag: CONTEXT_0, body: Body::Leaf(joined.into()) };
        }
        self
    }

    fn write_streamed(&self, layers: usize, out: &mut Vec<u8>) {
        let Body::Tree(children) = &self.body else { return self.write(out) };
        let is_content = self.tag == SEQUENCE
            && matches!(children.first(), Some(Node { tag: OBJECT_IDENTIFIER, body: Body::Leaf(oid) }) if **oid == *DATA);
        if layers == 0 && !is_content {
            return self.write(out);
        }
        out.extend_from_slice(&[self.tag, 0x80]);
        for child in children {
            match (&child.body, child.tag) {
                (Body::Leaf(bytes), CONTEXT_0) if is_content => write_pieces(CONTEXT_0 | CONSTRUCTED, bytes, out),
                (Body::Tree(inner), _) if is_content && child.tag == CONTEXT_0 | CONSTRUCTED => {
                    out.extend_from_slice(&[child.tag, 0x80]);
                    for string in inner {
                        match &string.body {
                            Body::Leaf(bytes) => write_pieces(OCTET_STRING | CONSTRUCTED, bytes, out),
                            Body::Tree(_) => string.write(out),
                        }
                    }
                    out.extend_from_slice(&[0, 0]);
                }
                _ => child.write_streamed(layers.saturating_sub(1), out),
            }
        }
        out.extend_from_slice(&[0, 0]);
    }

    fn len(&self) -> usize {
        match &self.body {
            Body::Leaf(bytes) => bytes.len(),
            Body::Tree(children) => children.iter().map(|child| 1 + octets(child.len()) + child.len()).sum(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag);
        let length = self.len();
        match octets(length) {
            1 => out.push(length as u8),
            more => {
                out.push(0x80 | (more - 1) as u8);
                out.extend_from_slice(&length.to_be_bytes()[size_of::<usize>() - (more - 1)..]);
            }
        }
        match &self.body {
            Body::Leaf(bytes) => out.extend_from_slice(bytes),
            Body::Tree(children) => children.iter().for_each(|child| child.write(out)),
        }
    }
}

fn write_pieces(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[tag, 0x80]);
    for piece in bytes.chunks(PIECE_BYTES) {
        Node { tag: OCTET_STRING, body: Body::Leaf(piece.into()) }.write(out);
    }
    out.extend_from_slice(&[0, 0]);
}

/// Octets of a length in DER.
fn octets(length: usize) -> usize {
    if length < 0x80 { 1 } else { 1 + size_of::<usize>() - length.leading_zeros() as usize / 8 }
}

fn pieces(children: &[Node<'_>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for child in children {
        match &child.body {
            Body::Leaf(bytes) => joined.extend_from_slice(bytes),
            Body::Tree(deeper) => joined.extend(pieces(deeper)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn check(ber: &str, der: &str) {
        let out = to_der(&hex::decode(ber).unwrap(), &Limits::default()).unwrap();
        assert_eq!(hex::encode(out), der);
    }

    #[test]
    fn indefinite_lengths_and_pieces_become_der() {
        check("308002010500 00".replace(' ', "").as_str(), "3003020105");
        check("24800402010204010300 00".replace(' ', "").as_str(), "0403010203");
        // id-data, an algorithm, and content in two pieces under [0]
        let data = hex::encode(DATA);
        check(&format!("30800609{data}3000a0800401aa0401bb00000000"), &format!("30110609{data}30008002aabb"));
        check("048103010203", "0403010203");
    }

    #[test]
    fn what_is_too_deep_or_cut_is_refused() {
        let deep = [0x30_u8, 0x80].repeat(100);
        assert_eq!(to_der(&deep, &Limits::default()), Err(CmsError::TooDeep));
        assert_eq!(to_der(&[0x30, 0x05, 0x02], &Limits::default()), Err(CmsError::Cut));
        let many = [&[0x30, 0x83, 0x01, 0x00, 0x00][..], &[0x05, 0x00].repeat(0x8000)].concat();
        assert_eq!(to_der(&many, &Limits::default()), Err(CmsError::TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_settle(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(der) = to_der(&bytes, &Limits::default()) {
                prop_assert_eq!(to_der(&der, &Limits::default()).unwrap(), der);
            }
        }
    }
}
