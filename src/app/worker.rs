//! Builds what a worker of a cluster needs beside what guarded tasks need: no board, no token, no models.

use std::{path::PathBuf, sync::Arc};

use crate::{
    adapters::{
        board::LogFiles,
        container::{self, LocalContainers},
        files,
        job::approvals::DenyAllApprovals,
        plan::LocalTaskExecutor,
    },
    app::context::AppContext,
    domain::state_folder::tos_path,
    interfaces::cli::{
        args::GlobalArgs,
        services::ServiceFactory as _,
        task_services::{ContainerMaker, WorkerServices},
    },
};

/// Opens what a worker in a root works with.
pub(super) fn worker_services(context: &AppContext, global: &GlobalArgs) -> WorkerServices {
    let root = files::canonical(&context.root(global));
    WorkerServices {
        logs: Arc::new(LogFiles::new(root.join(tos_path!("board-logs")))),
        // Nobody sits at a worker's machine.
        approvals: Arc::new(DenyAllApprovals),
        containers: container_maker(context, root.clone()),
        task_maker: Box::new(move |more| {
            let words = [vec!["--root".to_owned(), root.display().to_string()], more].concat();
            Arc::new(LocalTaskExecutor::new(&root, words))
        }),
    }
}

/// Returns what makes containers for a root.
pub(super) fn container_maker(context: &AppContext, root: PathBuf) -> ContainerMaker {
    let (environment, redactor) = (context.environment.clone(), context.redactor().clone());
    Box::new(move |host| {
        Arc::new(LocalContainers::new(container::ContainerOptions {
            root,
            environment,
            redactor,
            host,
        }))
    })
}
