//! Makes single tasks of plans that run elsewhere: each is a plan of its own, run by this program as a child.
//!
//! So everything that a plan does for its tasks holds here too: deadlines, idle limits, logs, outputs, and the policy with the wall of
//! this machine. What a worker that died left behind is ended when the next one starts.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    adapters::{
        plan::{LocalPlanStore, outputs},
        state_folder,
    },
    domain::{
        cluster::{PlanTaskRequest, RemoteExit, path_below},
        plan::event::{AttemptEnded, PlanEvent},
        state_folder::tos_path,
    },
    ports::{
        BoxFuture,
        cluster::{Error, StopFeed},
        plan_store::{LogStream, PlanStore as _, RunDir},
        plan_work::{PrintSink, TaskExecutionResult, TaskExecutor, TaskOutputFile},
    },
};

/// The line that the log of each attempt begins with.
const HEADER: &[u8] = b"\n===== attempt 1 / 1 =====\n";
/// How often is looked what a task printed meanwhile, and how much of each stream is shown in all; everything comes with the result.
const LOOK: Duration = Duration::from_secs(1);
const SHOWN: u64 = 8 * 1024 * 1024;

/// How many bytes of what a child said are told where it made no run.
const SAID: usize = 2000;

/// Makes tasks below the state folder of a root.
#[derive(Debug)]
pub struct LocalTaskExecutor {
    root: PathBuf,
    place: PathBuf,
    words: Vec<String>,
}

impl LocalTaskExecutor {
    /// Lays the place out, and ends what was left there. `words` go to each child, `--enforce` for example.
    pub fn new(root: &Path, words: Vec<String>) -> Self {
        let place = root.join(tos_path!("plan-work"));
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            end_left(&entry.path());
        }
        Self {
            root: root.to_owned(),
            place,
            words,
        }
    }

    async fn run(
        &self,
        order: &PlanTaskRequest,
        folder: &Path,
        workdir: &Path,
        mut stop: Box<dyn StopFeed>,
        printing: &PrintSink,
    ) -> Result<TaskExecutionResult, String> {
        let (plan, home) = (folder.join("plan.yaml"), folder.join("home"));
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::write(&plan, &order.plan).map_err(told)?;
        let said = fs::File::create(folder.join("runner.log")).map_err(told)?;
        let own =
            std::env::current_exe().map_err(|error| format!("tos cannot find itself: {error}"))?;
        let mut command = tokio::process::Command::new(own);
        command
            .args(["plan", "run"])
            .arg(&plan)
            .arg("--runs-dir")
            .arg(&home)
            .arg("--workdir")
            .arg(workdir)
            .args(["-q", "--no-fail-fast"])
            .args(&self.words)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(said.try_clone().map_err(told)?)
            .stderr(said)
            // What the terminal sends to the worker is not meant for it.
            .process_group(0);
        let mut child = command.spawn().map_err(told)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw);
        let mut told_to_stop = 0;
        let mut shown = [HEADER.len() as u64; 2];
        loop {
            tokio::select! {
                ended = child.wait() => {
                    ended.map_err(told)?;
                    return made(order, folder, &home);
                }
                Some(how) = stop.next() => end(pid, how, &mut told_to_stop),
                () = tokio::time::sleep(LOOK) => show(&home, &order.id, &mut shown, printing),
            }
        }
    }
}

/// Shows what a task printed since the last look; `shown` is where that ended.
fn show(home: &Path, id: &str, shown: &mut [u64; 2], printing: &PrintSink) {
    // Before its first line there may be no run.
    let Ok(run) = LocalPlanStore.open(home, "latest") else {
        return;
    };
    let streams = [LogStream::Out, LogStream::Err];
    for (side, (stream, from)) in streams.into_iter().zip(shown).enumerate() {
        let printed = if *from < SHOWN {
            run.log_since(id, stream, *from)
        } else {
            Vec::new()
        };
        if !printed.is_empty() {
            *from += printed.len() as u64;
            printing(side, &printed);
        }
    }
}

/// Asks a child to end; asked twice it ends at once. Two different signals never become one.
fn end(pid: Option<Pid>, how: u8, told: &mut u8) {
    let signals = [Signal::INT, Signal::TERM];
    for signal in signals
        .iter()
        .take(usize::from(how))
        .skip(usize::from(*told))
    {
        // One that has ended meanwhile needs no asking.
        let _ = pid.map(|pid| kill_process(pid, *signal));
    }
    *told = (*told).max(how);
}

/// Reads what came of the only task of a run.
fn made(
    order: &PlanTaskRequest,
    folder: &Path,
    home: &Path,
) -> Result<TaskExecutionResult, String> {
    let Ok(run) = LocalPlanStore.open(home, "latest") else {
        return Err(format!("tos did not run it: {}", said(folder)));
    };
    let (events, _) = run.events_since(0).map_err(|error| error.to_string())?;
    let ended = events.into_iter().rev().find_map(|event| match event {
        PlanEvent::Ended(ended) => Some(ended),
        PlanEvent::Created(_)
        | PlanEvent::Opened(_)
        | PlanEvent::Started(_)
        | PlanEvent::Settled(_)
        | PlanEvent::CancelRequested { .. }
        | PlanEvent::Closed(_) => None,
    });
    // Without an end it was never begun: somebody asked for the end first.
    let Some(ended) = ended else {
        return Ok(TaskExecutionResult {
            end: RemoteExit {
                code: Some(-15),
                ..RemoteExit::default()
            },
            ..TaskExecutionResult::default()
        });
    };
    Ok(TaskExecutionResult {
        end: RemoteExit::of(&ended),
        us: ended.us,
        printed: ["out", "err"].map(|side| printed(run.as_ref(), &order.id, side)),
        files: left(run.as_ref(), &order.id, &ended),
    })
}

fn left(run: &dyn RunDir, id: &str, ended: &AttemptEnded) -> Vec<(String, PathBuf)> {
    let kept = ended.artifacts.iter().filter_map(|artifact| {
        // What has a name that is no text cannot be named in a result; the runner then misses it.
        let below = path_below(&artifact.path, id).filter(|_| artifact.raw.is_none())?;
        Some((
            below.to_owned(),
            run.path().join(outputs::path_of(artifact)),
        ))
    });
    kept.collect()
}

/// Returns where what the task printed lies: behind the line that the log of each attempt begins with.
fn printed(run: &dyn RunDir, id: &str, side: &str) -> TaskOutputFile {
    let path = run.path().join("logs").join(format!("{id}.{side}.log"));
    let skip = header_length(&path);
    TaskOutputFile { path, skip }
}

/// Returns how long the line is that the log of an attempt begins with; 0 where there is none.
fn header_length(log: &Path) -> u64 {
    let mut start = [0; HEADER.len()];
    let read = fs::File::open(log).and_then(|mut file| file.read_exact(&mut start));
    if read.is_ok() && start == *HEADER {
        HEADER.len() as u64
    } else {
        0
    }
}

fn said(folder: &Path) -> String {
    let text = fs::read(folder.join("runner.log")).unwrap_or_default();
    let from = text.len().saturating_sub(SAID);
    let text = String::from_utf8_lossy(text.get(from..).unwrap_or_default());
    text.trim().replace('\n', "; ")
}

/// Ends what a worker that died left: tasks whose runner is gone at once, a runner that goes on by a request.
fn end_left(folder: &Path) {
    if let Ok(mut run) = LocalPlanStore.open(&folder.join("home"), "latest") {
        if run.lock().is_err() {
            // It ends soon; its folder goes at the next start.
            drop(run.request_cancel());
            return;
        }
        run.end_orphans();
    }
    drop(fs::remove_dir_all(folder));
}

impl TaskExecutor for LocalTaskExecutor {
    fn folder(&self, key: &str) -> Result<PathBuf, Error> {
        let folder = self.place.join(key);
        let told = |error: std::io::Error| Error(format!("{}: {error}", folder.display()));
        state_folder::create_dir_all(&self.place).map_err(told)?;
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(folder.join("project")).map_err(told)?;
        Ok(folder)
    }

    fn make<'a>(
        &'a self,
        order: &'a PlanTaskRequest,
        folder: &'a Path,
        workdir: &'a Path,
        stop: Box<dyn StopFeed>,
        printing: PrintSink,
    ) -> BoxFuture<'a, TaskExecutionResult> {
        Box::pin(async move {
            let made = self.run(order, folder, workdir, stop, &printing).await;
            made.unwrap_or_else(|why| TaskExecutionResult {
                end: RemoteExit::not_begun(why),
                ..TaskExecutionResult::default()
            })
        })
    }

    fn clear(&self, folder: &Path) {
        // What cannot be taken away now goes when a worker starts here again.
        drop(fs::remove_dir_all(folder));
    }
}
