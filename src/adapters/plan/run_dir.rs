//! The directory of one run: plan copy, run log, `state.json`, logs, artifacts, report, lock.
//!
//! The lock is the kernel's: it ends with the process that holds it, whatever ended that. The file `.lock` says in
//! words who holds it.

use std::{
    fs::File,
    io::{BufRead as _, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, Mode, OFlags, inotify},
};

use crate::{
    adapters::{
        plan::{
            host::{HostSettings, LocalTaskHost},
            import_orch, loader, log,
            log::RunLogWriter,
            log_tail::tail,
            orphans, plan_copy, safe_open,
        },
        state_folder,
    },
    domain::plan::{
        Plan,
        event::{Millis, PlanEvent},
        state::RunState,
        view::{RunView, ViewDetail},
    },
    ports::{
        plan_host::{TaskConfinement, TaskHost},
        plan_store::{Error, LoadError, LogStream, RunDir},
        plan_work::RemoteTasks,
    },
};

/// How often a lock is looked at again whose owner is dead.
const PATIENCE: u32 = 50;

/// Returns whether the words of a lock name a process that lives; one that is ending does not.
fn names_a_living_process(owner: &str) -> bool {
    let Some(pid) = owner
        .split(' ')
        .next()
        .filter(|pid| pid.parse::<u32>().is_ok())
    else {
        return false;
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything, stands the state.
    let state = status
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X' | 'x'))
}

/// One run on disk.
pub(crate) struct LocalRunDir {
    home: PathBuf,
    path: PathBuf,
    id: String,
    lock: Option<File>,
    writer: Option<RunLogWriter>,
}

fn disk(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk {
        doing,
        path,
        source,
    }
}

fn create_private(path: &Path) -> std::io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?.into())
}

fn write_copy(plan: &Plan, path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(create_private(path)?);
    plan_copy::write(plan, &mut out)?;
    out.into_inner()?.sync_data()
}

impl LocalRunDir {
    /// Names the run `id` of `home`; nothing is touched.
    pub(crate) fn at(home: &Path, id: &str) -> Self {
        let path = home.join("runs").join(id);
        Self {
            home: home.to_owned(),
            path,
            id: id.to_owned(),
            lock: None,
            writer: None,
        }
    }

    /// Makes the directory, which must not exist, with a copy of the plan.
    pub(crate) fn make(&self) -> Result<(), Error> {
        let runs = self.home.join("runs");
        state_folder::create_record_folder(&runs).map_err(disk("could not create", &runs))?;
        std::fs::create_dir(&self.path).map_err(disk("could not create", &self.path))
    }

    /// Takes away a run that could not begin (a full disk): nothing has run, and half a run would look damaged.
    pub(crate) fn unmake(&mut self) {
        self.writer = None;
        self.unlock();
        drop(std::fs::remove_dir_all(&self.path));
    }

    pub(crate) fn fill(&mut self, plan: &Plan) -> Result<(), Error> {
        self.lock()?;
        let logs = self.path.join("logs");
        std::fs::create_dir(&logs).map_err(disk("could not create", &logs))?;
        let copy = self.path.join("plan.yaml");
        write_copy(plan, &copy).map_err(disk("could not write", &copy))
    }

    fn log_path(&self) -> PathBuf {
        self.path.join("run.jsonl")
    }

    fn damaged(&self, why: String) -> Error {
        Error::Damaged {
            run: self.id.clone(),
            why,
        }
    }

    fn has_log(&self) -> bool {
        std::fs::symlink_metadata(self.log_path()).is_ok()
    }

    fn writer(&mut self) -> Result<&mut RunLogWriter, Error> {
        if self.writer.is_none() {
            // A run of the older tool gets its log when somebody first works on it here.
            let adopted = if self.has_log() {
                Vec::new()
            } else {
                import_orch::events(&self.path).unwrap_or_default()
            };
            let path = self.log_path();
            let mut writer = RunLogWriter::open(&path).map_err(disk("could not open", &path))?;
            writer
                .append(&adopted)
                .map_err(disk("could not write", &path))?;
            self.writer = Some(writer);
        }
        self.writer.as_mut().ok_or_else(|| Error::Damaged {
            run: self.id.clone(),
            why: "its log is closed".to_owned(),
        })
    }

    fn stream(&self, id: &str, stream: LogStream) -> PathBuf {
        let side = match stream {
            LogStream::Out => "out",
            LogStream::Err => "err",
        };
        self.path.join("logs").join(format!("{id}.{side}.log"))
    }
}

impl RunDir for LocalRunDir {
    fn id(&self) -> &str {
        &self.id
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&mut self) -> Result<(), Error> {
        let path = self.path.join(".lock");
        let mut patience = PATIENCE;
        loop {
            let flags = OFlags::RDWR
                | OFlags::CREATE
                | OFlags::NOFOLLOW
                | OFlags::NONBLOCK
                | OFlags::CLOEXEC;
            let opened = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600));
            let mut file: File = opened
                .map_err(|error| disk("could not open", &path)(error.into()))?
                .into();
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                let mut owner = String::new();
                drop(file.read_to_string(&mut owner));
                // A process that was killed a moment ago, and what it had begun to start, still hold it.
                if patience > 0 && !names_a_living_process(&owner) {
                    patience -= 1;
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                return Err(Error::Locked {
                    run: self.id.clone(),
                    owner: owner.trim().to_owned(),
                });
            }
            // Whoever let go in between removed the file; then this lock is on a file nobody else sees.
            let same = std::fs::symlink_metadata(&path)
                .is_ok_and(|now| file.metadata().is_ok_and(|own| own.ino() == now.ino()));
            if same {
                let words = format!(
                    "{} since {}\n",
                    std::process::id(),
                    chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%:z")
                );
                file.set_len(0)
                    .and_then(|()| file.write_all(words.as_bytes()))
                    .map_err(disk("could not write", &path))?;
                self.lock = Some(file);
                return Ok(());
            }
        }
    }

    fn unlock(&mut self) {
        self.writer = None;
        if self.lock.is_some() {
            // Removed while it is still held; left behind it would only be stale words.
            drop(std::fs::remove_file(self.path.join(".lock")));
            self.lock = None;
        }
    }

    fn is_live(&self) -> bool {
        if self.lock.is_some() {
            return true;
        }
        let Ok(file) = safe_open::open_regular(&self.path.join(".lock")) else {
            return false;
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err()
    }

    fn never_began(&self) -> bool {
        has_no_record(&self.path) && !self.is_live()
    }

    fn end_orphans(&self) -> usize {
        orphans::end_all(&self.id) as usize
    }

    fn plan(&self) -> Result<Plan, LoadError> {
        loader::load(
            &self.path.join("plan.yaml"),
            &std::collections::BTreeMap::new(),
        )
    }

    fn replace_plan(&mut self, plan: &Plan) -> Result<(), Error> {
        let (copy, fresh) = (
            self.path.join("plan.yaml"),
            self.path.join(".plan.yaml.new"),
        );
        let replace = || {
            // The time of the copy says when the run began.
            let made = std::fs::symlink_metadata(&copy)?.modified()?;
            match std::fs::remove_file(&fresh) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            write_copy(plan, &fresh)?;
            File::options()
                .write(true)
                .open(&fresh)?
                .set_modified(made)?;
            std::fs::rename(&fresh, &copy)
        };
        replace().map_err(disk("could not write", &copy))
    }

    fn state(&self) -> Result<RunState, Error> {
        let mut state = RunState::default();
        if self.never_began() {
            return Err(Error::NeverBegan {
                run: self.id.clone(),
            });
        }
        if self.has_log() {
            log::read(&self.log_path(), 0, |event| {
                state.check(&event)?;
                state.apply_owned(event);
                Ok(())
            })
            .map_err(|why| self.damaged(why))?;
        } else {
            let events = import_orch::events(&self.path).map_err(|why| self.damaged(why))?;
            for event in &events {
                state
                    .check(event)
                    .map_err(|why| self.damaged(format!("its state.json {why}")))?;
                state.apply(event);
            }
        }
        if state.created.run_id == self.id {
            Ok(state)
        } else {
            Err(self.damaged("its log does not begin with its creation".to_owned()))
        }
    }

    fn events_since(&self, from: u64) -> Result<(Vec<PlanEvent>, u64), Error> {
        let mut events = Vec::new();
        let next = log::read(&self.log_path(), from, |event| {
            events.push(event);
            Ok(())
        })
        .map_err(|why| self.damaged(why))?;
        Ok((events, next))
    }

    fn append(&mut self, events: &[PlanEvent]) -> Result<(), Error> {
        let path = self.log_path();
        self.writer()?
            .append(events)
            .map_err(disk("could not write", &path))
    }

    fn sync(&mut self) -> Result<(), Error> {
        let path = self.log_path();
        self.writer()?
            .sync()
            .map_err(disk("could not flush", &path))
    }

    fn write_state(&mut self, plan: &Plan, state: &RunState) -> Result<(), Error> {
        let (path, temporary) = (
            self.path.join("state.json"),
            self.path.join("state.json.tmp"),
        );
        let home = std::path::absolute(&self.home).unwrap_or_else(|_| self.home.clone());
        let home = home.to_string_lossy();
        let view = RunView {
            plan,
            state,
            home: &home,
            status: state.status,
            detail: ViewDetail::Classic,
        };
        let write = || {
            let mut out = BufWriter::with_capacity(128 * 1024, create_private(&temporary)?);
            serde_json::to_writer_pretty(&mut out, &view)?;
            out.write_all(b"\n")?;
            drop(out.into_inner()?);
            std::fs::rename(&temporary, &path)
        };
        write().map_err(disk("could not write", &path))
    }

    fn request_cancel(&self) -> Result<(), Error> {
        let path = self.path.join("cancel.request");
        let write = || safe_open::open_append(&path)?.write_all(b"cancel requested\n");
        // The runner is told of a file that appears; a request left over from earlier is replaced.
        drop(
            std::fs::symlink_metadata(&path)
                .is_ok_and(|found| found.is_file())
                .then(|| std::fs::remove_file(&path)),
        );
        write().map_err(disk("could not write", &path))
    }

    fn clear_cancel(&self, moment: Millis) {
        let path = self.path.join("cancel.request");
        let made = std::fs::symlink_metadata(&path).map_or(0, |found| {
            found.mtime() * 1000 + found.mtime_nsec() / 1_000_000
        });
        // Whoever asks while this command starts means this command. What cannot be removed is obeyed.
        if made < moment {
            drop(std::fs::remove_file(path));
        }
    }

    fn wait_for_change(&self, limit: Duration) {
        let watch = || -> rustix::io::Result<()> {
            let inotify =
                inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
            inotify::add_watch(&inotify, self.log_path(), inotify::WatchFlags::MODIFY)?;
            let limit = Timespec::try_from(limit).map_err(|_| rustix::io::Errno::INVAL)?;
            poll(&mut [PollFd::new(&inotify, PollFlags::IN)], Some(&limit)).map(|_| ())
        };
        if watch().is_err() {
            std::thread::sleep(limit);
        }
    }

    fn write_report(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let directory = self.path.join("report");
        let path = directory.join(name);
        let write = || {
            state_folder::create_dir_all(&directory)?;
            create_private(&path)?.write_all(text.as_bytes())
        };
        write().map_err(disk("could not write", &path))?;
        Ok(path)
    }

    fn log_tail(&self, id: &str, stream: LogStream, lines: usize) -> (Vec<u8>, u64) {
        let Ok(mut file) = safe_open::open_regular(&self.stream(id, stream)) else {
            return (Vec::new(), 0);
        };
        let end = file.metadata().map_or(0, |found| found.len());
        (tail(&mut file, end, lines).unwrap_or_default(), end)
    }

    fn log_since(&self, id: &str, stream: LogStream, from: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(mut file) = safe_open::open_regular(&self.stream(id, stream))
            && file.seek(SeekFrom::Start(from)).is_ok()
        {
            // What cannot be read now is read the next time.
            drop(file.take(1 << 20).read_to_end(&mut bytes));
        }
        bytes
    }

    fn delete(&mut self) -> Result<u64, Error> {
        let bytes = size(&self.path);
        self.writer = None;
        std::fs::remove_dir_all(&self.path).map_err(disk("could not delete", &self.path))?;
        self.lock = None;
        Ok(bytes)
    }

    fn host<'plan>(
        &self,
        plan: &'plan Plan,
        state: &RunState,
        guard: Option<TaskConfinement>,
        remote: Option<Arc<dyn RemoteTasks>>,
    ) -> Result<Box<dyn TaskHost + 'plan>, Error> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let setting = HostSettings {
            run_id: self.id.clone(),
            run: absolute(&self.path),
            home: absolute(&self.home),
            workdir: PathBuf::from(&state.created.workdir),
            reach: guard.as_ref().map(|guard| guard.reach.clone()),
        };
        let host = LocalTaskHost::new(plan, setting, guard);
        let host = host.map_err(disk("could not prepare", &self.path))?;
        Ok(Box::new(match remote {
            Some(tasks) => host.elsewhere_with(tasks, state),
            None => host,
        }))
    }
}

/// Returns whether a run has no record at all: a copy of its plan at most, a lock, folders without a file. Its first record is
/// whole before anything runs.
pub(crate) fn has_no_record(run: &Path) -> bool {
    let is_empty = |name: &str| {
        let entries = std::fs::read_dir(run.join(name));
        entries.map_or(true, |mut entries| entries.next().is_none())
    };
    let has_line = |name: &str| match std::fs::symlink_metadata(run.join(name)) {
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        Ok(found) if !found.is_file() => true,
        Ok(_) => safe_open::open_regular(&run.join(name)).map_or(true, |file| {
            let mut line = Vec::new();
            let read = std::io::BufReader::new(file)
                .take(1 << 20)
                .read_until(b'\n', &mut line);
            read.is_err() || line.ends_with(b"\n") || line.len() >= 1 << 20
        }),
    };
    run.is_dir()
        && is_empty("logs")
        && is_empty("report")
        && !has_line("run.jsonl")
        && std::fs::symlink_metadata(run.join("state.json")).is_err()
}

fn size(path: &Path) -> u64 {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !found.is_dir() {
        return found.blocks() * 512;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
}
