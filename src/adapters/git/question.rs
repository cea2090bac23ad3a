//! The empty folder in which an agent is asked a question: outside every repository, and gone afterwards.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{folders::remove, worktree::wrong};
use crate::{
    adapters::temporary,
    ports::worktrees::{Error, Place},
};

/// The most that is read of what an agent left in it, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// Makes the folder in a room of its own, with these files.
pub(super) fn make(room: &Path, files: &[(&str, &str)]) -> Result<Place, Error> {
    // Not `tree`: what a crash leaves here is nobody's work and is not kept.
    let top = room.join("check");
    let make = || -> io::Result<PathBuf> {
        fs::create_dir_all(&top)?;
        for (file, text) in files {
            fs::write(top.join(file), text)?;
        }
        room.canonicalize()
    };
    let room = make().map_err(|error| wrong("a folder cannot be made", &error))?;
    Ok(Place {
        top: room.join("check"),
        directory: room.join("check"),
        room,
        base: String::new(),
        tree: String::new(),
    })
}

/// Returns the text of a file in it.
pub(super) fn read(place: &Place, file: &str) -> Option<String> {
    let path = place.top.join(file);
    // An agent may have put anything there.
    let meta = path.symlink_metadata().ok()?;
    let fits = meta.is_file() && meta.len() <= MOST_BYTES;
    fits.then(|| fs::read_to_string(path).ok()).flatten()
}

/// Takes the whole room away.
pub(super) fn take_away(place: &Place) -> Result<(), Error> {
    temporary::blocking_remove_of_room(&place.room);
    remove(&place.room).map_err(|error| wrong("a folder cannot be taken away", &error))?;
    // The folder of the run goes with its last room.
    drop(place.room.parent().map(fs::remove_dir));
    Ok(())
}
