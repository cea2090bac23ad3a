//! What every handler can reach: the board, the options, who is signed in, how much may still come.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    domain::board::{Board, BoardResponse, Input, Millis},
    ports::board::ServiceBackend,
};

use super::{
    error::ApiError,
    options::HttpOptions,
    security::{credentials::Authenticator, limits::TokenBucket},
};

/// Shared by all handlers.
#[derive(Clone)]
pub(super) struct HttpState(Arc<Inner>);

pub(super) struct Inner {
    pub(super) board: Arc<dyn ServiceBackend>,
    pub(super) options: HttpOptions,
    pub(super) credentials: Authenticator,
    /// For those who are signed in.
    pub(super) requests: TokenBucket,
    /// For those who are not.
    pub(super) strangers: TokenBucket,
    /// Places for those who follow events.
    pub(super) followers: Arc<Semaphore>,
}

impl HttpState {
    pub(super) fn new(board: Arc<dyn ServiceBackend>, options: HttpOptions) -> Self {
        let now = board.now();
        let per_second = f64::from(options.rate);
        Self(Arc::new(Inner {
            credentials: Authenticator::new(&options.token),
            requests: TokenBucket::new(per_second, options.burst, now),
            strangers: TokenBucket::new(
                f64::from(options.sign_in_rate) / 60.0,
                options.sign_in_rate,
                now,
            ),
            followers: Arc::new(Semaphore::new(options.followers)),
            board,
            options,
        }))
    }

    pub(super) fn board(&self) -> &Arc<dyn ServiceBackend> {
        &self.0.board
    }

    pub(super) fn snapshot(&self) -> Arc<Board> {
        self.0.board.snapshot()
    }

    pub(super) fn now(&self) -> Millis {
        self.0.board.now()
    }

    pub(super) async fn submit(&self, input: Input) -> Result<BoardResponse, ApiError> {
        Ok(self.0.board.submit(input).await?)
    }
}

impl std::ops::Deref for HttpState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
