//! Attempts that other machines make: handed out, and what comes of them taken in as if it had been made here.
//!
//! Deadlines are kept where a task runs. What it printed goes into its logs here, what it left is brought into its folder and
//! collected from there like the outputs of any task.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{AttemptNews, LocalTaskHost, micros};
use crate::{
    adapters::plan::{outputs, plan_copy, safe_open, slots::LogPlace},
    domain::{
        cluster::{
            PlanFile, PlanTaskRequest, PlanTaskResult, PrintedPiece, RemoteExit, ShownText,
            all_dependencies, alone, path_below,
        },
        plan::{PlanTask, TaskIndex, event::Artifact, state::RunState, state::StatusReason},
    },
    ports::{
        plan_host::{
            AttemptExit, AttemptId, FileAccessRules, FinishedAttempt, TaskHost, normalize_path,
        },
        plan_work::{PlanNews, RemoteTasks},
        runner::StopSignal,
    },
};

/// What is known of attempts elsewhere.
pub(super) struct RemoteSide {
    tasks: Arc<dyn RemoteTasks>,
    away: BTreeMap<TaskIndex, (AttemptId, Instant)>,
    /// The logs of those that print while they are made.
    shown: BTreeMap<TaskIndex, OpenLogs>,
    /// What finished tasks left, for those that depend on them.
    left: BTreeMap<TaskIndex, Vec<Artifact>>,
}

/// The logs of an attempt that is made elsewhere.
struct OpenLogs {
    place: LogPlace,
    files: [File; 2],
    /// How long they were before anything of the attempt was in them.
    begin: [u64; 2],
    text: ShownText,
}

impl LocalTaskHost<'_> {
    /// Lets other machines make all attempts.
    pub(crate) fn elsewhere_with(mut self, tasks: Arc<dyn RemoteTasks>, state: &RunState) -> Self {
        let (sender, wake_up) = self.news_sender.clone();
        tasks.listen(Box::new(move |news| {
            let news = match news {
                PlanNews::Printed(piece) => AttemptNews::Printed(piece),
                PlanNews::Ended(result) => AttemptNews::Came(result),
            };
            // A host that is gone needs no news.
            drop(sender.send(news));
            drop(io::Write::write(&mut &*wake_up, &[1]));
        }));
        let entries = state.entries().filter_map(|(index, _, task)| {
            let artifacts = task.rare.as_ref()?.artifacts.clone();
            (!artifacts.is_empty()).then_some((index, artifacts))
        });
        self.remote = Some(RemoteSide {
            tasks,
            away: BTreeMap::new(),
            shown: BTreeMap::new(),
            left: entries.collect(),
        });
        self
    }

    /// Remembers what a finished task left, where others may have to find it.
    pub(super) fn note_left(&mut self, done: &FinishedAttempt) {
        if let Some(remote) = &mut self.remote
            && !done.artifacts.is_empty()
        {
            remote.left.insert(done.task, done.artifacts.clone());
        }
    }

    /// Hands an attempt out; returns false where attempts are made here.
    pub(super) fn hand_out(&mut self, order: AttemptId, task: &PlanTask) -> bool {
        let Some(remote) = &self.remote else {
            return false;
        };
        match self.order_for(remote, order, task) {
            Ok((work, sources)) => {
                remote.tasks.hand_out(work, sources);
                if let Some(remote) = &mut self.remote {
                    remote.away.insert(order.task, (order, Instant::now()));
                }
            }
            Err(why) => {
                let message = format!("it cannot be done on another machine: {why}");
                self.done(FinishedAttempt {
                    task: order.task,
                    exit: AttemptExit::NotStarted(StatusReason::RunnerException, message),
                    at: self.now(),
                    us: 0,
                    artifacts: Vec::new(),
                });
            }
        }
        true
    }

    fn order_for(
        &self,
        remote: &RemoteSide,
        order: AttemptId,
        task: &PlanTask,
    ) -> Result<(PlanTaskRequest, Vec<PathBuf>), String> {
        let mut text = Vec::new();
        plan_copy::write(&alone(self.plan, task)?, &mut text).map_err(|error| error.to_string())?;
        let (mut files, mut sources) = (Vec::new(), Vec::new());
        let before = if remote.left.is_empty() {
            Vec::new()
        } else {
            all_dependencies(self.plan, order.task)
        };
        for up in before {
            let (Some(maker), Some(left)) = (self.plan.task(up), remote.left.get(&up)) else {
                continue;
            };
            for artifact in left {
                let Some(below) = path_below(&artifact.path, &maker.id) else {
                    continue;
                };
                let source = self.setting.run.join(outputs::path_of(artifact));
                let path = match maker.cwd.as_deref() {
                    Some(cwd) => format!("{}/{below}", cwd.trim_end_matches('/')),
                    None => below.to_owned(),
                };
                files.push(PlanFile {
                    path: path.trim_start_matches("./").to_owned(),
                    sha256: artifact.sha256.clone(),
                    bytes: artifact.bytes,
                    executable: is_executable(&source),
                });
                sources.push(source);
            }
        }
        let work = PlanTaskRequest {
            task: order.task,
            id: task.id.to_string(),
            cwd: task
                .cwd
                .as_deref()
                .filter(|_| self.directory(task).is_dir())
                .unwrap_or_default()
                .to_owned(),
            attempt: order.attempt,
            plan: String::from_utf8_lossy(&text).into_owned(),
            files,
            requires: task
                .extra
                .as_ref()
                .map(|extra| extra.needs_labels.clone())
                .unwrap_or_default(),
            ..PlanTaskRequest::default()
        };
        Ok((work, sources))
    }

    /// Takes in what came of an attempt: first what it left is brought here, which may take a while.
    pub(super) fn came(&mut self, result: PlanTaskResult) {
        let Some(remote) = &mut self.remote else {
            return;
        };
        let is_awaited = |(order, _): &(AttemptId, Instant)| order.attempt == result.attempt;
        if !remote.away.get(&result.task).is_some_and(is_awaited) {
            return;
        }
        let has_files =
            !result.files.is_empty() || result.printed.iter().any(|printed| printed.file.is_some());
        // Something to bring makes news of its own; until then it is away.
        let Some(task) = self.plan.task(result.task).filter(|_| has_files) else {
            return self.brought(result);
        };
        let (tasks, setting) = (Arc::clone(&remote.tasks), Arc::clone(&self.setting));
        let cwd = self.directory(task);
        let texts = [0, 1].map(|side| self.incoming(task, side));
        self.spawn_background(move || {
            let reach = setting.reach.as_ref();
            let brought = bring(tasks.as_ref(), &result, &cwd, &texts, reach);
            let result = match brought {
                Ok(()) => result,
                Err(why) => PlanTaskResult {
                    end: RemoteExit::lost(format!("what it left did not come here: {why}")),
                    ..result
                },
            };
            AttemptNews::Brought(Box::new(result))
        });
    }

    /// Ends an attempt that was made elsewhere; everything it left is here.
    pub(super) fn brought(&mut self, result: PlanTaskResult) {
        let away = self
            .remote
            .as_mut()
            .and_then(|remote| remote.away.remove(&result.task));
        let Some(((order, since), task)) = away.zip(self.plan.task(result.task)) else {
            return;
        };
        let us = if result.us > 0 || result.end.is_taken_back {
            result.us
        } else {
            micros(since.elapsed())
        };
        if !result.end.is_taken_back {
            self.log_printed(order, task, &result);
        }
        let exit = if result.end.is_good() {
            AttemptExit::Code(0)
        } else {
            AttemptExit::Elsewhere(result.end)
        };
        let done = FinishedAttempt {
            task: order.task,
            exit,
            at: self.now(),
            us,
            artifacts: Vec::new(),
        };
        self.conclude(done, order.round, task);
    }

    /// Opens the logs of an attempt that is made elsewhere.
    fn open_logs(&mut self, order: AttemptId, task: &PlanTask) -> io::Result<OpenLogs> {
        let header = Self::log_header(order, task);
        let (place, files) = self.slots.take(&task.id, order.attempt, &header)?;
        let [out, err] = &files;
        let begin = [out.metadata()?.len(), err.metadata()?.len()];
        Ok(OpenLogs {
            place,
            files,
            begin,
            text: ShownText::default(),
        })
    }

    /// Puts what an attempt prints into its logs, so that others can read along.
    pub(super) fn printed(&mut self, piece: &PrintedPiece) {
        let away = self
            .remote
            .as_ref()
            .and_then(|remote| remote.away.get(&piece.task));
        let order = away
            .map(|(order, _)| *order)
            .filter(|order| order.attempt == piece.attempt);
        let Some((order, task)) = order.zip(self.plan.task(piece.task)) else {
            return;
        };
        let known = self
            .remote
            .as_mut()
            .and_then(|remote| remote.shown.remove(&order.task));
        let mut logs = match known.map_or_else(|| self.open_logs(order, task), Ok) {
            Ok(logs) => logs,
            Err(error) => return tracing::warn!("the logs of {}: {error}", task.id),
        };
        let is_next = logs.text.take(piece);
        let written = self.slots.reveal(&mut logs.place, &task.id);
        let written = written.and_then(|()| match logs.files.get_mut(piece.side) {
            Some(log) if is_next => log.write_all(piece.text.as_bytes()),
            _ => Ok(()),
        });
        if let Err(error) = written {
            tracing::warn!("the logs of {}: {error}", task.id);
        }
        if let Some(remote) = &mut self.remote {
            remote.shown.insert(order.task, logs);
        }
    }

    /// Puts what an attempt printed into its logs, in the place of what was shown of it. Where nothing came, what was shown stays.
    fn log_printed(&mut self, order: AttemptId, task: &PlanTask, result: &PlanTaskResult) {
        let known = self
            .remote
            .as_mut()
            .and_then(|remote| remote.shown.remove(&order.task));
        let logs = match known.map_or_else(|| self.open_logs(order, task), Ok) {
            Ok(logs) => logs,
            Err(error) => return tracing::warn!("the logs of {}: {error}", task.id),
        };
        let both = logs.files.into_iter().zip(logs.begin).zip(&result.printed);
        for (side, ((mut log, begin), printed)) in both.enumerate() {
            let is_empty = printed.text.is_empty() && printed.file.is_none();
            if logs.text.has_any(side) {
                if is_empty {
                    continue;
                }
                if let Err(error) = log.set_len(begin) {
                    tracing::warn!("the logs of {}: {error}", task.id);
                    continue;
                }
            }
            let written = if printed.file.is_some() {
                let path = self.incoming(task, side);
                let copied = safe_open::open_regular(&path)
                    .and_then(|mut file| io::copy(&mut file, &mut log))
                    .map(drop);
                drop(fs::remove_file(path));
                copied
            } else {
                log.write_all(printed.text.as_bytes())
            };
            if let Err(error) = written {
                tracing::warn!("the logs of {}: {error}", task.id);
            }
        }
        // The output is in the slot whatever happens to the rename; the next opening of the run cleans up.
        drop(self.slots.give_back(logs.place, &task.id));
    }

    /// Returns where a long text lies until it is in the logs.
    fn incoming(&self, task: &PlanTask, side: usize) -> PathBuf {
        let name = format!("{}.{side}", task.id);
        self.setting.run.join("incoming").join(name)
    }

    /// Ends everything that is made elsewhere.
    pub(super) fn end_elsewhere(&mut self, how: StopSignal) {
        let Some(remote) = &mut self.remote else {
            return;
        };
        match how {
            StopSignal::Terminate => remote.tasks.stop(1),
            StopSignal::Kill => {
                remote.tasks.stop(2);
                // Nobody waits any longer for what other machines have to say.
                let away = std::mem::take(&mut remote.away);
                for (task, (_, since)) in away {
                    self.done(FinishedAttempt {
                        task,
                        exit: AttemptExit::Code(-9),
                        at: self.now(),
                        us: micros(since.elapsed()),
                        artifacts: Vec::new(),
                    });
                }
            }
        }
    }
}

fn is_executable(path: &Path) -> bool {
    let mode = fs::metadata(path).map(|found| found.permissions());
    mode.is_ok_and(|mode| std::os::unix::fs::PermissionsExt::mode(&mode) & 0o111 != 0)
}

/// Brings everything here that an attempt left: long texts beside the logs, outputs into its folder.
fn bring(
    tasks: &dyn RemoteTasks,
    result: &PlanTaskResult,
    cwd: &Path,
    texts: &[PathBuf; 2],
    reach: Option<&FileAccessRules>,
) -> Result<(), String> {
    for (printed, path) in result.printed.iter().zip(texts) {
        if let Some(file) = &printed.file {
            let fetched = tasks.fetch(file, path);
            fetched.map_err(|error| error.to_string())?;
        }
    }
    for file in &result.files {
        let target = cwd.join(&file.path);
        let is_plain = path_below(&format!("artifacts/x/{}", file.path), "x").is_some();
        let may_write = reach.is_none_or(|reach| reach.may_write(&normalize_path(&target)));
        if !is_plain || !may_write {
            return Err(format!("`{}` may not be written here", file.path));
        }
        if let Some(link) = safe_open::symlink_in(&target) {
            return Err(format!("`{}` is a symbolic link", link.display()));
        }
        let fetched = tasks.fetch(file, &target);
        fetched.map_err(|error| error.to_string())?;
    }
    Ok(())
}
