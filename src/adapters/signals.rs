//! Turns the operating system's «stop» signals into one counter that services wait on.

use tokio::sync::watch;

/// Signals that would end this process where nobody listens; under `nohup` and the like some are ignored, and stay so.
#[cfg(unix)]
pub(crate) const ENDING: &[i32] = {
    use signal_hook::consts::{
        SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM,
        SIGXCPU,
    };
    &[
        SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF, SIGIO,
        SIGXCPU,
    ]
};

/// Makes a write beyond the largest file that is allowed here an error to tell, and no silent end. Programs that tos starts have the
/// usual way.
pub fn survive_file_limit() {
    #[cfg(unix)]
    {
        let heard = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        // Where it cannot be, all is as it was.
        drop(signal_hook::flag::register(
            signal_hook::consts::SIGXFSZ,
            heard,
        ));
    }
}

/// Counts requests to stop: 0 none, 1 stop politely, 2 stop now. Starts listening at once.
///
/// Must be called inside a tokio runtime.
pub fn stop_requests() -> std::io::Result<watch::Receiver<u8>> {
    let (sender, receiver) = watch::channel(0_u8);
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGQUIT;
        use tokio::signal::unix::{SignalKind, signal};
        let sender = std::sync::Arc::new(sender);
        for number in heard() {
            let mut heard = signal(SignalKind::from_raw(number))?;
            let sender = std::sync::Arc::clone(&sender);
            // To quit is not to wait.
            let least = if number == SIGQUIT { 2 } else { 1 };
            tokio::spawn(async move {
                while heard.recv().await.is_some() {
                    sender.send_modify(|count| *count = count.saturating_add(1).max(least));
                }
            });
        }
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            sender.send_modify(|count| *count = count.saturating_add(1));
        }
    });
    Ok(receiver)
}

/// Returns the ending signals without those that this process was started to ignore, as `nohup` does it. To interrupt and to
/// terminate are heard all the same, though a shell without job control starts what runs in the background to ignore the first:
/// whoever sends them means this process.
#[cfg(unix)]
pub(crate) fn heard() -> impl Iterator<Item = i32> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let mask = mask.unwrap_or_default();
    let is_ignored = move |signal: i32| mask >> (signal - 1) & 1 == 1;
    ENDING
        .iter()
        .copied()
        .filter(move |signal| matches!(*signal, SIGINT | SIGTERM) || !is_ignored(*signal))
}
