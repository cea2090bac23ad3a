//! One pack for everything a checkpoint adds: written aside, synced, then named.
//!
//! A reader sees a pack only by its index, so the index is named last. What a crash leaves is a file
//! `tmp_tos_…` that `git gc` removes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, Crc, write::ZlibEncoder};
use sha1::{Digest, Sha1};
use tempfile::NamedTempFile;

use super::{
    object,
    object::{ObjectId, ObjectKind, PackedObject, hex},
};
use crate::{
    adapters::git::error::{ErrorContext, Result, joined},
    domain::checkpoint::CheckpointError,
};

/// Above this many bytes the buffer goes to disk.
const BUFFER: usize = 4 << 20;

/// A pack being written.
pub(in crate::adapters::git) struct PackWriter {
    directory: PathBuf,
    file: Option<NamedTempFile>,
    buffer: Vec<u8>,
    written: u64,
    entries: BTreeMap<ObjectId, PackEntry>,
}

#[derive(Debug, Clone, Copy)]
struct PackEntry {
    offset: u64,
    crc: u32,
}

impl PackWriter {
    /// Starts a pack for this object database, e.g. `.git/objects`. Touches no file yet.
    pub(in crate::adapters::git) fn new(objects: &Path) -> Self {
        let mut buffer = b"PACK".to_vec();
        buffer.extend(2_u32.to_be_bytes());
        buffer.extend(0_u32.to_be_bytes());
        Self {
            directory: objects.join("pack"),
            file: None,
            buffer,
            written: 0,
            entries: BTreeMap::new(),
        }
    }

    /// Tells whether an object is in the pack.
    pub(in crate::adapters::git) fn has(&self, id: &ObjectId) -> bool {
        self.entries.contains_key(id)
    }

    /// Hashes, deflates and adds an object.
    pub(in crate::adapters::git) fn add(
        &mut self,
        kind: ObjectKind,
        content: &[u8],
    ) -> Result<ObjectId> {
        self.push(&object::pack_object(kind, content))
    }

    /// Adds a prepared object unless it is there.
    pub(in crate::adapters::git) fn push(&mut self, object: &PackedObject) -> Result<ObjectId> {
        if !self.has(&object.id) {
            let mut crc = Crc::new();
            crc.update(&object.bytes);
            self.enter(object.id, crc.sum());
            self.buffer.extend_from_slice(&object.bytes);
            self.spill_above(BUFFER)?;
        }
        Ok(object.id)
    }

    /// Adds a blob that is too big for memory; fails where the file has not this size any more.
    pub(in crate::adapters::git) fn stream(
        &mut self,
        file: &mut File,
        size: u64,
        path: &Path,
    ) -> Result<ObjectId> {
        let start = self.position();
        let mut header = Vec::new();
        object::pack_header(ObjectKind::Blob, size, &mut header);
        let mut crc = Crc::new();
        crc.update(&header);
        self.buffer.extend(&header);
        let mut hasher = object::hasher(ObjectKind::Blob, size);
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut chunk = vec![0; 1 << 18];
        let mut total = 0;
        loop {
            let read = file.read(&mut chunk).at("read", path)?;
            let bytes = chunk.get(..read).unwrap_or_default();
            total += read as u64;
            hasher.update(bytes);
            encoder.write_all(bytes).at("deflate", path)?;
            let ready = std::mem::take(encoder.get_mut());
            crc.update(&ready);
            self.buffer.extend(ready);
            self.spill_above(BUFFER)?;
            if read == 0 {
                break;
            }
        }
        let rest = encoder.finish().at("deflate", path)?;
        crc.update(&rest);
        self.buffer.extend(rest);
        if total != size {
            let what = crate::adapters::git::error::path_text(path);
            return Err(CheckpointError::Moving { what });
        }
        let id = hasher.finalize().into();
        if self.has(&id) {
            self.cut(start)?;
        } else {
            let entry = PackEntry {
                offset: start,
                crc: crc.sum(),
            };
            self.entries.insert(id, entry);
        }
        Ok(id)
    }

    /// Makes the pack durable and visible; does nothing where it is empty.
    pub(in crate::adapters::git) fn finish(self) -> Result<()> {
        self.finish_with(&[])
    }

    /// Makes the pack durable and visible, unless it is empty, and `also` durable in the same go.
    pub(in crate::adapters::git) fn finish_with(mut self, also: &[&Path]) -> Result<()> {
        if self.entries.is_empty() {
            return blocking_sync(also);
        }
        self.spill_above(0)?;
        let Some(mut file) = self.file.take() else {
            return blocking_sync(also);
        };
        let sum =
            seal(file.as_file_mut(), self.entries.len()).at("write a pack in", &self.directory)?;
        let index = self.index(&sum);
        let name = self.directory.join(format!("pack-{}", hex(&sum)));
        let mut index_file = temporary(&self.directory)?;
        index_file
            .write_all(&index)
            .at("write a pack index in", &self.directory)?;
        let mut paths = vec![file.path(), index_file.path()];
        paths.extend(also);
        blocking_sync(&paths)?;
        name_file(file, &name.with_extension("pack"))?;
        name_file(index_file, &name.with_extension("idx"))?;
        sync_directory(&self.directory)
    }

    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn enter(&mut self, id: ObjectId, crc: u32) {
        let offset = self.position();
        self.entries.insert(id, PackEntry { offset, crc });
    }

    fn spill_above(&mut self, limit: usize) -> Result<()> {
        if self.buffer.len() <= limit {
            return Ok(());
        }
        if self.file.is_none() {
            std::fs::create_dir_all(&self.directory).at("create", &self.directory)?;
            self.file = Some(temporary(&self.directory)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.buffer)
                .at("write a pack in", &self.directory)?;
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Forgets everything after a position.
    fn cut(&mut self, position: u64) -> Result<()> {
        self.spill_above(0)?;
        if let Some(file) = &mut self.file {
            file.as_file()
                .set_len(position)
                .and_then(|()| file.as_file_mut().seek(SeekFrom::Start(position)))
                .at("cut a pack in", &self.directory)?;
        }
        self.written = position;
        Ok(())
    }

    /// Returns the bytes of the pack's index, version 2.
    fn index(&self, sum: &ObjectId) -> Vec<u8> {
        let mut bytes = b"\xfftOc\0\0\0\x02".to_vec();
        let mut counts = [0_u32; 256];
        for id in self.entries.keys() {
            if let Some(count) = counts.get_mut(usize::from(id[0])) {
                *count += 1;
            }
        }
        let mut total = 0;
        for count in counts {
            total += count;
            bytes.extend(total.to_be_bytes());
        }
        bytes.extend(self.entries.keys().flatten());
        bytes.extend(self.entries.values().flat_map(|e| e.crc.to_be_bytes()));
        let mut large = Vec::new();
        for entry in self.entries.values() {
            let offset = u32::try_from(entry.offset).ok().filter(|at| at >> 31 == 0);
            let offset = offset.unwrap_or_else(|| {
                large.extend(entry.offset.to_be_bytes());
                0x8000_0000 | u32::try_from(large.len() / 8 - 1).unwrap_or_default()
            });
            bytes.extend(offset.to_be_bytes());
        }
        bytes.extend(large);
        bytes.extend(sum);
        let own: ObjectId = Sha1::digest(&bytes).into();
        bytes.extend(own);
        bytes
    }
}

/// Writes the number of objects and the checksum; returns the checksum.
fn seal(file: &mut File, objects: usize) -> std::io::Result<ObjectId> {
    let objects = u32::try_from(objects).map_err(std::io::Error::other)?;
    file.seek(SeekFrom::Start(8))?;
    file.write_all(&objects.to_be_bytes())?;
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha1::new();
    let mut chunk = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(chunk.get(..read).unwrap_or_default());
    }
    let sum: ObjectId = hasher.finalize().into();
    file.write_all(&sum)?;
    Ok(sum)
}

fn temporary(directory: &Path) -> Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix("tmp_tos_")
        .tempfile_in(directory)
        .at("create a file in", directory)
}

fn name_file(file: NamedTempFile, name: &Path) -> Result<()> {
    let readable = std::fs::Permissions::from_mode(0o444);
    file.as_file()
        .set_permissions(readable)
        .at("set the mode of", file.path())?;
    file.persist(name)
        .map(drop)
        .map_err(|error| error.error)
        .at("name", name)
}

/// Makes files and directories durable, side by side: the disk then does it in one go.
pub(in crate::adapters::git) fn blocking_sync(paths: &[&Path]) -> Result<()> {
    let sync = |path: &Path| {
        let done = File::open(path).and_then(|file| file.sync_all());
        done.at("sync", path)
    };
    let Some((first, others)) = paths.split_first() else {
        return Ok(());
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = others
            .iter()
            .map(|path| scope.spawn(move || sync(path)))
            .collect();
        let done = sync(first);
        others.into_iter().map(joined).fold(done, Result::and)
    })
}

/// Makes the names in a directory durable.
pub(in crate::adapters::git) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .at("sync", directory)
}
