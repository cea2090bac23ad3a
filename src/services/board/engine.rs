//! The one loop that changes the board: decide, make durable, apply, publish, perform, answer; in groups.
//!
//! It runs on a thread of its own, because the disk makes it wait. A group that cannot be written changes nothing: the board
//! goes back to what is durable, and whoever asked is told.

use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::{broadcast, mpsc as async_mpsc, oneshot, watch};

use super::{
    deliveries::{DeliveryError, DeliveryQueue},
    under_way::{WorkUnderWay, held_by},
};
use crate::{
    domain::{
        board::{
            Board, BoardResponse, Effect, Event, Fence, Input, Millis, ProcessName, SessionEffect,
        },
        github::WebhookEvent,
    },
    ports::{
        board::{SequencedEvent, SubmitError},
        board_store::{BoardBatch, BoardStore, Error as StoreError},
        clock::Clock,
    },
};

/// How many inputs are made durable together.
const GROUP: usize = 512;
/// How many events a slow reader may be behind before it has to read the store.
const BEHIND: usize = 4096;

type Reply = Box<dyn FnOnce(Result<BoardResponse, SubmitError>) + Send>;
/// What the board answered, and the work that it gave up with that.
type GivenUp = Result<(BoardResponse, BTreeSet<Fence>), SubmitError>;
type Events = Result<Vec<(u64, Event)>, StoreError>;

enum Request {
    Submit(Box<Input>, Reply),
    GiveUp(Box<Input>, oneshot::Sender<GivenUp>),
    Alive(ProcessName),
    Read(u64, usize, oneshot::Sender<Events>),
    Probe(oneshot::Sender<Result<(), StoreError>>),
}

/// The clock of a board: the wall clock when it began, and from then on time that never jumps.
#[derive(Clone)]
struct BoardClock {
    clock: Arc<dyn Clock>,
    base: Millis,
    began: Duration,
}

impl BoardClock {
    fn now(&self) -> Millis {
        let past = self.clock.boottime().saturating_sub(self.began);
        self.base + u64::try_from(past.as_millis()).unwrap_or(u64::MAX)
    }
}

/// All that anybody else has of a board.
#[derive(Clone)]
pub struct BoardHandle {
    requests: mpsc::Sender<Request>,
    snapshot: watch::Receiver<Arc<Board>>,
    events: broadcast::Sender<SequencedEvent>,
    clock: BoardClock,
    pub(super) deliveries: DeliveryQueue,
    pub(super) under_way: WorkUnderWay,
}

impl std::fmt::Debug for BoardHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardHandle").finish_non_exhaustive()
    }
}

impl BoardHandle {
    /// Tells the board something; returns once it is durable.
    pub async fn submit(&self, input: Input) -> Result<BoardResponse, SubmitError> {
        let (sender, receiver) = oneshot::channel();
        let reply: Reply = Box::new(move |answer| drop(sender.send(answer)));
        let asked = self.requests.send(Request::Submit(Box::new(input), reply));
        asked.map_err(|_| SubmitError::Ending)?;
        receiver.await.map_err(|_| SubmitError::Ending)?
    }

    /// Returns the board as it is durable.
    pub fn snapshot(&self) -> Arc<Board> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Returns a receiver that is told of each new snapshot.
    pub fn watch(&self) -> watch::Receiver<Arc<Board>> {
        self.snapshot.clone()
    }

    /// Returns a receiver of everything that becomes durable from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<SequencedEvent> {
        self.events.subscribe()
    }

    /// Returns durable events after a number, oldest first.
    pub async fn events_after(
        &self,
        seq: u64,
        most: usize,
    ) -> Result<Vec<(u64, Event)>, SubmitError> {
        let (sender, receiver) = oneshot::channel();
        let asked = self.requests.send(Request::Read(seq, most, sender));
        asked.map_err(|_| SubmitError::Ending)?;
        Ok(receiver.await.map_err(|_| SubmitError::Ending)??)
    }

    /// Tries whether the board could be written now.
    pub async fn probe(&self) -> Result<(), SubmitError> {
        let (sender, receiver) = oneshot::channel();
        let asked = self.requests.send(Request::Probe(sender));
        asked.map_err(|_| SubmitError::Ending)?;
        Ok(receiver.await.map_err(|_| SubmitError::Ending)??)
    }

    /// Notes a sign of life of a process.
    pub fn heartbeat(&self, name: ProcessName) {
        // A service that ends needs none.
        drop(self.requests.send(Request::Alive(name)));
    }

    /// Hands in what GitHub told by itself; returns in words what became of it.
    pub async fn deliver(&self, news: WebhookEvent) -> Result<String, DeliveryError> {
        self.deliveries.deliver(news).await
    }

    /// Returns the work that the board has given up and whose programs are not gone yet.
    pub fn stopping(&self) -> BTreeSet<Fence> {
        self.under_way.given_up_by(&self.snapshot())
    }

    /// Tells the board something that ends work. Returns once it is durable and the programs of what was given up with it are
    /// gone, or after a while: whoever asks sees what is left.
    pub async fn give_up(
        &self,
        input: Input,
        patience: Duration,
    ) -> Result<BoardResponse, SubmitError> {
        let (sender, receiver) = oneshot::channel();
        let asked = self.requests.send(Request::GiveUp(Box::new(input), sender));
        asked.map_err(|_| SubmitError::Ending)?;
        let (answer, given_up) = receiver.await.map_err(|_| SubmitError::Ending)??;
        drop(tokio::time::timeout(patience, self.under_way.until_gone(&given_up)).await);
        Ok(answer)
    }

    /// Returns the time on the clock of the board.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }
}

struct Engine {
    board: Board,
    store: Box<dyn BoardStore>,
    last: u64,
    clock: BoardClock,
    snapshot: watch::Sender<Arc<Board>>,
    events: broadcast::Sender<SequencedEvent>,
    effects: async_mpsc::UnboundedSender<Effect>,
    under_way: WorkUnderWay,
}

/// Reads the board and starts the loop. It ends when nobody holds a handle any more.
pub fn start(
    mut store: Box<dyn BoardStore>,
    clock: Arc<dyn Clock>,
) -> Result<(BoardHandle, async_mpsc::UnboundedReceiver<Effect>), StoreError> {
    let loaded = store.load()?;
    start_loaded(store, loaded, clock)
}

/// Starts the loop with a board that was read from this store, and the number of its last event.
pub fn start_loaded(
    store: Box<dyn BoardStore>,
    (mut board, last): (Board, u64),
    clock: Arc<dyn Clock>,
) -> Result<(BoardHandle, async_mpsc::UnboundedReceiver<Effect>), StoreError> {
    drop(board.take_dirty());
    let wall = u64::try_from(clock.now().timestamp_millis()).unwrap_or_default();
    let clock = BoardClock {
        base: wall.max(board.now()),
        began: clock.boottime(),
        clock,
    };
    let (requests, inbox) = mpsc::channel();
    let (snapshot_sender, snapshot) = watch::channel(Arc::new(board.clone()));
    let (events, _) = broadcast::channel(BEHIND);
    let (effects, effects_receiver) = async_mpsc::unbounded_channel();
    let under_way = WorkUnderWay::default();
    let engine = Engine {
        board,
        store,
        last,
        clock: clock.clone(),
        snapshot: snapshot_sender,
        events: events.clone(),
        effects,
        under_way: under_way.clone(),
    };
    let thread = std::thread::Builder::new().name("board".to_owned());
    let started = thread.spawn(move || engine.work(&inbox));
    started.map_err(|error| StoreError(format!("the board's thread could not start: {error}")))?;
    Ok((
        BoardHandle {
            requests,
            snapshot,
            events,
            clock,
            deliveries: DeliveryQueue::new(),
            under_way,
        },
        effects_receiver,
    ))
}

impl Engine {
    fn work(mut self, inbox: &mpsc::Receiver<Request>) {
        while let Ok(first) = inbox.recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = inbox.try_recv()
            {
                group.push(next);
            }
            self.handle(group);
        }
    }

    fn handle(&mut self, group: Vec<Request>) {
        let now = self.clock.now();
        let mut batch = BoardBatch {
            first: self.last + 1,
            ..BoardBatch::default()
        };
        let mut effects = Vec::new();
        let mut replies = Vec::new();
        for request in group {
            match request {
                Request::Submit(input, reply) => {
                    let answer = self.decide(&input, now, &mut batch, &mut effects);
                    replies.push((reply, answer));
                }
                Request::GiveUp(input, sender) => {
                    let mut given_up = held_by(&self.board);
                    let answer = self.decide(&input, now, &mut batch, &mut effects);
                    let held = held_by(&self.board);
                    given_up.retain(|fence| !held.contains(fence));
                    let reply: Reply = Box::new(move |answer| {
                        // Whoever asked may have gone.
                        drop(sender.send(answer.map(|answer| (answer, given_up))));
                    });
                    replies.push((reply, answer));
                }
                Request::Alive(name) => self.board.note_alive(name, now),
                Request::Read(seq, most, reply) => {
                    // Whoever asked may have gone.
                    drop(reply.send(self.store.events_after(seq, most)));
                }
                Request::Probe(reply) => drop(reply.send(self.store.probe())),
            }
        }
        if let Err(error) = self.commit(&mut batch) {
            tracing::error!("{error}");
            self.board = (**self.snapshot.borrow()).clone();
            for (reply, answer) in replies {
                reply(answer.and(Err(SubmitError::Store(error.clone()))));
            }
            return;
        }
        self.publish(batch);
        for effect in effects {
            self.send(effect);
        }
        for (reply, answer) in replies {
            // Whoever is told so begins it.
            if let Ok(BoardResponse::Run { fence, .. }) = &answer {
                self.under_way.announce(*fence);
            }
            reply(answer);
        }
    }

    /// Decides an input and applies what follows; nobody is told before it is durable.
    fn decide(
        &mut self,
        input: &Input,
        now: Millis,
        batch: &mut BoardBatch,
        effects: &mut Vec<Effect>,
    ) -> Result<BoardResponse, SubmitError> {
        let decision = self.board.handle(input, now).map_err(|refusal| {
            tracing::debug!("refused: {refusal}");
            SubmitError::Refused(refusal)
        })?;
        for event in &decision.events {
            self.board.apply(event);
        }
        batch.events.extend(decision.events);
        effects.extend(decision.effects);
        Ok(decision.answer)
    }

    /// Hands an effect to whoever performs it. The work it begins is under way from here on.
    fn send(&self, effect: Effect) {
        let begins = begun_by(&effect);
        if let Some(fence) = begins {
            self.under_way.announce(fence);
        }
        // Nobody performs effects any more when the service ends; the next start begins from the board.
        if self.effects.send(effect).is_err()
            && let Some(fence) = begins
        {
            self.under_way.withdraw(fence);
        }
    }

    fn commit(&mut self, batch: &mut BoardBatch) -> Result<(), StoreError> {
        if batch.events.is_empty() {
            return Ok(());
        }
        let keys = self.board.take_dirty();
        batch.entities = keys
            .into_iter()
            .map(|key| (key.clone(), self.board.entity(&key)))
            .collect();
        self.store.append(batch)
    }

    fn publish(&mut self, batch: BoardBatch) {
        if batch.events.is_empty() {
            return;
        }
        self.snapshot.send_replace(Arc::new(self.board.clone()));
        for event in batch.events {
            self.last += 1;
            // Without a listener there is nobody to tell.
            drop(self.events.send(SequencedEvent {
                seq: self.last,
                event: Arc::new(event),
            }));
        }
    }
}

/// Returns the number of the lease of the work that an effect begins.
#[expect(clippy::wildcard_enum_match_arm, reason = "few effects begin anything")]
const fn begun_by(effect: &Effect) -> Option<Fence> {
    match effect {
        Effect::StartRun { fence, .. }
        | Effect::StartJudgement { fence, .. }
        | Effect::Session(SessionEffect::Turn { fence, .. }) => Some(*fence),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

    use super::*;
    use crate::{
        domain::{
            board::{Controller, RunId, TaskSpec},
            time::Timestamp,
        },
        ports::BoxFuture,
    };

    /// A wall clock that somebody sets, and a machine that has been up for a while.
    #[derive(Default)]
    struct Clocks {
        wall: AtomicI64,
        up: AtomicU64,
    }

    impl Clock for Clocks {
        fn now(&self) -> Timestamp {
            let wall = self.wall.load(Ordering::Relaxed);
            chrono::DateTime::from_timestamp_millis(wall)
                .unwrap()
                .fixed_offset()
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.up.load(Ordering::Relaxed))
        }

        fn random(&self) -> f64 {
            0.5
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    /// A store in memory that refuses when it is told to.
    #[derive(Default)]
    struct Store {
        board: Board,
        events: Vec<Event>,
        full: Arc<AtomicBool>,
    }

    impl BoardStore for Store {
        fn load(&mut self) -> Result<(Board, u64), StoreError> {
            Ok((self.board.clone(), self.events.len() as u64))
        }

        fn append(&mut self, batch: &BoardBatch) -> Result<(), StoreError> {
            if self.full.load(Ordering::Relaxed) {
                return Err(StoreError("the disk is full".to_owned()));
            }
            assert_eq!(batch.first, self.events.len() as u64 + 1);
            self.events.extend(batch.events.iter().cloned());
            Ok(())
        }

        fn probe(&mut self) -> Result<(), StoreError> {
            let full = self.full.load(Ordering::Relaxed);
            (!full)
                .then_some(())
                .ok_or_else(|| StoreError("the disk is full".to_owned()))
        }

        fn events_after(&mut self, seq: u64, most: usize) -> Result<Vec<(u64, Event)>, StoreError> {
            let all = self.events.iter().cloned();
            let numbered = (1..).zip(all).filter(|(number, _)| *number > seq);
            Ok(numbered.take(most).collect())
        }
    }

    fn create(title: &str) -> Input {
        let spec = TaskSpec {
            title: title.to_owned(),
            ..TaskSpec::default()
        };
        Input::CreateTask {
            spec: Box::new(spec),
        }
    }

    #[tokio::test]
    async fn a_group_that_cannot_be_written_changes_nothing() {
        let full = Arc::new(AtomicBool::new(false));
        let store = Store {
            full: Arc::clone(&full),
            ..Store::default()
        };
        let (handle, _effects) = start(Box::new(store), Arc::new(Clocks::default())).unwrap();
        handle.submit(create("one")).await.unwrap();
        let before = handle.snapshot();
        full.store(true, Ordering::Relaxed);
        let told = handle.submit(create("two")).await.unwrap_err();
        assert!(matches!(told, SubmitError::Store(_)), "{told}");
        assert_eq!(handle.snapshot().difference(&before), None);
        assert!(handle.probe().await.is_err());
        full.store(false, Ordering::Relaxed);
        handle.probe().await.unwrap();
        handle.submit(create("three")).await.unwrap();
        let events = handle.events_after(0, 10).await.unwrap();
        let mut folded = Board::default();
        for (_, event) in &events {
            folded.apply(event);
        }
        assert_eq!(handle.snapshot().difference(&folded), None);
        let titles = |board: &Board| -> Vec<String> {
            let titles = board.tasks().map(|task| task.spec.title.clone());
            titles.collect()
        };
        assert_eq!(titles(&handle.snapshot()), ["one", "three"]);
        // What somebody holds stays as it was.
        assert_eq!(titles(&before), ["one"]);
    }
    #[tokio::test]
    async fn a_wall_clock_that_is_set_changes_nothing_for_the_board() {
        let mut board = Board::default();
        let mut events = Vec::new();
        let late = 1_800_000_000_000;
        for event in board.handle(&create("one"), late).unwrap().events {
            board.apply(&event);
            events.push(event);
        }
        let store = Store {
            board,
            events,
            ..Store::default()
        };
        // The clock was set back by years while the service was away.
        let clocks = Arc::new(Clocks::default());
        let (handle, _effects) = start(Box::new(store), clocks.clone()).unwrap();
        assert_eq!(handle.now(), late);
        for (wall, up) in [(9_999_999_999_999, 1000), (-5000, 2500), (0, 4000)] {
            clocks.wall.store(wall, Ordering::Relaxed);
            clocks.up.store(up, Ordering::Relaxed);
            handle.submit(create("more")).await.unwrap();
            let board = handle.snapshot();
            let newest = board.tasks().next_back().unwrap();
            assert_eq!((handle.now(), newest.created_at), (late + up, late + up));
        }
    }

    /// Adds a task and does what is due until its run is given out; nobody has begun it yet.
    async fn given_out(
        handle: &BoardHandle,
        effects: &mut async_mpsc::UnboundedReceiver<Effect>,
    ) -> (RunId, Fence) {
        let instance = "a".to_owned();
        let adopt = BTreeSet::new();
        let began = Input::ServiceStarted { instance, adopt };
        handle.submit(began).await.unwrap();
        handle.submit(create("one")).await.unwrap();
        loop {
            match effects.try_recv() {
                Ok(Effect::StartRun { run, fence, .. }) => return (run, fence),
                Ok(Effect::StartProcess {
                    name, generation, ..
                }) => {
                    let up = Input::ProcessUp { name, generation };
                    handle.submit(up).await.unwrap();
                    handle.heartbeat(name);
                }
                Ok(_) => {}
                Err(_) => {
                    let (board, now) = (handle.snapshot(), handle.now());
                    let is_due = |part: &Controller| board.next_wake_of(*part) <= Some(now);
                    let mut due = Controller::ALL.into_iter().filter(is_due);
                    let part = due.find(|part| board.next_wake_of(*part).is_some());
                    let part = part.expect("the run is given out");
                    handle.submit(Input::Wake { part }).await.unwrap();
                }
            }
        }
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_it_gave_up_begun_or_not_and_for_nothing_else() {
        let store = Box::new(Store::default());
        let (handle, mut effects) = start(store, Arc::new(Clocks::default())).unwrap();
        // Given up before, and stuck.
        let _stuck = handle.under_way.begin(Fence(1000), watch::channel(0).0);
        let (run, fence) = given_out(&handle, &mut effects).await;
        assert_eq!(handle.stopping(), [Fence(1000)].into());
        let stop = tokio::spawn({
            let handle = handle.clone();
            let by = "a person".to_owned();
            let note = String::new();
            let input = Input::CancelRun { run, note, by };
            async move { handle.give_up(input, Duration::MAX).await }
        });
        let given_up = |board: &Arc<Board>| board.live_runs().next().is_none();
        handle.watch().wait_for(given_up).await.unwrap();
        assert_eq!(handle.stopping(), [fence, Fence(1000)].into());
        let work = handle.under_way.begin(fence, watch::channel(0).0);
        assert!(!stop.is_finished());
        drop(work);
        stop.await.unwrap().unwrap();
        assert_eq!(handle.stopping(), [Fence(1000)].into());
    }
}
