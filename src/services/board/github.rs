//! Follows a repository on GitHub: issues with the label become tasks, accepted attempts become pull requests, and what
//! becomes of those moves the tasks.
//!
//! Nothing is remembered but what the board holds: an issue is known by the key of its task, a pull request by its branch,
//! which is named by task and commit. So a crash at any place leads to a second look, never to a second task or pull
//! request. What GitHub cannot do now is asked again later, as late as it says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    BoardHandle, ServicePorts,
    deliveries::{DeliveryError, PendingDelivery},
};
use crate::{
    domain::{
        board::{
            AttemptCommit, BoardSettings, GithubRepository, Input, MergeId, MergeOutcome,
            MergeQueueEntry, Millis, PullRequestOutcome, PullRequestRef, RefusalCode, RepoMode,
            Task,
        },
        github::{
            GithubError, Issue, PullRequest, PullRequestFate, WebhookEvent, issue_input,
            issue_task_key, pull_request_for,
        },
    },
    ports::{board::SubmitError, branch_merges::MergeResult},
};

/// The log of what happens here.
const LOG: &str = "github";
/// The longest wait after a failed round.
const LONGEST: Millis = 15 * 60_000;

/// How far issues were read.
#[derive(Default)]
struct Progress {
    /// Issues that changed before were all dealt with.
    since: Option<String>,
    /// Failed rounds in a row.
    failed: u32,
    /// What was last complained about, so that it is said once.
    complaint: String,
    /// When the newest state of each issue that was dealt with is from: what is told may be out of order.
    newest: BTreeMap<u64, String>,
}

/// Follows the repository of the settings until the service ends.
pub(super) async fn run(handle: BoardHandle, context: Arc<ServicePorts>) {
    let mut changes = handle.watch();
    let mut inbox = handle.deliveries.inbox();
    let mut progress = Progress::default();
    let mut followed = None;
    loop {
        let settings = changes.borrow_and_update().settings().clone();
        let repository = settings.github_repository();
        if followed != repository {
            progress = Progress::default();
            followed.clone_from(&repository);
        }
        let wait = match &repository {
            Some(at) => round(&handle, &context, at, &settings, &mut progress).await,
            None => None,
        };
        let changed = async {
            while changes.changed().await.is_ok() {
                if *changes.borrow_and_update().settings() != settings {
                    return true;
                }
            }
            false
        };
        let rest = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        let (mut changed, mut rest) = (std::pin::pin!(changed), std::pin::pin!(rest));
        loop {
            let delivery = async {
                match &mut inbox {
                    Some(inbox) => inbox.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                goes_on = &mut changed => if goes_on { break } else { return },
                () = &mut rest => break,
                delivery = delivery => match delivery {
                    Some(delivery) => {
                        hear(&handle, &context, repository.as_ref(), delivery, &mut progress).await;
                    }
                    None => return,
                },
            }
        }
    }
}

/// Deals with what GitHub told by itself.
async fn hear(
    handle: &BoardHandle,
    context: &ServicePorts,
    at: Option<&GithubRepository>,
    delivery: PendingDelivery,
    progress: &mut Progress,
) {
    let dealt = match (delivery.news, at) {
        (WebhookEvent::Nothing(why), _) => Ok(why),
        (_, None) => Ok("REPO_URL names no repository on GitHub".to_owned()),
        (WebhookEvent::Issue(issue), Some(at)) => {
            let taken = take(handle, context, at, &issue, progress).await;
            taken.map(|taken| match taken {
                Taken::Nothing => format!("issue #{} changes nothing here", issue.number),
                Taken::Done(words) => words,
                Taken::Later => format!(
                    "an agent is at the task of issue #{}; it follows afterwards",
                    issue.number
                ),
            })
        }
        (WebhookEvent::PullRequest(pull), Some(at)) => {
            let board = handle.snapshot();
            let mut open = board.proposed_merges();
            let merge = open.find(|merge| {
                let own = merge.pull_request.as_ref();
                own.is_some_and(|own| own.number == pull.number)
            });
            match merge {
                Some(merge) => settle(handle, context, at, merge.id, &pull)
                    .await
                    .map(|()| format!("pull request #{} was looked at", pull.number)),
                None => Ok(format!("no task waits for pull request #{}", pull.number)),
            }
        }
    };
    let told = dealt.map_err(|trouble| DeliveryError(trouble.to_string()));
    // Whoever asked may have gone.
    drop(delivery.done.send(told));
}

/// Looks once, and returns when to look again.
async fn round(
    handle: &BoardHandle,
    context: &ServicePorts,
    at: &GithubRepository,
    settings: &BoardSettings,
    progress: &mut Progress,
) -> Option<Duration> {
    let looked = async {
        look_at_pull_requests(handle, context, at).await?;
        look_at_issues(handle, context, at, &settings.issue_label, progress).await
    };
    let wait = match looked.await {
        Ok(()) => {
            if !progress.complaint.is_empty() {
                context.logs.line(LOG, "answers again");
            }
            (progress.failed, progress.complaint) = (0, String::new());
            settings.issue_sync_ms
        }
        Err(trouble) => {
            complain(context, &trouble, progress);
            progress.failed += 1;
            let doubled = settings.issue_sync_ms << progress.failed.min(10);
            match trouble {
                GithubError::Limited { until, .. } => until.saturating_sub(handle.now()).max(100),
                // A new token counts soon after it was written.
                GithubError::Token(_) => settings.issue_sync_ms,
                _ => doubled.min(LONGEST.max(settings.issue_sync_ms)),
            }
        }
    };
    Some(Duration::from_millis(wait))
}

/// Says what is wrong, once.
fn complain(context: &ServicePorts, trouble: &GithubError, progress: &mut Progress) {
    let text = trouble.to_string();
    if text != progress.complaint {
        context.logs.line(LOG, &text);
        context.logs.line("notices", &text);
        progress.complaint = text;
    }
}

async fn look_at_issues(
    handle: &BoardHandle,
    context: &ServicePorts,
    at: &GithubRepository,
    label: &str,
    progress: &mut Progress,
) -> Result<(), GithubError> {
    if label.is_empty() {
        return Ok(());
    }
    let since = progress.since.as_deref();
    let asked = context.github.issues(at, label, since, handle.now());
    let Some(issues) = asked.await? else {
        return Ok(());
    };
    // The next look begins with the first issue that could not be dealt with, or with the newest.
    let mut undone: Option<String> = None;
    for issue in &issues {
        let taken = take(handle, context, at, issue, progress).await?;
        if taken == Taken::Later && undone.is_none() {
            undone = Some(issue.updated_at.clone());
        }
    }
    let newest = issues.last().map(|issue| issue.updated_at.clone());
    if let Some(next) = undone.or(newest).filter(|next| !next.is_empty()) {
        progress.since = Some(next);
    }
    Ok(())
}

/// What became of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Taken {
    /// It changes nothing.
    Nothing,
    /// It is done with, in words.
    Done(String),
    /// It has to be looked at again.
    Later,
}

/// Tells the board of an issue, unless something newer was dealt with.
async fn take(
    handle: &BoardHandle,
    context: &ServicePorts,
    at: &GithubRepository,
    issue: &Issue,
    progress: &mut Progress,
) -> Result<Taken, GithubError> {
    let newest = progress.newest.get(&issue.id);
    // RFC 3339 in UTC, so that the order of the texts is that of the times.
    if newest.is_some_and(|newest| *newest > issue.updated_at) {
        return Ok(Taken::Nothing);
    }
    let taken = tell(handle, context, at, issue).await?;
    if taken != Taken::Later {
        progress.newest.insert(issue.id, issue.updated_at.clone());
    }
    Ok(taken)
}

async fn tell(
    handle: &BoardHandle,
    context: &ServicePorts,
    at: &GithubRepository,
    issue: &Issue,
) -> Result<Taken, GithubError> {
    let board = handle.snapshot();
    let task = board.task_by_key(&issue_task_key(issue.id));
    let Some(input) = issue_input(issue, task) else {
        return Ok(Taken::Nothing);
    };
    // An issue is closed by the merge of its pull request, and then nothing is given up.
    if matches!(input, Input::CancelTask { .. })
        && let Some((merge, open)) = task.and_then(|task| open_pull_request(&board, task))
    {
        let known = context.github.pull_request(at, open.number, handle.now());
        let known = known.await?;
        if matches!(known.fate(), PullRequestFate::Merged(_)) {
            settle(handle, context, at, merge, &known).await?;
            let words = format!("issue #{} was closed by its pull request", issue.number);
            return Ok(Taken::Done(words));
        }
    }
    let words = match &input {
        Input::CreateTask { .. } => "is a task now",
        Input::EditTask { .. } => "changed, and its task with it",
        Input::CancelTask { .. } => "was closed, and its task is given up",
        _ => "was opened again, and its task with it",
    };
    match handle.submit(input).await {
        Ok(_) => {
            let line = format!("issue #{} {words}", issue.number);
            context.logs.line(LOG, &line);
            Ok(Taken::Done(line))
        }
        // An agent is at it; the change comes when it is done.
        Err(SubmitError::Refused(refusal)) if refusal.code == RefusalCode::Conflict => {
            Ok(Taken::Later)
        }
        Err(SubmitError::Refused(refusal)) => {
            let line = format!("issue #{} cannot be taken: {refusal}", issue.number);
            context.logs.line(LOG, &line);
            Ok(Taken::Done(line))
        }
        Err(error) => Err(GithubError::Unavailable(error.to_string())),
    }
}

/// Returns the open pull request of a task.
fn open_pull_request(
    board: &crate::domain::board::Board,
    task: &Task,
) -> Option<(MergeId, PullRequestRef)> {
    let merge = board.proposed_merge_of(task)?;
    Some((merge.id, merge.pull_request.clone()?))
}

async fn look_at_pull_requests(
    handle: &BoardHandle,
    context: &ServicePorts,
    at: &GithubRepository,
) -> Result<(), GithubError> {
    let board = handle.snapshot();
    for merge in board.proposed_merges() {
        let Some(open) = &merge.pull_request else {
            continue;
        };
        let known = context.github.pull_request(at, open.number, handle.now());
        match known.await {
            Ok(known) => settle(handle, context, at, merge.id, &known).await?,
            Err(GithubError::NotFound(detail)) => {
                let detail = format!("{} cannot be found: {detail}", open.url);
                waits(handle, merge.id, detail).await;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}

/// Tells the board what became of a pull request. A merged one counts once the branch here has followed.
async fn settle(
    handle: &BoardHandle,
    context: &ServicePorts,
    at: &GithubRepository,
    merge: MergeId,
    known: &PullRequest,
) -> Result<(), GithubError> {
    let board = handle.snapshot();
    let Some(entry) = board.merge(merge) else {
        return Ok(());
    };
    let fate = match known.fate() {
        PullRequestFate::Open => return Ok(()),
        PullRequestFate::Closed => PullRequestOutcome::Closed {
            detail: format!("pull request #{} was closed without a merge", known.number),
        },
        PullRequestFate::Merged(commit) => {
            match bring_home(context, at, entry).await? {
                Ok(()) => {}
                Err(why) => {
                    let number = known.number;
                    let branch = context.branch(&entry.branch);
                    let branch = branch.as_deref().unwrap_or("the branch");
                    let detail = format!(
                        "pull request #{number} is merged, and {branch} here cannot follow: {why}"
                    );
                    waits(handle, merge, detail).await;
                    return Ok(());
                }
            }
            PullRequestOutcome::Merged { commit }
        }
    };
    let line = format!("pull request #{}: {fate:?}", known.number);
    if handle
        .submit(Input::SettleProposal { merge, fate })
        .await
        .is_ok()
    {
        context.logs.line(LOG, &line);
    }
    Ok(())
}

async fn waits(handle: &BoardHandle, merge: MergeId, detail: String) {
    let fate = PullRequestOutcome::Waiting { detail };
    // One that is settled meanwhile is refused, which is fine.
    drop(handle.submit(Input::SettleProposal { merge, fate }).await);
}

/// Brings the branch here to what it is on the server; the inner error says why it cannot follow for now.
async fn bring_home(
    context: &ServicePorts,
    at: &GithubRepository,
    entry: &MergeQueueEntry,
) -> Result<Result<(), String>, GithubError> {
    let branch = match context.branch(&entry.branch) {
        Ok(branch) => branch,
        Err(why) => return Ok(Err(why)),
    };
    let fetched = context.github.fetch(at, &branch).await?;
    let merges = Arc::clone(&context.merges);
    let moved = tokio::task::spawn_blocking(move || {
        let tip = merges.tip(&branch).map_err(|error| error.0)?;
        let message = format!("Merge {branch} of GitHub");
        let merged = merges.merge(&tip, &fetched, &message);
        let commit = match merged.map_err(|error| error.0)? {
            MergeResult::Merged(commit) => commit,
            MergeResult::Conflict(files) => {
                return Err(format!("{} are in conflict; merge them", files.join(", ")));
            }
        };
        match merges.update_branch(&branch, &tip, &commit) {
            MergeOutcome::Merged => Ok(()),
            MergeOutcome::BaseMoved { .. } => Err("it is moving".to_owned()),
            MergeOutcome::DirtyCheckout { detail } | MergeOutcome::Failed { detail } => Err(detail),
            other => Err(format!("{other:?}")),
        }
    });
    Ok(moved.await.unwrap_or_else(|error| Err(error.to_string())))
}

/// Opens the pull request that an approved attempt needs, or finds it; `None` = it is only merged here.
pub(super) async fn propose(
    handle: &BoardHandle,
    context: &ServicePorts,
    entry: &MergeQueueEntry,
    branch: &str,
) -> Option<MergeOutcome> {
    let board = handle.snapshot();
    let settings = board.settings();
    let task = board.task(entry.task)?;
    let kept: &AttemptCommit = task.kept.as_ref().filter(|kept| !kept.commit.is_empty())?;
    if settings.repo_mode == RepoMode::LocalGit {
        return None;
    }
    let Some(at) = settings.github_repository() else {
        let detail = settings
            .contradiction()
            .unwrap_or_else(|| "REPO_URL cannot be read".to_owned());
        return Some(MergeOutcome::Failed { detail });
    };
    let proposal = pull_request_for(task, kept, branch, &at);
    match context
        .github
        .open_pull_request(&at, &proposal, handle.now())
        .await
    {
        Ok(_) if settings.repo_mode == RepoMode::Both => None,
        Ok(opened) => {
            let line = format!("{} is pull request {}", task.id, opened.html_url);
            context.logs.line(LOG, &line);
            Some(MergeOutcome::Proposed {
                detail: format!("pull request #{} waits to be merged", opened.number),
                pull_request: PullRequestRef {
                    number: opened.number,
                    url: opened.html_url,
                },
            })
        }
        Err(GithubError::Limited { until, detail }) => {
            Some(MergeOutcome::Postponed { detail, until })
        }
        // The server or the way to it: nothing about the attempt, so it is no failed try.
        Err(GithubError::Unavailable(detail)) => Some(MergeOutcome::Postponed {
            detail,
            until: handle.now() + settings.merge_retry_ms,
        }),
        Err(trouble) => Some(MergeOutcome::Failed {
            detail: trouble.to_string(),
        }),
    }
}

/// Says whether the issue that a task links to is there; `None` = the link is none to this repository.
pub(super) async fn check_issue_link(
    handle: &BoardHandle,
    context: &ServicePorts,
    task: &Task,
) -> Option<(bool, String)> {
    let at = handle.snapshot().settings().github_repository()?;
    let number = at.issue_number(&task.spec.link)?;
    if task.spec.key.starts_with("github-issue-") {
        return Some((true, task.spec.link.clone()));
    }
    match context.github.issue(&at, number, handle.now()).await {
        Ok(issue) => Some((true, issue.html_url)),
        Err(trouble) => Some((false, trouble.to_string())),
    }
}
