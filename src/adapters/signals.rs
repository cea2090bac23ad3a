//! Turns the operating system's «stop» signals into one counter that services wait on.

use tokio::sync::watch;

/// Counts requests to stop: 0 none, 1 stop politely, 2 stop now. Starts listening at once.
///
/// Must be called inside a tokio runtime.
pub fn stop_requests() -> std::io::Result<watch::Receiver<u8>> {
    let (sender, receiver) = watch::channel(0_u8);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                sender.send_modify(|count| *count = count.saturating_add(1));
            }
        });
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            sender.send_modify(|count| *count = count.saturating_add(1));
        }
    });
    Ok(receiver)
}
