//! What plans and reviews for a service, and how one of them is asked.
//!
//! A call is counted before it is made and paid after; a provider in trouble is asked again after a pause, an answer in the
//! wrong form with the fault named. Danger: whatever does not end in an answer that counts is an error, never an answer.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch};

use super::BoardHandle;
use crate::{
    domain::{
        agent::Agent,
        board::{Fence, Input, JudgementId, PlanId, Spend},
        model::{FinishReason, ModelPrice, ModelReply, ModelRequest, ModelRole},
        redaction::Redactor,
    },
    ports::{BoxFuture, model::Model},
};

/// The first pause before a provider in trouble is asked again; it doubles.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest of these pauses, and the longest that a provider may ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// A model, and how it is asked.
#[derive(Clone)]
pub struct ConfiguredModel {
    /// The model.
    pub model: Arc<dyn Model>,
    /// What its tokens cost, in dollars, where that is known.
    pub price: Option<ModelPrice>,
    /// How long one call may take.
    pub deadline: Duration,
    /// How often it is asked until an answer counts.
    pub asks: u32,
}

/// What makes tasks of requirements.
#[derive(Clone)]
pub enum PlannerKind {
    /// Nothing: the requirement is a list already.
    Checklist,
    /// A model.
    Model(ConfiguredModel),
    /// An agent, in a work tree that nothing is taken from.
    Agent {
        /// Which.
        agent: Box<Agent>,
        /// How long one call may take.
        deadline: Duration,
        /// How often it is asked until an answer counts.
        asks: u32,
    },
}

/// What plans and reviews.
#[derive(Clone)]
pub struct PlannerAndReviewer {
    /// What makes tasks of requirements.
    pub maker: PlannerKind,
    /// Patterns that every area of a planned task has to lie in; empty = anywhere.
    pub areas: Vec<String>,
    /// The most tasks of a plan.
    pub most: usize,
    /// What reviews a change after its tests passed.
    pub review: Option<ConfiguredModel>,
    /// Validators look at the merge result, too.
    pub validates: bool,
    /// Knows what no question may hold.
    pub redactor: Redactor,
}

impl std::fmt::Debug for PlannerAndReviewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannerAndReviewer").finish_non_exhaustive()
    }
}

/// Who pays for a call.
#[derive(Clone)]
pub(super) enum Payer {
    Plan(BoardHandle, PlanId, u64),
    Judgement(BoardHandle, JudgementId, Fence),
}

impl Payer {
    /// Counts; the error says why the call may not be made.
    pub(super) fn pay(&self, spend: Spend) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let (handle, input) = match self {
                Self::Plan(handle, plan, generation) => (
                    handle,
                    Input::SpendPlan {
                        plan: *plan,
                        generation: *generation,
                        spend,
                    },
                ),
                Self::Judgement(handle, judgement, fence) => (
                    handle,
                    Input::SpendJudgement {
                        judgement: *judgement,
                        fence: *fence,
                        spend,
                    },
                ),
            };
            let told = handle.submit(input).await;
            told.map(drop).map_err(|error| error.to_string())
        })
    }
}

/// One call, before it is made.
pub(super) const ONE_CALL: Spend = Spend {
    calls: 1,
    tokens: 0,
    micro_usd: 0,
};

/// Who is asked about what.
pub(super) struct ModelQuestion<'a> {
    pub(super) seat: &'a ConfiguredModel,
    pub(super) role: ModelRole,
    /// The plan or the task.
    pub(super) job: u64,
    /// How many answers were received about it before.
    pub(super) turn: u32,
    pub(super) payer: Payer,
    pub(super) redactor: &'a Redactor,
    /// Where connections live, which outlasts the asker.
    pub(super) runtime: Handle,
    /// Ends the wait.
    pub(super) stop: watch::Receiver<u8>,
}

/// Completes when a stop is asked for.
async fn stopped(mut stop: watch::Receiver<u8>) {
    if stop.wait_for(|how| *how > 0).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// An answer that did not count, and what was wrong with it.
pub(super) type RejectedAnswer<'a> = (&'a str, &'a [String]);

impl ModelQuestion<'_> {
    /// Asks until an answer counts. `prompt` is told the answer that did not, and why.
    pub(super) async fn ask_until_valid<T>(
        &self,
        prompt: &(dyn Fn(Option<RejectedAnswer<'_>>) -> String + Sync),
        read: &(dyn Fn(&str) -> Result<T, Vec<String>> + Sync),
    ) -> Result<T, String> {
        let mut refused: Option<(String, Vec<String>)> = None;
        let (mut tries, mut answers) = (0, 0);
        loop {
            tries += 1;
            let last = refused
                .as_ref()
                .map(|(text, faults)| (text.as_str(), faults.as_slice()));
            let text = self.redactor.clean(&prompt(last));
            match self.once(text, answers).await {
                Ok(answer) => {
                    answers += 1;
                    let faults = match read(&answer) {
                        Ok(value) => return Ok(value),
                        Err(faults) => faults,
                    };
                    if tries >= self.seat.asks {
                        return Err(format!(
                            "no answer counted, of {tries}; the last one: {}",
                            faults.join("; ")
                        ));
                    }
                    refused = Some((answer, faults));
                }
                Err(trouble) if trouble.again && tries < self.seat.asks => {
                    let pause = PAUSE
                        .saturating_mul(1 << tries.min(5))
                        .max(trouble.wait)
                        .min(LONGEST);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stopped(self.stop.clone()) => return Err("it was stopped".to_owned()),
                    }
                }
                Err(trouble) => return Err(trouble.why),
            }
        }
    }

    async fn once(&self, prompt: String, answers: u32) -> Result<String, Trouble> {
        let refused = |why: String| Trouble {
            why,
            again: false,
            wait: Duration::ZERO,
        };
        self.payer.pay(ONE_CALL).await.map_err(refused)?;
        let request = ModelRequest {
            role: self.role,
            prompt,
            job: u32::try_from(self.job).unwrap_or(u32::MAX),
            turn: self.turn + answers,
            deadline: self.seat.deadline,
        };
        let model = Arc::clone(&self.seat.model);
        let mut call = self.runtime.spawn(async move { model.ask(&request).await });
        let asked = tokio::select! {
            asked = &mut call => asked,
            () = stopped(self.stop.clone()) => {
                call.abort();
                return Err(refused("it was stopped".to_owned()));
            }
        };
        let reply = asked
            .map_err(|error| refused(format!("the call ended badly: {error}")))?
            .map_err(|error| Trouble {
                again: error.trouble.is_transient(),
                wait: Duration::from_millis(error.retry_after_ms.unwrap_or_default()),
                why: error.message,
            })?;
        // A lease that is gone is noticed when the answer is handed in.
        drop(self.payer.pay(cost(&reply, self.seat.price)).await);
        match reply.finish {
            FinishReason::Complete => Ok(reply.text),
            FinishReason::Cut => Err(Trouble {
                why: "the answer was cut off; raise `max_tokens`".to_owned(),
                again: true,
                wait: Duration::ZERO,
            }),
            FinishReason::Refused => Err(refused("the model declined to answer".to_owned())),
            FinishReason::Other(word) => Err(refused(format!("the answer ended with `{word}`"))),
        }
    }
}

struct Trouble {
    why: String,
    again: bool,
    wait: Duration,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a price is never negative, and what does not fit is the most there is"
)]
fn cost(reply: &ModelReply, price: Option<ModelPrice>) -> Spend {
    let dollars = price.map_or(0.0, |price| price.cost(reply.usage));
    Spend {
        calls: 0,
        tokens: reply.usage.total(),
        micro_usd: (dollars * 1e6).ceil().max(0.0) as u64,
    }
}
