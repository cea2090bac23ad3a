//! A board in the log of NATS, with `SQLite` as what follows from it.
//!
//! A batch is appended to the log first; that alone makes it count. Where the database then cannot be written, this
//! controller writes nothing any more until it has been started again and has read the log.

use std::sync::Arc;

use super::{
    connection::NatsConnection,
    log::{AppendError, Batch, EventLog},
};
use crate::{
    adapters::board::SqliteBoard,
    domain::board::{Board, Event},
    ports::board_store::{BoardBatch, BoardStore, Error},
};

/// How many events of a board that was never on NATS go into one batch.
const TAKEN: usize = 2_000;
/// How often the log is read again because somebody wrote to it meanwhile.
const FENCED: usize = 5;

/// A board in a log that several controllers see.
pub(super) struct NatsBoard {
    cluster: Arc<NatsConnection>,
    log: EventLog,
    projection: SqliteBoard,
    broken: Option<String>,
}

impl NatsBoard {
    /// Opens the log of a board beside its database.
    pub(super) fn open(
        cluster: &Arc<NatsConnection>,
        projection: SqliteBoard,
        writer: &str,
    ) -> Result<Self, Error> {
        Ok(Self {
            log: cluster
                .retry(|| EventLog::open(cluster, writer))
                .map_err(Error)?,
            cluster: Arc::clone(cluster),
            projection,
            broken: None,
        })
    }

    /// Brings the database to where the log is.
    fn follow(&mut self, board: &mut Board, mut last: u64) -> Result<u64, Error> {
        let batches = self.batches_with(last.max(1))?;
        if batches.is_empty() && last > 0 {
            return self.take_in(0, last);
        }
        let mut end = last;
        for (_, batch) in batches {
            let events = events_of(&batch)?;
            end = (batch.first + events.len() as u64).saturating_sub(1);
            self.compare(batch.first, &events, last)?;
            let known = usize::try_from(last.saturating_sub(batch.first - 1)).unwrap_or(usize::MAX);
            if batch.first > last + 1 {
                return Err(Error(format!(
                    "the log goes on with event {} and the board here ends with {last}; move .tos/board.sqlite away, and it is made anew",
                    batch.first
                )));
            }
            let fresh: Vec<Event> = events.into_iter().skip(known).collect();
            if fresh.is_empty() {
                continue;
            }
            for event in &fresh {
                board.apply(event);
            }
            let keys = board.take_dirty();
            let count = fresh.len() as u64;
            self.projection.append(&BoardBatch {
                first: last + 1,
                entities: keys
                    .into_iter()
                    .map(|key| (key.clone(), board.entity(&key)))
                    .collect(),
                events: fresh,
            })?;
            last += count;
        }
        if end < last {
            // It went on alone from where the log ends, if that is the same here.
            for (_, batch) in self.batches_with(end.max(1))? {
                self.compare(batch.first, &events_of(&batch)?, last)?;
            }
            return self.take_in(end, last);
        }
        Ok(last)
    }

    /// Reads the log from the batch that holds an event.
    fn batches_with(&mut self, event: u64) -> Result<Vec<(u64, Batch)>, Error> {
        let (cluster, log) = (&self.cluster, &mut self.log);
        let read = cluster.retry(|| {
            let begin = log.find(event)?;
            log.read_from(begin)
        });
        read.map_err(Error)
    }

    /// Compares the events of a batch with those that the database has under their numbers.
    fn compare(&mut self, first: u64, events: &[Event], last: u64) -> Result<(), Error> {
        let both = (last + 1).saturating_sub(first).min(events.len() as u64);
        let most = usize::try_from(both).unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(());
        }
        let here = self.projection.events_after(first - 1, most)?;
        let differs = here
            .iter()
            .zip(events)
            .find(|((_, here), there)| here != *there);
        let Some(((seq, _), _)) = differs else {
            return Ok(());
        };
        Err(Error(format!(
            "the board here holds {last} events and the log has another one as number {seq}; they are not of one board. \
             `tos board export` keeps what is here; then move .tos/board.sqlite away, and it is made anew from the log, or give another --nats-board"
        )))
    }

    /// Puts the events of a board that worked alone behind those that the log has.
    fn take_in(&mut self, end: u64, last: u64) -> Result<u64, Error> {
        let mut seq = end;
        loop {
            let events = self.projection.events_after(seq, TAKEN)?;
            let Some((newest, _)) = events.last() else {
                return Ok(last);
            };
            let newest = *newest;
            let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
            self.append_to_log(seq + 1, &events)?;
            seq = newest;
        }
    }

    /// Writes nothing any more, and lets somebody else lead.
    fn give_up(&mut self, told: String) -> Error {
        self.cluster.give_up(&told);
        self.broken = Some(told.clone());
        Error(told)
    }

    fn append_to_log(&mut self, first: u64, events: &[Event]) -> Result<(), Error> {
        let body = serde_json::to_vec(events).map_err(|error| Error(error.to_string()))?;
        match self.log.append(first, &body) {
            Ok(()) => Ok(()),
            Err(AppendError::Deposed) => Err(self.give_up(AppendError::Deposed.to_string())),
            Err(AppendError::Unavailable(why)) => {
                // It may have arrived; whoever goes on without knowing would go on from the wrong place.
                Err(self.give_up(format!(
                    "{why}; start `tos serve` again, it reads what was written"
                )))
            }
        }
    }
}

fn events_of(batch: &Batch) -> Result<Vec<Event>, Error> {
    serde_json::from_slice(&batch.body).map_err(|error| {
        Error(format!(
            "the batch at event {} cannot be read: {error}",
            batch.first
        ))
    })
}

impl BoardStore for NatsBoard {
    fn load(&mut self) -> Result<(Board, u64), Error> {
        let (mut board, last) = self.projection.load()?;
        drop(board.take_dirty());
        let mut last = self.follow(&mut board, last)?;
        for _ in 0..FENCED {
            // An empty batch: from here on a controller before this one, which may not know yet, writes nothing. What this one decides by
            // what it has read would else miss what that one still wrote.
            match self.log.append(last + 1, b"[]") {
                Ok(()) => return Ok((board, last)),
                Err(AppendError::Deposed) => last = self.follow(&mut board, last)?,
                Err(AppendError::Unavailable(why)) => return Err(Error(why)),
            }
        }
        Err(Error(AppendError::Deposed.to_string()))
    }

    fn append(&mut self, batch: &BoardBatch) -> Result<(), Error> {
        if let Some(why) = &self.broken {
            return Err(Error(why.clone()));
        }
        self.append_to_log(batch.first, &batch.events)?;
        let kept = self.projection.append(batch);
        kept.map_err(|error| {
            self.give_up(format!(
                "{error}; start `tos serve` again when that is mended, it reads what was written"
            ))
        })
    }

    fn events_after(&mut self, seq: u64, most: usize) -> Result<Vec<(u64, Event)>, Error> {
        self.projection.events_after(seq, most)
    }

    fn probe(&mut self) -> Result<(), Error> {
        match &self.broken {
            Some(why) => Err(Error(why.clone())),
            None => self.projection.probe(),
        }
    }
}
