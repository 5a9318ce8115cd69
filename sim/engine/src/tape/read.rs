//! Reading what somebody else may have written: no length is believed, and nothing panics.

use super::{FIRST_LINE, Header, Line, PAGE_BYTES_MAX, ReplayError};
use droves_device::tape;
use std::io::{self, Read};

/// A tape, page after page.
pub(super) struct Pages<R> {
    from: R,
    /// How far it is read.
    pub(super) at: u64,
}

/// What comes next on a tape.
pub(super) enum Next {
    /// A shard's lines, encoded.
    Page(Page),
    /// Nothing: the file is over.
    Over,
    /// Part of a page: the file was cut off.
    Cut,
}

/// Lines of a shard.
pub(super) struct Page {
    pub(super) shard: usize,
    lines: Vec<u8>,
}

impl<R: Read> Pages<R> {
    /// Reads the first line and the first page.
    pub(super) fn open(from: R) -> Result<(Header, Self), ReplayError> {
        let mut pages = Pages { from, at: 0 };
        let mut line = [0; FIRST_LINE.len()];
        let read = pages.fill(&mut line)?;
        if read < line.len() || line != FIRST_LINE {
            let is_other = read == line.len() && line.starts_with(b"droves tape ");
            return Err(if is_other { ReplayError::OtherFormat } else { ReplayError::NoTape });
        }
        let header = pages.read()?.ok_or(ReplayError::NoTape)?;
        let header = postcard::from_bytes(&header).map_err(|why| pages.damaged(&why))?;
        Ok((header, pages))
    }

    /// The next page.
    pub(super) fn next(&mut self) -> Result<Next, ReplayError> {
        let before = self.at;
        match self.read()? {
            None if self.at == before => Ok(Next::Over),
            None => Ok(Next::Cut),
            Some(page) => {
                let (shard, rest) = postcard::take_from_bytes(&page).map_err(|why| self.damaged(&why))?;
                Ok(Next::Page(Page { shard, lines: rest.to_vec() }))
            }
        }
    }

    /// What is in a page; none where the file ends in it or before it.
    fn read(&mut self) -> Result<Option<Vec<u8>>, ReplayError> {
        let mut head = [0; 12];
        if self.fill(&mut head)? < head.len() {
            return Ok(None);
        }
        let [a, b, c, d, sum @ ..] = head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > PAGE_BYTES_MAX {
            return Err(self.damaged(&format!("a page of {length} bytes")));
        }
        // Grows with what comes: a length alone takes no memory.
        let mut page = Vec::new();
        self.at += self.from.by_ref().take(length as u64).read_to_end(&mut page)? as u64;
        if page.len() < length {
            return Ok(None);
        }
        if tape::sum(&page) != sum {
            return Err(self.damaged(&"a page is not what was written"));
        }
        Ok(Some(page))
    }

    /// How many bytes came.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.at += filled as u64;
        Ok(filled)
    }

    pub(super) fn damaged(&self, why: &impl ToString) -> ReplayError {
        ReplayError::Damaged { at: self.at, why: why.to_string() }
    }
}

impl Page {
    /// Its lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = Result<Line, postcard::Error>> + '_ {
        let mut rest = self.lines.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let line = postcard::take_from_bytes(rest);
            // After one that does not read there is no next.
            rest = line.as_ref().map_or(&[][..], |(_, after)| after);
            Some(line.map(|(line, _)| line))
        })
    }
}
