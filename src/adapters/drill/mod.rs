//! Throw-away places for drills, and the scripted agent that works in them.
//!
//! A place lies below `.tos/drills` of the root: a repository `work`, a home with false keys, a folder
//! nobody may touch, listeners nobody may reach. The program that runs there is this very one, with an
//! environment that knows nothing but the place. Whatever a drill leaves goes with the place; what a killed
//! drill left is swept by the next one.

mod site;
mod stub;
mod traps;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    adapters::{signals, state_folder},
    domain::{drill::Drill, state_folder::tos_path},
    ports::drill_site::{DrillSites, DrillWorkspace, Error},
};

pub use stub::drill_agent_main;

/// The word that makes tos the scripted agent of a drill.
pub const STUB_AGENT_ARG: &str = "__stub";

/// What drills need to know once.
#[derive(Debug, Clone)]
pub struct DrillOptions {
    /// The root, below which places are made.
    pub root: PathBuf,
    /// This program.
    pub program: PathBuf,
    /// Where programs are found.
    pub path: OsString,
}

/// Makes throw-away places below a root.
#[derive(Debug)]
pub struct TempDirSites {
    options: DrillOptions,
    stop: Arc<AtomicBool>,
}

fn trouble(what: &str) -> impl Fn(io::Error) -> Error {
    let what = what.to_owned();
    move |error| Error::Trouble(format!("{what}: {error}"))
}

impl TempDirSites {
    /// Makes the ground; from now on a request to stop ends a drill in an orderly way.
    pub fn new(options: DrillOptions) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let cannot = trouble("requests to stop cannot be heard");
        for signal in signals::heard() {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(&cannot)?;
        }
        Ok(Self { options, stop })
    }
}

impl DrillSites for TempDirSites {
    fn create_site(&self, drill: &Drill) -> Result<Box<dyn DrillWorkspace>, Error> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let folder = self.options.root.join(tos_path!("drills"));
        let cannot = trouble("no place for a drill can be made");
        state_folder::create_dir_all(&folder).map_err(&cannot)?;
        // Sweeping and laying out take turns, so that a place without a lock is nobody's.
        let turn = fs::File::create(self.options.root.join(tos_path!("drills.lock")));
        let turn = turn.map_err(&cannot)?;
        turn.lock().map_err(&cannot)?;
        sweep(&folder);
        let site =
            site::TempDirSite::create_site(drill, &folder, &self.options, Arc::clone(&self.stop))?;
        Ok(Box::new(site))
    }
}

/// Removes the places of drills that were killed: those whose lock nobody holds, or that have none yet.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let lock = fs::File::open(path.join("lock"));
        if lock.map_or(true, |lock| lock.try_lock().is_ok()) {
            // What the killed drill had started may still be at work there.
            if let Some(name) = path.file_name() {
                traps::kill_marked(&name.to_string_lossy());
            }
            // What cannot be removed now is tried again by the next drill.
            drop(fs::remove_dir_all(path));
        }
    }
}
