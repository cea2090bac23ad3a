//! Turns the operating system's «stop» signals into one counter that services wait on.

use tokio::sync::watch;

/// Waits for a signal that may not be listened to; `None` = it never comes.
#[cfg(unix)]
async fn next(signal: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

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
        // Under `nohup` a terminal that goes away is no reason to stop.
        let mut hangup = (!is_ignored(SignalKind::hangup().as_raw_value()))
            .then(|| signal(SignalKind::hangup()))
            .transpose()?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    Some(()) = next(&mut hangup) => {}
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

/// Returns whether this process was started with `signal` ignored, as `nohup` does; then it stays so.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
