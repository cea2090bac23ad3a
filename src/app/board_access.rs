//! The board as API and page see it: the handle of the service, its logs, the repository, records of past work.
//!
//! Owns nothing: it reads what others write. Files are read beside the loop, so no request keeps another waiting. Danger:
//! whatever is shown of a log has to go through the redactor first.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::broadcast::{self, error::RecvError};

use super::session_requests;
use crate::{
    adapters::{
        board::{SqliteBoard, blocking_end_orphans},
        disk, files,
        github::{DeliveryLog, GitHubSecret},
    },
    config::gates::LoadedGates,
    domain::{
        board::{
            ATTEMPT_REFERENCES, Board, BoardResponse, Fence, Input, Millis, ProcessName, Refusal,
            RefusalCode, RunId, SessionInput, references_of_board,
        },
        cluster::ClusterView,
        gates::{AutonomyAccount, GateContext},
        redaction::Redactor,
        state_folder::{TOS_FOLDER, tos_path},
        text::char_from,
    },
    ports::{
        BoxFuture,
        board::{
            BoardError, ClearedLogs, ConfigEntry, EventFeed, FeedUpdate, HistoryEntry, HistoryKind,
            LogChunk, LogSource, LogState, OrphanCleanup, ProcessLogLine, ReadinessCheck,
            SequencedEvent, ServiceBackend, SubmitError, WebhookAnswer, WebhookDelivery,
        },
        board_store::Error as StoreError,
        branch_merges::BranchMerges,
        clock::Clock,
        cluster::RunDispatcher,
        containers::Containers,
        ledger::Ledger,
        process_logs::ProcessLogs,
    },
    services::board::BoardHandle,
};

/// The requirement of the planner, from the root.
const REQUIREMENT: &str = tos_path!("requirement.md");
/// The database, from the root.
pub(super) const DATABASE: &str = tos_path!("board.sqlite");
/// How long an answer waits until the programs of what was stopped are gone; they are killed long before.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// The largest diff that is shown, in bytes.
const LARGEST_DIFF: usize = 4 << 20;

/// What API and page are answered from.
#[derive(Clone)]
pub(super) struct ServiceBoard {
    pub(super) handle: BoardHandle,
    pub(super) logs: Arc<dyn ProcessLogs>,
    pub(super) merges: Arc<dyn BranchMerges>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gates: Arc<LoadedGates>,
    pub(super) here: GateContext,
    /// What makes containers, to see whether settings can be obeyed.
    pub(super) containers: Arc<dyn Containers>,
    /// The names of the service's further agents.
    pub(super) agents: Vec<String>,
    pub(super) redactor: Redactor,
    pub(super) environment: Vec<(String, String)>,
    pub(super) root: PathBuf,
    /// Where the token of GitHub lies.
    pub(super) token: GitHubSecret,
    /// Workers on other machines, where there are any.
    pub(super) remote: Option<Arc<dyn RunDispatcher>>,
    /// Where the secret of GitHub's webhook lies.
    pub(super) webhook: GitHubSecret,
    /// Which deliveries of it were taken.
    pub(super) deliveries: DeliveryLog,
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> BoardError {
    BoardError::Unavailable(error.to_string())
}

/// Does something that waits for a disk, beside the loop.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BoardError> + Send + 'static,
) -> Result<T, BoardError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(unavailable)?
}

struct Feed(broadcast::Receiver<SequencedEvent>);

impl EventFeed for Feed {
    fn next(&mut self) -> BoxFuture<'_, FeedUpdate> {
        Box::pin(async move {
            match self.0.recv().await {
                Ok(notice) => FeedUpdate::Event(Box::new(notice)),
                Err(RecvError::Lagged(_)) => FeedUpdate::Missed,
                Err(RecvError::Closed) => FeedUpdate::End,
            }
        })
    }
}

/// Returns a piece of a text from an offset on, or its end, cut at whole letters.
pub(super) fn piece_of(text: &str, offset: Option<u64>, limit: u64) -> LogChunk {
    let total = text.len();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let begin = offset.map_or(total.saturating_sub(limit), |offset| {
        usize::try_from(offset).unwrap_or(usize::MAX).min(total)
    });
    let begin = char_from(text, begin);
    let end = char_from(text, begin.saturating_add(limit).min(total));
    LogChunk {
        text: text.get(begin..end).unwrap_or_default().to_owned(),
        offset: begin as u64,
        next: end as u64,
        total: total as u64,
        state: LogState::Growing,
    }
}

/// Reads `TIME PROCESS TEXT`, as logs have it.
pub(super) fn line_of(source: &str, number: usize, line: &str) -> ProcessLogLine {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let at = chrono::DateTime::parse_from_rfc3339(first).ok();
    let text = rest.strip_prefix(source).map_or(rest, str::trim_start);
    ProcessLogLine {
        at: at.map_or(0, |at| {
            u64::try_from(at.timestamp_millis()).unwrap_or_default()
        }),
        source: source.to_owned(),
        number: number as u64 + 1,
        text: if at.is_some() { text } else { line }.to_owned(),
    }
}

impl ServiceBoard {
    fn lines_of_all(&self, since: Millis, limit: usize) -> Vec<ProcessLogLine> {
        let mut all = Vec::new();
        for name in self.logs.names() {
            let lines = self.logs.tail(&name, limit);
            let numbered = lines.iter().enumerate();
            let lines = numbered.map(|(number, line)| line_of(&name, number, line));
            all.extend(lines.filter(|line| line.at >= since));
        }
        all.sort_by(|a, b| (a.at, &a.source, a.number).cmp(&(b.at, &b.source, b.number)));
        let mut all = all.split_off(all.len().saturating_sub(limit));
        for line in &mut all {
            line.text = self.redactor.clean(&line.text);
        }
        all
    }

    fn diff_of(&self, id: RunId) -> Result<String, BoardError> {
        let board = self.handle.snapshot();
        let run = board.run(id);
        let run = run.ok_or_else(|| BoardError::NotFound(format!("there is no {id}")))?;
        let kept = run.kept.as_ref().filter(|kept| !kept.commit.is_empty());
        let kept = kept.ok_or_else(|| BoardError::NotFound(format!("{id} left no change")))?;
        let diff = self
            .merges
            .diff(&kept.base, &kept.commit)
            .map_err(unavailable)?;
        let mut diff = self.redactor.clean(&diff);
        if diff.len() > LARGEST_DIFF {
            diff.truncate(char_from(&diff, LARGEST_DIFF));
            diff.push_str("\n(the rest is left out)\n");
        }
        Ok(diff)
    }

    /// Says whether the board takes what it is told.
    async fn database(&self) -> ReadinessCheck {
        let detail = if self.handle.snapshot().globals().closed {
            "it refuses writes since db-down; `tos proc start db-up` opens it".to_owned()
        } else {
            let tried = self.handle.probe().await;
            tried.err().map_or_else(String::new, |error| match error {
                SubmitError::Store(error) => error.to_string(),
                other => other.to_string(),
            })
        };
        ReadinessCheck {
            name: "database".to_owned(),
            ok: detail.is_empty(),
            detail,
        }
    }

    fn checks(&self) -> Vec<ReadinessCheck> {
        let check = |name: &str, result: Result<(), String>| ReadinessCheck {
            name: name.to_owned(),
            ok: result.is_ok(),
            detail: result.err().unwrap_or_default(),
        };
        let repository = self.merges.current_branch().map(drop);
        let room = disk::check_writable(&self.root.join(TOS_FOLDER));
        vec![
            check("repository", repository.map_err(|error| error.0)),
            check("state folder", room.map_err(|error| error.to_string())),
        ]
    }
}

impl ServiceBackend for ServiceBoard {
    fn now(&self) -> Millis {
        self.handle.now()
    }

    fn submit(&self, input: Input) -> BoxFuture<'_, Result<BoardResponse, SubmitError>> {
        let is_end = matches!(
            input,
            Input::StopAll { .. }
                | Input::StopProcess { .. }
                | Input::CancelRun { .. }
                | Input::CancelTask { .. }
                | Input::Cleanup { .. }
        );
        Box::pin(async move {
            if is_end {
                self.handle.give_up(input, STOP_PATIENCE).await
            } else {
                self.handle.submit(input).await
            }
        })
    }

    fn stopping(&self) -> BTreeSet<Fence> {
        self.handle.stopping()
    }

    fn open_session(&self, run: String) -> BoxFuture<'_, Result<BoardResponse, SubmitError>> {
        let this = self.clone();
        Box::pin(async move {
            let request = beside({
                let (this, run) = (this.clone(), run.clone());
                move || session_requests::read_request(&this.root, &*this.ledger, &run)
            });
            let spec = match request.await {
                Ok(spec) => Box::new(spec),
                Err(BoardError::Unavailable(why)) => return Err(StoreError(why).into()),
                Err(BoardError::NotFound(why) | BoardError::Invalid(why)) => {
                    let hint = "`tos night start LIST` lays one down";
                    return Err(Refusal::new(RefusalCode::NotFound, why, hint).into());
                }
            };
            this.submit(Input::Session(SessionInput::Start { spec }))
                .await
        })
    }

    fn snapshot(&self) -> Arc<Board> {
        self.handle.snapshot()
    }

    fn last_event(&self) -> u64 {
        self.handle.snapshot().globals().events
    }

    fn subscribe(&self) -> Box<dyn EventFeed> {
        Box::new(Feed(self.handle.subscribe()))
    }

    fn events_after(
        &self,
        seq: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<SequencedEvent>, BoardError>> {
        Box::pin(async move {
            let events = self.handle.events_after(seq, limit).await;
            let events = events.map_err(unavailable)?.into_iter();
            Ok(events
                .map(|(seq, event)| SequencedEvent {
                    seq,
                    event: Arc::new(event),
                })
                .collect())
        })
    }

    fn log(
        &self,
        source: LogSource,
        offset: Option<u64>,
        limit: u64,
    ) -> BoxFuture<'_, Result<LogChunk, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || {
            let name = match source {
                LogSource::Run(run) => return this.log_of_run(run, offset, limit),
                LogSource::Process(name) => name.agent_name(),
                LogSource::Session(id) => id.to_string(),
            };
            let lines = this.logs.tail(&name, usize::MAX);
            let mut text = lines.join("\n");
            if !text.is_empty() {
                text.push('\n');
            }
            Ok(piece_of(&this.redactor.clean(&text), offset, limit))
        }))
    }

    fn logs_of_all(
        &self,
        since: Millis,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ProcessLogLine>, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || Ok(this.lines_of_all(since, limit))))
    }

    fn clear_logs(&self) -> BoxFuture<'_, Result<ClearedLogs, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || {
            let board = this.handle.snapshot();
            let processes = board.processes();
            let live = processes.iter().filter(|process| process.status.is_live());
            let sessions = board.open_sessions().map(|session| session.id.to_string());
            let up: Vec<String> = live
                .map(|process| process.name.agent_name())
                .chain(sessions)
                .collect();
            let (truncated, removed) = this.logs.clear(&up);
            Ok(ClearedLogs {
                truncated,
                removed,
                failed: 0,
            })
        }))
    }

    fn diff(&self, run: RunId) -> BoxFuture<'_, Result<String, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || this.diff_of(run)))
    }

    fn configuration(&self) -> BoxFuture<'_, Result<Vec<ConfigEntry>, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || Ok(this.entries())))
    }

    fn configure(
        &self,
        changes: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Vec<ProcessName>, BoardError>> {
        let this = self.clone();
        Box::pin(async move {
            let settings = beside({
                let this = this.clone();
                move || this.save_changes(&changes)
            });
            let settings = Box::new(settings.await?);
            let told = this.handle.submit(Input::Configure { settings }).await;
            Ok(match told.map_err(unavailable)? {
                BoardResponse::Restart { processes } => processes,
                _ => Vec::new(),
            })
        })
    }

    fn requirement(&self) -> BoxFuture<'_, Result<String, BoardError>> {
        let path = self.root.join(REQUIREMENT);
        Box::pin(beside(move || {
            let bytes = files::read(&path).unwrap_or_default();
            String::from_utf8(bytes).map_err(|_| unavailable(format!("{REQUIREMENT} is no text")))
        }))
    }

    fn requirement_in(&self, path: String) -> BoxFuture<'_, Result<String, BoardError>> {
        let root = self.root.clone();
        Box::pin(beside(move || requirement_of(&root, &path)))
    }

    fn write_requirement(&self, text: String) -> BoxFuture<'_, Result<(), BoardError>> {
        let path = self.root.join(REQUIREMENT);
        Box::pin(beside(move || {
            files::write(&path, &text).map_err(unavailable)
        }))
    }

    fn archive(&self) -> BoxFuture<'_, Result<String, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || {
            let mut store = SqliteBoard::open(&this.root.join(DATABASE)).map_err(unavailable)?;
            let text = store.export_events().map_err(unavailable)?;
            let stamp = this.clock.now().format("%Y%m%dT%H%M%S%3f");
            let name = format!("{TOS_FOLDER}/board-archive/{stamp}.jsonl");
            files::write_secret(&this.root.join(&name), &text).map_err(unavailable)?;
            Ok(name)
        }))
    }

    fn remove_attempts(&self, board: Arc<Board>) -> BoxFuture<'_, Result<usize, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || {
            let names = this
                .merges
                .references(&ATTEMPT_REFERENCES)
                .map_err(unavailable)?;
            let chain = this.ledger.read().map_err(unavailable)?;
            let names = references_of_board(names, &board, &chain.records);
            this.merges.remove_references(&names).map_err(unavailable)?;
            Ok(names.len())
        }))
    }

    /// A service ends what an earlier one left behind before it begins; what came up since is found here.
    fn end_orphans(&self) -> BoxFuture<'_, Result<OrphanCleanup, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || {
            let board = this.handle.snapshot();
            let state = this.root.join(TOS_FOLDER);
            Ok(blocking_end_orphans(&state, &board.globals().instance))
        }))
    }

    fn past(&self, kind: HistoryKind) -> BoxFuture<'_, Result<Vec<HistoryEntry>, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || this.past_work(kind)))
    }

    fn autonomy(&self) -> BoxFuture<'_, Result<AutonomyAccount, BoardError>> {
        let this = self.clone();
        Box::pin(beside(move || this.account_of_gates()))
    }

    fn cluster(&self) -> BoxFuture<'_, Option<Result<ClusterView, BoardError>>> {
        let remote = self.remote.clone();
        Box::pin(async move { Some(remote?.view().await.map_err(unavailable)) })
    }

    fn deliver(
        &self,
        delivery: WebhookDelivery,
    ) -> BoxFuture<'_, Result<WebhookAnswer, BoardError>> {
        Box::pin(self.receive_webhook(delivery))
    }

    fn readiness(&self) -> BoxFuture<'_, Vec<ReadinessCheck>> {
        let this = self.clone();
        Box::pin(async move {
            let database = this.database().await;
            let checks = beside(move || Ok(this.checks())).await;
            let mut checks = checks.unwrap_or_else(|error| {
                vec![ReadinessCheck {
                    name: "service".to_owned(),
                    ok: false,
                    detail: error.to_string(),
                }]
            });
            checks.push(database);
            checks
        })
    }
}

/// Reads a requirement from a file of the repository; what lies elsewhere, also by a link, is none.
fn requirement_of(root: &Path, path: &str) -> Result<String, BoardError> {
    let place = Path::new(path);
    let hidden = |part: Component<'_>| match part {
        Component::Normal(name) => name.to_string_lossy().starts_with('.'),
        _ => true,
    };
    let real = files::canonical(&root.join(place));
    if path.is_empty()
        || place.components().any(hidden)
        || !real.starts_with(files::canonical(root))
    {
        return Err(BoardError::Invalid(format!(
            "\"{path}\" names no file of the repository; write its path from the root"
        )));
    }
    let bytes = files::read(&real)
        .ok_or_else(|| BoardError::NotFound(format!("there is no file {path}")))?;
    if bytes.len() > LARGEST_DIFF {
        return Err(BoardError::Invalid(format!(
            "{path} is too long for a requirement"
        )));
    }
    String::from_utf8(bytes).map_err(|_| BoardError::Invalid(format!("{path} is no text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_read_from_the_repository_and_from_nowhere_else() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        let secret = other.path().join("secret.md");
        for (file, text) in [
            (root.join("wish.md"), "# A wish"),
            (root.join(".env"), "KEY=x"),
            (secret.clone(), "not yours"),
        ] {
            files::write(&file, text).unwrap();
        }
        std::os::unix::fs::symlink(&secret, root.join("link.md")).unwrap();
        let read = |path: &str| requirement_of(root, path);
        assert_eq!(read("wish.md").as_deref(), Ok("# A wish"));
        let outside = secret.to_string_lossy();
        for wrong in [
            "",
            ".env",
            "../secret.md",
            "link.md",
            "a/../../x",
            outside.as_ref(),
        ] {
            assert!(
                matches!(read(wrong), Err(BoardError::Invalid(_))),
                "{wrong}"
            );
        }
        assert!(matches!(read("none.md"), Err(BoardError::NotFound(_))));
    }

    #[test]
    fn pieces_of_a_text_follow_each_other_and_cut_no_letter() {
        let text = "aä日b".repeat(10);
        let (mut offset, mut read) = (0, String::new());
        loop {
            let piece = piece_of(&text, Some(offset), 5);
            if piece.text.is_empty() {
                break;
            }
            read.push_str(&piece.text);
            offset = piece.next;
        }
        assert_eq!(read, text);
        assert_eq!(piece_of(&text, None, 1).text, "b");
        assert_eq!(piece_of(&text, Some(u64::MAX), 1).text, "");
    }

    #[test]
    fn a_line_of_a_log_has_its_time_and_its_text() {
        let line = line_of(
            "judge-1",
            0,
            "2026-11-29T01:02:03.004+00:00 judge-1 approved",
        );
        assert_eq!(
            (line.at, line.text.as_str()),
            (1_795_914_123_004, "approved")
        );
        assert_eq!(line_of("x", 1, "  second part").text, "  second part");
    }
}
