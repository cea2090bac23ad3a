//! Deliveries of GitHub's webhook: signed or refused, taken once, handed to the one that follows the repository.

use std::time::Duration;

use crate::{
    adapters::github::DeliveryState,
    app::board_access::{ServiceBoard, unavailable},
    domain::github::{parse_webhook, verify_signature},
    ports::board::{BoardError, WebhookAnswer, WebhookDelivery},
};

/// How long GitHub is kept waiting for what became of a delivery; it gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// The longest identifier of a delivery.
const LONGEST: usize = 100;

impl ServiceBoard {
    /// Takes a delivery, once.
    pub(super) async fn receive_webhook(
        &self,
        delivery: WebhookDelivery,
    ) -> Result<WebhookAnswer, BoardError> {
        let Some(secret) = self.webhook.read().map_err(BoardError::Unavailable)? else {
            return Ok(WebhookAnswer::Off);
        };
        if !verify_signature(&secret, &delivery.body, &delivery.signature) {
            return Ok(WebhookAnswer::Unsigned);
        }
        let is_named = (1..=LONGEST).contains(&delivery.id.len())
            && delivery.id.bytes().all(|byte| byte.is_ascii_graphic())
            && !delivery.event.is_empty();
        if !is_named {
            return Err(BoardError::Invalid(
                "`X-GitHub-Delivery` and `X-GitHub-Event` name no delivery".to_owned(),
            ));
        }
        let board = self.handle.snapshot();
        let settings = board.settings();
        let at = settings.github_repository();
        let news = parse_webhook(
            &delivery.event,
            &delivery.payload,
            at.as_ref(),
            &settings.issue_label,
        );
        let news = news.map_err(BoardError::Invalid)?;
        match self.deliveries.begin(&delivery.id) {
            DeliveryState::Taken => return Ok(WebhookAnswer::Again),
            DeliveryState::UnderWay => return Ok(WebhookAnswer::UnderWay),
            DeliveryState::New => {}
        }
        let (handle, log) = (self.handle.clone(), self.deliveries.clone());
        // It goes on when GitHub does not wait any longer.
        let dealt = tokio::spawn(async move {
            let told = handle.deliver(news).await;
            let is_done = told.is_ok();
            let noted = tokio::task::spawn_blocking(move || log.end(&delivery.id, is_done));
            let noted = noted.await.map_err(|error| error.to_string());
            let words = told.map_err(|error| error.0)?;
            noted.and_then(|noted| noted).map(|()| words)
        });
        match tokio::time::timeout(PATIENCE, dealt).await {
            Err(_) => Ok(WebhookAnswer::UnderWay),
            Ok(Ok(Ok(words))) => Ok(WebhookAnswer::Done(words)),
            Ok(Ok(Err(why))) => Err(BoardError::Unavailable(why)),
            Ok(Err(error)) => Err(unavailable(error)),
        }
    }
}
