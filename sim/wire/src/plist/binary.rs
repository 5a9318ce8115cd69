//! The binary format, version 00 (CoreFoundation, `CFBinaryPList.c`: header, objects, offset table, trailer of 32
//! bytes).
//!
//! A binary list may name one object from many places, and so stand for a tree far larger than itself: what is copied
//! is counted in values and bytes, and an object that contains itself is found.

use super::{At, Broken, Budget, Dict, PlistError, Value, date as dates};
use droves_facts::{Limits, Wall};

/// Reads a binary property list.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Value, PlistError> {
    if !bytes.starts_with(b"bplist00") {
        return Err(PlistError { broken: Broken::Version, at: At::Offset(6) });
    }
    let table = Table::of(bytes)?;
    let mut reader = Reader { bytes, table, budget: Budget::new(limits), path: Vec::new() };
    let root = reader.table.root;
    reader.object(root)
}

/// What the trailer says.
#[derive(Clone, Copy)]
struct Table {
    offset_size: usize,
    reference_size: usize,
    objects: usize,
    root: usize,
    start: usize,
}

impl Table {
    fn of(bytes: &[u8]) -> Result<Table, PlistError> {
        let trailer_at = bytes.len().saturating_sub(TRAILER_BYTES);
        let at = At::Offset(trailer_at as u64);
        let broken = |broken| PlistError { broken, at };
        if trailer_at < HEADER_BYTES {
            return Err(broken(Broken::Truncated));
        }
        let trailer = bytes.get(trailer_at..).unwrap_or_default();
        let field = |from: usize, to: usize| {
            let n = big_endian(trailer.get(from..to).unwrap_or_default());
            usize::try_from(n).map_err(|_| broken(Broken::Trailer))
        };
        let table = Table {
            offset_size: field(6, 7)?,
            reference_size: field(7, 8)?,
            objects: field(8, 16)?,
            root: field(16, 24)?,
            start: field(24, 32)?,
        };
        let end = table.objects.checked_mul(table.offset_size).and_then(|n| n.checked_add(table.start));
        let sizes = 1..=8;
        let fits = sizes.contains(&table.offset_size)
            && sizes.contains(&table.reference_size)
            && table.start >= HEADER_BYTES
            && table.root < table.objects
            && end.is_some_and(|end| end <= trailer_at);
        if fits { Ok(table) } else { Err(broken(Broken::Trailer)) }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    table: Table,
    budget: Budget,
    /// The objects that contain the one being read, outermost first; never longer than the depth that is allowed.
    path: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn object(&mut self, reference: usize) -> Result<Value, PlistError> {
        let at = self.place(reference)?;
        let broken = |broken| PlistError { broken, at: At::Offset(at as u64) };
        let marker = self.slice(at, 1)?.first().copied().unwrap_or_default();
        let (kind, low) = (marker >> 4, usize::from(marker & 0x0f));
        let depth = self.path.len() + 1;
        match (kind, low) {
            (0x0, 0x8 | 0x9) => self.count(at, depth, 0).map(|()| Value::Bool(low == 0x9)),
            (0x1, 0..=4) => {
                self.count(at, depth, 0)?;
                integer(self.slice(at + 1, 1 << low)?).ok_or_else(|| broken(Broken::Integer))
            }
            (0x2, 2 | 3) => {
                self.count(at, depth, 0)?;
                Ok(Value::Real(real(self.slice(at + 1, 1 << low)?)))
            }
            (0x3, 3) => {
                self.count(at, depth, 0)?;
                date(real(self.slice(at + 1, 8)?)).ok_or_else(|| broken(Broken::Date))
            }
            (0x4, _) => {
                let (size, start) = self.size(at, low)?;
                self.count(at, depth, size)?;
                Ok(Value::Data(self.slice(start, size)?.to_vec()))
            }
            (0x5 | 0x6, _) => self.string(at, depth).map(Value::String),
            (0xa, _) => self.array(reference, at, low).map(Value::Array),
            (0xd, _) => self.dict(reference, at, low).map(Value::Dict),
            _ => Err(broken(Broken::Type(marker))),
        }
    }

    /// Marker 5 is ASCII (CoreFoundation writes nothing else; we take UTF-8), 6 is UTF-16 in big-endian order.
    fn string(&mut self, at: usize, depth: usize) -> Result<String, PlistError> {
        let broken = |broken| PlistError { broken, at: At::Offset(at as u64) };
        let marker = self.slice(at, 1)?.first().copied().unwrap_or_default();
        let (size, start) = self.size(at, usize::from(marker & 0x0f))?;
        if marker >> 4 == 0x5 {
            self.count(at, depth, size)?;
            let text = std::str::from_utf8(self.slice(start, size)?).map_err(|_| broken(Broken::Encoding))?;
            return Ok(text.to_owned());
        }
        let bytes = size.checked_mul(2).ok_or_else(|| broken(Broken::Truncated))?;
        self.count(at, depth, bytes)?;
        let units = self.slice(start, bytes)?.chunks_exact(2).map(|pair| big_endian(pair) as u16);
        char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| broken(Broken::Encoding))
    }

    fn array(&mut self, reference: usize, at: usize, low: usize) -> Result<Vec<Value>, PlistError> {
        let (size, start) = self.size(at, low)?;
        self.enter(reference, at)?;
        let mut values = Vec::new();
        for child in self.references(start, size)? {
            values.push(self.object(child)?);
        }
        self.path.pop();
        Ok(values)
    }

    fn dict(&mut self, reference: usize, at: usize, low: usize) -> Result<Dict, PlistError> {
        let (size, start) = self.size(at, low)?;
        self.enter(reference, at)?;
        let keys = self.references(start, size)?;
        let values = self.references(start + size * self.table.reference_size, size)?;
        let mut dict = Dict::default();
        for (key, value) in keys.zip(values) {
            let key_at = self.place(key)?;
            if !matches!(self.slice(key_at, 1)?, [0x50..=0x6f]) {
                return Err(PlistError { broken: Broken::Key, at: At::Offset(key_at as u64) });
            }
            let key = self.string(key_at, self.path.len())?;
            let value = self.object(value)?;
            dict.0.push((key, value));
        }
        self.path.pop();
        Ok(dict)
    }

    fn enter(&mut self, reference: usize, at: usize) -> Result<(), PlistError> {
        self.count(at, self.path.len() + 1, 0)?;
        if self.path.contains(&reference) {
            return Err(PlistError { broken: Broken::Cycle, at: At::Offset(at as u64) });
        }
        self.path.push(reference);
        Ok(())
    }

    /// Where an object begins.
    fn place(&self, reference: usize) -> Result<usize, PlistError> {
        let entry = self.table.start.saturating_add(reference.saturating_mul(self.table.offset_size));
        let at = At::Offset(entry as u64);
        if reference >= self.table.objects {
            return Err(PlistError { broken: Broken::Reference, at });
        }
        let offset = usize::try_from(big_endian(self.slice(entry, self.table.offset_size)?)).unwrap_or(usize::MAX);
        if (HEADER_BYTES..self.table.start).contains(&offset) {
            Ok(offset)
        } else {
            Err(PlistError { broken: Broken::Reference, at })
        }
    }

    /// The number of a marker's items and where they begin: in the marker's low half, or in an integer behind it.
    fn size(&self, at: usize, low: usize) -> Result<(usize, usize), PlistError> {
        if low != 0x0f {
            return Ok((low, at + 1));
        }
        let broken = || PlistError { broken: Broken::Integer, at: At::Offset(at as u64 + 1) };
        let marker = self.slice(at + 1, 1)?.first().copied().unwrap_or_default();
        if !(0x10..=0x13).contains(&marker) {
            return Err(broken());
        }
        let width = 1_usize << (marker & 0x0f);
        let size = usize::try_from(big_endian(self.slice(at + 2, width)?)).map_err(|_| broken())?;
        Ok((size, at + 2 + width))
    }

    /// A run of references. They are read from the bytes one by one, so that a size that lies costs nothing.
    fn references(&self, start: usize, size: usize) -> Result<impl Iterator<Item = usize> + use<'a>, PlistError> {
        let width = self.table.reference_size;
        let bytes = self.slice(start, size.saturating_mul(width))?;
        Ok(bytes.chunks_exact(width).map(|n| usize::try_from(big_endian(n)).unwrap_or(usize::MAX)))
    }

    fn slice(&self, start: usize, size: usize) -> Result<&'a [u8], PlistError> {
        // Objects lie before the offset table, the table before the trailer; both ends were checked.
        let end = start.checked_add(size).filter(|&end| end <= self.bytes.len().saturating_sub(TRAILER_BYTES));
        end.and_then(|end| self.bytes.get(start..end))
            .ok_or(PlistError { broken: Broken::Truncated, at: At::Offset(start as u64) })
    }

    fn count(&mut self, at: usize, depth: usize, bytes: usize) -> Result<(), PlistError> {
        self.budget.value(depth, bytes).map_err(|broken| PlistError { broken, at: At::Offset(at as u64) })
    }
}

/// Up to 8 bytes are without a sign, but a whole number of 8 has one; 16 bytes are for what 63 bits don't hold.
fn integer(bytes: &[u8]) -> Option<Value> {
    match bytes.len() {
        8 => Some(Value::Integer(big_endian(bytes) as i64)),
        16 => {
            let (high, low) = bytes.split_at_checked(8)?;
            let whole = i128::from(big_endian(high) as i64) << 64 | i128::from(big_endian(low));
            match (i64::try_from(whole), u64::try_from(whole)) {
                (Ok(n), _) => Some(Value::Integer(n)),
                (_, Ok(n)) => Some(Value::Unsigned(n)),
                _ => None,
            }
        }
        _ => i64::try_from(big_endian(bytes)).ok().map(Value::Integer),
    }
}

fn real(bytes: &[u8]) -> f64 {
    let bits = big_endian(bytes);
    if bytes.len() == 4 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) }
}

/// Seconds since 2001-01-01T00:00:00Z.
fn date(seconds: f64) -> Option<Value> {
    let us = (seconds * 1e6).round();
    // The cast saturates, and what it saturates to is out of the range below; NaN would become 0.
    let at = Wall((us as i64).saturating_add(EPOCH_US));
    (!us.is_nan() && dates::SPELLABLE_SECS.contains(&at.secs())).then_some(Value::Date(at))
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b))
}

const HEADER_BYTES: usize = 8;
const TRAILER_BYTES: usize = 32;
const EPOCH_US: i64 = 978_307_200_000_000;
