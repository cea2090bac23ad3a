//! How SPEC gets from tos to every stage: a file in memory that nobody can change, inherited under one number.
//!
//! Not on the command line, which every user of the machine can read (`/proc/PID/cmdline`): it names the places of keys.

use std::{
    fs::File,
    io,
    io::Write,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::{super::spec::SandboxSpec, shared::JailError};

/// The longest specification that is believed.
const LONGEST: usize = 16 << 20;

/// Writes a specification into a new file.
pub(super) fn written(text: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("tos-sandbox", flags)?);
    file.write_all(text.as_bytes())?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// Reads the specification a stage was started with, from its beginning: other stages read the same file.
pub(super) fn read(number: &str) -> Result<SandboxSpec, JailError> {
    let number: i32 = number
        .parse()
        .ok()
        .filter(|number| *number > 2)
        .ok_or("the specification is no number of a file")?;
    #[expect(
        unsafe_code,
        reason = "a descriptor can be handed through exec only by its number"
    )]
    // SAFETY: tos opened this descriptor for the stages and no stage closes it before this is over.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    let file = File::from(file.try_clone_to_owned()?);
    let mut bytes = Vec::new();
    let mut part = [0; 16 * 1024];
    while bytes.len() <= LONGEST {
        let count = file.read_at(&mut part, bytes.len() as u64)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(part.get(..count).unwrap_or_default());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_was_written_can_be_read_twice_and_changed_by_nobody() {
        let file = written("{}").unwrap();
        let number = file.as_raw_fd().to_string();
        for _ in 0..2 {
            // It is no specification, but it was read to its end.
            let error = read(&number).unwrap_err().to_string();
            assert!(error.contains("missing field"), "{error}");
        }
        assert!(File::from(file).write_at(b"x", 0).is_err());
        assert!(read("1").is_err() && read("none").is_err());
    }
}
