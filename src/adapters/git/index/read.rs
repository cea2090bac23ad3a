//! Reads an index file, versions 2 to 4.

use std::{os::unix::fs::MetadataExt, path::Path};

use super::{CacheTree, Index, IndexEntry, Stat};
use crate::adapters::git::{
    error::{ErrorContext, Result, corrupt},
    objects::object::ObjectId,
};

const HAS_EXTENDED: u16 = 0x4000;

/// Why an index was left to the git program: the word git uses for what it holds.
#[derive(Debug)]
pub(in crate::adapters::git) struct UnsupportedIndex(
    #[expect(dead_code, reason = "shown by Debug")] String,
);

/// Reads an index; an absent file is an empty one.
pub(in crate::adapters::git) fn read(
    path: &Path,
) -> Result<std::result::Result<Index, UnsupportedIndex>> {
    let data = match std::fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Ok(Index {
                version: 2,
                ..Index::default()
            }));
        }
        Err(error) => return Err(error).at("look at", path),
    };
    let bytes = std::fs::read(path).at("read", path)?;
    let stat = Stat::from(&data);
    debug_assert_eq!(u64::from(stat.size), data.size() & 0xffff_ffff);
    let parsed = parse(&bytes).ok_or_else(|| corrupt("it is not an index of git", path))?;
    Ok(parsed.map(|mut index| {
        index.written = stat.mtime;
        index
    }))
}

/// Reads the bytes of an index; `None` where this module does not understand them.
pub(in crate::adapters::git) fn parse_bytes(bytes: &[u8]) -> Option<Index> {
    parse(bytes)?.ok()
}

fn parse(bytes: &[u8]) -> Option<std::result::Result<Index, UnsupportedIndex>> {
    let body = bytes.get(..bytes.len().checked_sub(20)?)?;
    let mut rest = body.strip_prefix(b"DIRC")?;
    let version = u32_from(&mut rest)?;
    if !(2..=4).contains(&version) {
        return Some(Err(UnsupportedIndex(format!("version {version}"))));
    }
    let count = u32_from(&mut rest)? as usize;
    let mut index = Index {
        version,
        entries: Vec::with_capacity(count.min(bytes.len() / 62 + 1)),
        paths: Vec::with_capacity(bytes.len() / 3),
        ..Index::default()
    };
    for _ in 0..count {
        entry(&mut rest, &mut index)?;
    }
    while !rest.is_empty() {
        let (signature, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        let size = u32_from(&mut rest)? as usize;
        let (content, after) = rest.split_at_checked(size)?;
        rest = after;
        if signature == b"TREE" {
            index.tree = CacheTree::parse(content);
        } else if !signature[0].is_ascii_uppercase() {
            // A lower-case extension changes what the entries mean: split and sparse indexes.
            return Some(Err(UnsupportedIndex(
                String::from_utf8_lossy(signature).into_owned(),
            )));
        }
    }
    Some(Ok(index))
}

fn entry(rest: &mut &[u8], index: &mut Index) -> Option<()> {
    let whole = *rest;
    let mut field = [0_u32; 10];
    for value in &mut field {
        *value = u32_from(rest)?;
    }
    let [csec, cnano, msec, mnano, dev, ino, mode, uid, gid, size] = field;
    let (id, after) = rest.split_first_chunk::<20>()?;
    let id: ObjectId = *id;
    *rest = after;
    let flags = u16_from(rest)?;
    let extended = if flags & HAS_EXTENDED == 0 {
        0
    } else {
        u16_from(rest)?
    };
    let start = index.paths.len();
    if index.version == 4 {
        let (cut, after) = offset(rest)?;
        *rest = after;
        let before = index.entries.last().copied();
        let kept = before
            .map_or(0, |entry| entry.length as usize)
            .checked_sub(cut)?;
        let from = before.map_or(0, |entry| entry.start as usize);
        index.paths.extend_from_within(from..from + kept);
        let end = rest.iter().position(|byte| *byte == 0)?;
        index.paths.extend_from_slice(rest.get(..end)?);
        *rest = rest.get(end + 1..)?;
    } else {
        let end = path_end(rest, flags)?;
        index.paths.extend_from_slice(rest.get(..end)?);
        let used = whole.len() - rest.len() + end;
        *rest = whole.get(used + 8 - used % 8..)?;
    }
    index.entries.push(IndexEntry {
        stat: Stat {
            ctime: (csec, cnano),
            mtime: (msec, mnano),
            dev,
            ino,
            uid,
            gid,
            size,
        },
        mode,
        id,
        flags: flags & !(HAS_EXTENDED | 0x0fff),
        extended,
        start: u32::try_from(start).ok()?,
        length: u32::try_from(index.paths.len() - start).ok()?,
    });
    Some(())
}

/// The length is in the flags, except of paths too long for twelve bits.
fn path_end(rest: &[u8], flags: u16) -> Option<usize> {
    let length = usize::from(flags & 0x0fff);
    if length < 0x0fff && rest.get(length) == Some(&0) {
        return Some(length);
    }
    rest.iter().position(|byte| *byte == 0)
}

/// Reads the variable-width number of version 4.
fn offset(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let mut value = usize::from(first & 0x7f);
    let mut byte = *first;
    while byte & 0x80 != 0 {
        let (next, after) = rest.split_first()?;
        byte = *next;
        rest = after;
        value = value.checked_add(1)?.checked_mul(128)? + usize::from(byte & 0x7f);
    }
    Some((value, rest))
}

fn u32_from(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*bytes))
}

fn u16_from(rest: &mut &[u8]) -> Option<u16> {
    let (bytes, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*bytes))
}
