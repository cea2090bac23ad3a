//! Work that may take long, in threads of its own: keys of caches before a start, outputs after an end.

use std::{
    cmp::Reverse,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::{AttemptNews, HostTimer, LocalTaskHost, WEIGH_EVERY, WEIGH_PATIENCE, drain};
use crate::{
    adapters::{
        plan::{cache, cache::ResultCache, orphans, outputs},
        temporary,
    },
    domain::plan::{PlanTask, TaskIndex},
    ports::plan_host::{AttemptExit, AttemptId, FinishedAttempt, TaskHost},
};

impl LocalTaskHost<'_> {
    /// Does something slow elsewhere; its result arrives as news.
    pub(super) fn spawn_background(&self, work: impl FnOnce() -> AttemptNews + Send + 'static) {
        let (sender, wake_up) = self.news_sender.clone();
        std::thread::spawn(move || {
            // A host that is gone needs no news.
            drop(sender.send(work()));
            drop(io::Write::write(&mut &*wake_up, &[1]));
        });
    }

    /// Weighs the temporary folder of the run.
    pub(super) fn measure_temporary(&self, pid: i32) {
        let Some(running) = self.running.get(&pid) else {
            return;
        };
        let Some((folder, _)) = running.hold.watched.clone() else {
            return;
        };
        let serial = running.serial;
        self.spawn_background(move || {
            let began = Instant::now();
            let holds = temporary::blocking_disk_usage(&folder);
            AttemptNews::Weighed {
                pid,
                serial,
                holds,
                took: began.elapsed(),
            }
        });
    }

    /// Ends everything that writes into the temporary folder of the run once that holds too much, and empties it for what follows.
    fn weighed(&mut self, pid: i32, serial: u64, holds: u64, took: Duration) {
        let running = self.running.get(&pid);
        let Some(running) = running.filter(|running| running.serial == serial) else {
            return;
        };
        let Some((folder, most)) = running.hold.watched.clone() else {
            return;
        };
        if holds <= most {
            let next = Instant::now() + WEIGH_EVERY.max(took * WEIGH_PATIENCE);
            self.timers
                .push(Reverse((next, pid, serial, HostTimer::Weigh)));
            return;
        }
        for (pid, running) in &mut self.running {
            if running.hold.watched.is_some() && !running.is_ending {
                running.overflow = Some(holds);
                running.is_ending = true;
                orphans::signal_tree(Pid::from_raw(*pid), &running.token, Signal::KILL);
            }
        }
        temporary::blocking_empty(&folder);
    }

    pub(super) fn prepare(&mut self, order: AttemptId, task: &PlanTask) {
        let Some(cache) = task.extra.as_ref().and_then(|extra| extra.cache.clone()) else {
            return;
        };
        self.preparing.insert(order.task, order);
        let (task, index, setting) = (task.clone(), order.task, Arc::clone(&self.setting));
        let policy = self.plan.policy;
        let cwd = self.directory(&task);
        self.spawn_background(move || {
            let key = cache::cache_key(
                &task,
                &cache,
                &cwd,
                policy,
                &setting.home,
                setting.reach.as_ref(),
            );
            let past = ResultCache::of(&setting.home);
            let is_known = key
                .as_ref()
                .is_some_and(|key| past.restore(key, &task.id, &cwd, setting.reach.as_ref()));
            AttemptNews::Prepared {
                task: index,
                key,
                is_known,
            }
        });
    }

    pub(super) fn collect(&mut self, done: FinishedAttempt, task: PlanTask, key: Option<String>) {
        self.collecting += 1;
        let setting = Arc::clone(&self.setting);
        let second = self
            .plan
            .artifacts_dir
            .as_ref()
            .map(|path| setting.workdir.join(path));
        let cwd = self.directory(&task);
        self.spawn_background(move || {
            let collection = outputs::OutputCollection {
                patterns: &task.outputs,
                cwd: &cwd,
                run: &setting.run,
                home: &setting.home,
                id: &task.id,
                second: second.as_deref(),
                reach: setting.reach.as_ref(),
            };
            let outputs::CollectedOutputs { artifacts, lacking } = if task.outputs.is_empty() {
                outputs::CollectedOutputs::default()
            } else {
                outputs::collect(&collection)
            };
            let exit = match done.exit {
                AttemptExit::Code(0) if !lacking.is_empty() => {
                    AttemptExit::OutputsMissing(lacking.join("; "))
                }
                exit => exit,
            };
            let done = FinishedAttempt { exit, ..done };
            let is_kept = !matches!(done.exit, AttemptExit::OutputsMissing(_));
            if let Some(key) = key.filter(|_| is_kept) {
                let past = ResultCache::of(&setting.home);
                if done.exit == AttemptExit::Cached {
                    past.renew(&key, &setting.run_id, &artifacts);
                } else {
                    past.insert(&key, &setting.run_id, &artifacts);
                }
            }
            AttemptNews::Collected(FinishedAttempt { artifacts, ..done })
        });
    }

    pub(super) fn receive_news(&mut self) {
        drain(&mut self.news);
        while let Ok(news) = self.news_receiver.try_recv() {
            match news {
                AttemptNews::Collected(done) => {
                    self.collecting -= 1;
                    self.done(done);
                }
                AttemptNews::Printed(piece) => self.printed(&piece),
                AttemptNews::Came(result) => self.came(*result),
                AttemptNews::Brought(result) => self.brought(*result),
                AttemptNews::Prepared {
                    task,
                    key,
                    is_known,
                } => self.prepared(task, key, is_known),
                AttemptNews::Weighed {
                    pid,
                    serial,
                    holds,
                    took,
                } => self.weighed(pid, serial, holds, took),
            }
        }
    }

    pub(super) fn prepared(&mut self, index: TaskIndex, key: Option<String>, is_known: bool) {
        let Some((order, task)) = self.preparing.remove(&index).zip(self.plan.task(index)) else {
            return;
        };
        if is_known && !self.is_ending {
            let done = FinishedAttempt {
                task: index,
                exit: AttemptExit::Cached,
                at: self.now(),
                us: 0,
                artifacts: Vec::new(),
            };
            return self.collect(done, task.clone(), key);
        }
        if let Some(key) = key {
            self.keys.insert(index, key);
        }
        if self.is_ending {
            return self.done(FinishedAttempt {
                task: index,
                exit: AttemptExit::Code(-15),
                at: self.now(),
                us: 0,
                artifacts: Vec::new(),
            });
        }
        self.begin(order, task);
    }
}
