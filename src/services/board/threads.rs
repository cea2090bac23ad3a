//! What everything that works has in common: a thread of its own, and a sign of life now and then.

use std::time::Duration;

use tokio::sync::oneshot;

/// How often an agent shows that it is alive, and renews its lease.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// Runs a future on a thread of its own.
pub(super) fn spawn_thread<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => drop(sender.send(runtime.block_on(future))),
            Err(error) => tracing::error!("a runtime could not start: {error}"),
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("agent".to_owned())
        .spawn(body)
    {
        tracing::error!("a thread could not start: {error}");
    }
    receiver
}
