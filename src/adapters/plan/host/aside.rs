//! Work that may take long, in threads of its own: keys of caches before a start, outputs after an end.

use std::{io, sync::Arc};

use super::{LocalHost, News, drain};
use crate::{
    adapters::plan::{
        cache::{self, Past},
        outputs,
    },
    domain::plan::{Task, TaskIndex},
    ports::plan_host::{Done, Exit, Host, Order},
};

impl LocalHost<'_> {
    /// Does something slow elsewhere; its result arrives as news.
    pub(super) fn elsewhere(&self, work: impl FnOnce() -> News + Send + 'static) {
        let (sender, bell) = self.news_sender.clone();
        std::thread::spawn(move || {
            // A host that is gone needs no news.
            drop(sender.send(work()));
            drop(io::Write::write(&mut &*bell, &[1]));
        });
    }

    pub(super) fn prepare(&mut self, order: Order, task: &Task) {
        let Some(cache) = task.extra.as_ref().and_then(|extra| extra.cache.clone()) else {
            return;
        };
        self.preparing.insert(order.task, order);
        let (task, index, setting) = (task.clone(), order.task, Arc::clone(&self.setting));
        let policy = format!("{:?}", self.plan.policy);
        let cwd = self.directory(&task);
        self.elsewhere(move || {
            let key = cache::key(
                &task,
                &cache,
                &cwd,
                &policy,
                &setting.home,
                setting.reach.as_ref(),
            );
            let past = Past::of(&setting.home);
            let is_known = key
                .as_ref()
                .is_some_and(|key| past.recall(key, &task.id, &cwd, setting.reach.as_ref()));
            News::Prepared {
                task: index,
                key,
                is_known,
            }
        });
    }

    pub(super) fn collect(&mut self, done: Done, task: Task, key: Option<String>) {
        self.collecting += 1;
        let setting = Arc::clone(&self.setting);
        let second = self
            .plan
            .artifacts_dir
            .as_ref()
            .map(|path| setting.workdir.join(path));
        let cwd = self.directory(&task);
        self.elsewhere(move || {
            let collection = outputs::Collection {
                patterns: &task.outputs,
                cwd: &cwd,
                run: &setting.run,
                home: &setting.home,
                id: &task.id,
                second: second.as_deref(),
                reach: setting.reach.as_ref(),
            };
            let outputs::Collected { artifacts, lacking } = if task.outputs.is_empty() {
                outputs::Collected::default()
            } else {
                outputs::collect(&collection)
            };
            let exit = match done.exit {
                Exit::Code(0) if !lacking.is_empty() => Exit::OutputsMissing(lacking.join("; ")),
                exit => exit,
            };
            let done = Done { exit, ..done };
            let is_kept = !matches!(done.exit, Exit::OutputsMissing(_));
            if let Some(key) = key.filter(|_| is_kept) {
                let past = Past::of(&setting.home);
                if done.exit == Exit::Cached {
                    past.renew(&key, &setting.run_id, &artifacts);
                } else {
                    past.remember(&key, &setting.run_id, &artifacts);
                }
            }
            News::Collected(Done { artifacts, ..done })
        });
    }

    pub(super) fn hear(&mut self) {
        drain(&mut self.news);
        while let Ok(news) = self.news_receiver.try_recv() {
            match news {
                News::Collected(done) => {
                    self.collecting -= 1;
                    self.done(done);
                }
                News::Prepared {
                    task,
                    key,
                    is_known,
                } => self.prepared(task, key, is_known),
            }
        }
    }

    pub(super) fn prepared(&mut self, index: TaskIndex, key: Option<String>, is_known: bool) {
        let Some((order, task)) = self.preparing.remove(&index).zip(self.plan.task(index)) else {
            return;
        };
        if is_known && !self.is_ending {
            let done = Done {
                task: index,
                exit: Exit::Cached,
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
            return self.done(Done {
                task: index,
                exit: Exit::Code(-15),
                at: self.now(),
                us: 0,
                artifacts: Vec::new(),
            });
        }
        self.spawn(order, task);
    }
}
