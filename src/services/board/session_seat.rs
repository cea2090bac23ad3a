//! The seat of a session: the turn under way, what renews its lease, and what the rest of the service says meanwhile.
//!
//! Two share it: the order, which asks for turns, and the observer, which gives a turn back while the task waits for a quota
//! and has it again afterwards. Danger: whatever the observer hears that is not for it goes back to where the order hears it.

use std::sync::{Arc, Mutex};

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{BoardHandle, threads::HEARTBEAT_INTERVAL};
use crate::{
    domain::board::{Fence, Input, Millis, RunId, SessionId, SessionInput, SessionStop},
    ports::board::SubmitError,
};

/// What the thread of a session is told.
pub(super) enum Told {
    Turn(Turn),
    Stop(SessionStop),
}

/// The right to work on a task of the list.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) place: usize,
    pub(super) run: RunId,
    pub(super) fence: Fence,
}

/// What order and observer of a session share.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) id: SessionId,
    pub(super) handle: BoardHandle,
    /// Where the lease is renewed, whatever the thread of the session does.
    pub(super) runtime: Handle,
    pub(super) told: mpsc::UnboundedSender<Told>,
    pub(super) inbox: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Told>>>,
    pub(super) stop: watch::Sender<u8>,
    /// The turn under way; its run changes with a second try.
    pub(super) turn: Arc<tokio::sync::Mutex<Option<Turn>>>,
    pub(super) renewal: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// The place of the task that waits and has given its turn back.
    pub(super) aside: Arc<Mutex<Option<usize>>>,
}

impl Seat {
    pub(super) fn new(
        id: SessionId,
        handle: BoardHandle,
        told: mpsc::UnboundedSender<Told>,
        inbox: mpsc::UnboundedReceiver<Told>,
        stop: watch::Sender<u8>,
    ) -> Self {
        Self {
            id,
            handle,
            runtime: Handle::current(),
            told,
            inbox: Arc::new(tokio::sync::Mutex::new(inbox)),
            stop,
            turn: Arc::default(),
            renewal: Arc::default(),
            aside: Arc::default(),
        }
    }

    /// Begins a turn; its lease is renewed until it is over.
    pub(super) async fn take(&self, turn: Turn) {
        *self.turn.lock().await = Some(turn);
        let (handle, stop) = (self.handle.clone(), self.stop.clone());
        let current = Arc::clone(&self.turn);
        let renewal = self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(HEARTBEAT_INTERVAL).await;
                let turn = current.lock().await;
                let Some(Turn { run, fence, .. }) = *turn else {
                    return;
                };
                let renew = Input::RenewRun { run, fence };
                if let Err(SubmitError::Refused(refusal)) = handle.submit(renew).await {
                    tracing::warn!("{refusal}");
                    stop.send_replace(1);
                    return;
                }
            }
        });
        self.end_renewal(Some(renewal));
    }

    /// Ends the renewal of the lease.
    pub(super) fn release(&self) {
        self.end_renewal(None);
    }

    fn end_renewal(&self, next: Option<JoinHandle<()>>) {
        let before = self.renewal.lock().ok();
        if let Some(before) = before.and_then(|mut slot| std::mem::replace(&mut *slot, next)) {
            before.abort();
        }
    }

    /// Gives the turn back for a while, so that its worker is free; `Ok(false)` = there is none.
    pub(super) async fn stand_aside(
        &self,
        until: Option<Millis>,
        detail: &str,
    ) -> Result<bool, SubmitError> {
        // Nobody renews the old number while it ends.
        let mut current = self.turn.lock().await;
        let Some(turn) = *current else {
            return Ok(false);
        };
        let input = SessionInput::StandAside {
            session: self.id,
            run: turn.run,
            fence: turn.fence,
            until,
            detail: detail.to_owned(),
        };
        self.handle.submit(Input::Session(input)).await?;
        *current = None;
        if let Ok(mut aside) = self.aside.lock() {
            *aside = Some(turn.place);
        }
        Ok(true)
    }

    /// Asks for the turn that was given back; `Ok(false)` = something else comes first, and the order hears of it.
    pub(super) async fn come_back(&self) -> Result<bool, SubmitError> {
        let place = self.aside.lock().ok().and_then(|mut aside| aside.take());
        let Some(place) = place else {
            return Ok(true);
        };
        let ready = SessionInput::Ready { session: self.id };
        self.handle.submit(Input::Session(ready)).await?;
        match self.inbox.lock().await.recv().await {
            Some(Told::Turn(turn)) if turn.place == place => {
                self.take(turn).await;
                Ok(true)
            }
            Some(other) => {
                // The order has the other end for as long as the session is open.
                drop(self.told.send(other));
                Ok(false)
            }
            None => Ok(false),
        }
    }
}
