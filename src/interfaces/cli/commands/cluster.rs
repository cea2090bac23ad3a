//! `tos serve --nats`: becomes the controller of a board on a cluster, or waits until it is.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::serve_args::ServeArgs;
use crate::{
    domain::{
        board::{Board, MergeOutcome},
        cluster::CLUSTER_NOTE,
        state_folder::TOS_FOLDER,
    },
    interfaces::cli::{
        common::{CliError, GlobalArgs, Printer, ServiceFactory},
        services,
        task_services::BoardServices,
    },
    ports::{
        BoxFuture,
        board_store::BoardStore,
        branch_merges::BranchMerges,
        cluster::{BranchCommits, ClusterMember, Error, RunDispatcher},
    },
};

/// A controller that leads.
pub(super) struct ClusterLeadership {
    member: Arc<dyn ClusterMember>,
    /// Completes when the right to lead is lost.
    lost: Option<BoxFuture<'static, String>>,
    // The right is given back when this is dropped.
    _right: Box<dyn std::any::Any + Send>,
}

fn told(error: Error) -> CliError {
    CliError::NotDone(error.0)
}

/// Waits until this controller leads; `None` where it is to work alone.
pub(super) fn wait_for_leadership(
    args: &ServeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<Option<ClusterLeadership>, CliError> {
    if args.cluster.url.is_none() {
        return Ok(None);
    }
    let name = format!("{}-{}", services.folder_name(global), std::process::id());
    let member = services.join_cluster(global, &args.cluster, &name)?;
    let waiting = Arc::clone(&member);
    let printer = printer.clone();
    let led = services::block_on(services, move |mut stop| {
        Box::pin(async move {
            let following = move |leader: &str| {
                printer.line(&format!(
                    "{leader} leads this board; this controller takes over when it is gone"
                ));
            };
            tokio::select! {
                led = waiting.lead(Box::new(following)) => Some(led),
                _ = stop.changed() => None,
            }
        })
    })?;
    let led = led.ok_or_else(|| CliError::NotDone("stopped before it led".to_owned()))?;
    let leading = led.map_err(told)?;
    Ok(Some(ClusterLeadership {
        member,
        lost: Some(leading.lost),
        _right: leading.right,
    }))
}

/// A board that was opened on a cluster.
pub(super) struct ClusterBoard {
    /// What was read of it, and the number of its last event. Nobody else writes it from then on.
    pub(super) loaded: (Board, u64),
    /// The way to workers elsewhere.
    pub(super) remote: Arc<dyn RunDispatcher>,
}

/// Opens the board, and where there is a cluster, reads it and opens the way to workers elsewhere.
pub(super) fn open_board(
    joined: Option<&ClusterLeadership>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<(BoardServices, Option<ClusterBoard>), CliError> {
    let Some(joined) = joined else {
        refuse_alone(global, services)?;
        return Ok((services.board_services(global, None)?, None));
    };
    let mut store = joined.store()?;
    let loaded = store.load().map_err(|error| CliError::NotDone(error.0))?;
    let board = services.board_services(global, Some(store))?;
    let remote = joined.runs(loaded.0.recent_merge_commits(), &*board.merges, printer)?;
    Ok((board, Some(ClusterBoard { loaded, remote })))
}

/// Refuses to work alone on a board that other controllers know: what is added to it here would be missing there.
fn refuse_alone(global: &GlobalArgs, services: &dyn ServiceFactory) -> Result<(), CliError> {
    let Some(words) = services.read_state_file(global, CLUSTER_NOTE) else {
        return Ok(());
    };
    Err(CliError::Setup(format!(
        "the board of this folder is kept on NATS; `tos serve {}` goes on with it. To work without NATS from now on, remove {TOS_FOLDER}/{CLUSTER_NOTE}",
        words.trim()
    )))
}

impl ClusterLeadership {
    /// Returns what completes when another controller may lead.
    pub(super) fn leadership_lost(&mut self) -> Option<BoxFuture<'static, String>> {
        self.lost.take()
    }

    /// Opens the board.
    fn store(&self) -> Result<Box<dyn BoardStore>, CliError> {
        self.member.store().map_err(told)
    }

    /// Opens the queue, and brings the branches here to where the last controller left them.
    fn runs(
        &self,
        known: BranchCommits,
        merges: &dyn BranchMerges,
        printer: &Printer,
    ) -> Result<Arc<dyn RunDispatcher>, CliError> {
        let mut by_name = BranchCommits::new();
        for (branch, commits) in known {
            let named = if branch.is_empty() {
                merges.current_branch()
            } else {
                Ok(branch)
            };
            by_name.insert(named.map_err(|error| CliError::NotDone(error.0))?, commits);
        }
        for (branch, commits) in self.member.tips(by_name).map_err(told)? {
            for commit in commits {
                brought(merges, &branch, &commit, printer)?;
            }
        }
        self.member.runs().map_err(told)
    }
}

/// Brings a branch here to a commit that the board has on it, unless it is there already.
fn brought(
    merges: &dyn BranchMerges,
    branch: &str,
    commit: &str,
    printer: &Printer,
) -> Result<(), CliError> {
    let tip = merges.tip(branch);
    let tip = tip.map_err(|error| CliError::NotDone(error.0))?;
    match merges.update_branch(branch, &tip, commit) {
        MergeOutcome::Merged => {}
        other => {
            return Err(CliError::NotDone(format!(
                "{branch} stands at {tip} here and at {commit} on the board, and cannot be moved there ({other:?}); make the checkout clean and the branch an ancestor"
            )));
        }
    }
    if merges.tip(branch).is_ok_and(|now| now != tip) {
        printer.note(&format!("{branch} is at {commit} now, as the board has it"));
    }
    Ok(())
}

/// Returns a stop that also comes when the right to lead is lost, and why it was.
pub(super) fn stop_when_deposed(
    mut stop: watch::Receiver<u8>,
    lost: Option<BoxFuture<'static, String>>,
) -> (watch::Receiver<u8>, Arc<OnceLock<String>>) {
    let deposed = Arc::new(OnceLock::new());
    let Some(mut lost) = lost else {
        return (stop, deposed);
    };
    let (sender, both) = watch::channel(*stop.borrow());
    let seen = Arc::clone(&deposed);
    drop(tokio::spawn(async move {
        loop {
            tokio::select! {
                changed = stop.changed() => {
                    let how = *stop.borrow();
                    if changed.is_err() || sender.send(how).is_err() {
                        return;
                    }
                }
                why = &mut lost => {
                    drop(seen.set(why));
                    // Whoever leads no more ends its work at once; its results would not count.
                    sender.send_replace(2);
                    return;
                }
            }
        }
    }));
    (both, deposed)
}
