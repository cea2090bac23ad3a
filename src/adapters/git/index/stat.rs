//! What `lstat` says about a file, in the index's own 32-bit fields.

/// The stat data of one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::adapters::git) struct Stat {
    /// Seconds and nanoseconds of the last change of the inode.
    pub(in crate::adapters::git) ctime: (u32, u32),
    /// Seconds and nanoseconds of the last change of the content.
    pub(in crate::adapters::git) mtime: (u32, u32),
    /// The device.
    pub(in crate::adapters::git) dev: u32,
    /// The inode.
    pub(in crate::adapters::git) ino: u32,
    /// The owner.
    pub(in crate::adapters::git) uid: u32,
    /// The group.
    pub(in crate::adapters::git) gid: u32,
    /// The size, modulo 2^32.
    pub(in crate::adapters::git) size: u32,
}

/// The index keeps the low 32 bits of every field.
fn low(value: impl Into<i128>) -> u32 {
    u32::try_from(value.into() & 0xffff_ffff).unwrap_or_default()
}

impl From<&rustix::fs::Stat> for Stat {
    fn from(stat: &rustix::fs::Stat) -> Self {
        Self {
            ctime: (low(stat.st_ctime), low(stat.st_ctime_nsec)),
            mtime: (low(stat.st_mtime), low(stat.st_mtime_nsec)),
            dev: low(stat.st_dev),
            ino: low(stat.st_ino),
            uid: low(stat.st_uid),
            gid: low(stat.st_gid),
            size: low(stat.st_size),
        }
    }
}

impl From<&std::fs::Metadata> for Stat {
    fn from(data: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            ctime: (low(data.ctime()), low(data.ctime_nsec())),
            mtime: (low(data.mtime()), low(data.mtime_nsec())),
            dev: low(data.dev()),
            ino: low(data.ino()),
            uid: low(data.uid()),
            gid: low(data.gid()),
            size: low(data.size()),
        }
    }
}

impl Stat {
    /// Tells whether nothing touched the file between two looks. The device may be renumbered by a
    /// mount, so it is not compared, as git does not.
    pub(in crate::adapters::git) fn is_same_file(&self, other: &Self) -> bool {
        Self { dev: 0, ..*self } == Self { dev: 0, ..*other }
    }
}
