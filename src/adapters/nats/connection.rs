//! The connection to NATS, and what the things of one board are called there.
//!
//! It runs on a thread of its own, so that it lives as long as its owner and not as long as a command's runtime. It
//! reconnects by itself; what is asked meanwhile fails after [`PATIENCE`], and the caller asks again.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions,
    jetstream::{self, Context, stream},
};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};

/// How often something is asked for that has to be there before anything else can begin.
const ASKED: u32 = 6;
/// How long one waits in between.
const REST: Duration = Duration::from_secs(1);

/// How long one request to the server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Who we are for the server, and how it is found.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// `nats://host:4222`, several separated by commas; `tls://` demands TLS.
    pub url: String,
    /// A file with user credentials (a JWT and its seed).
    pub credentials: Option<PathBuf>,
    /// A file with the authority that signed the server's certificate.
    pub authority: Option<PathBuf>,
    /// Our certificate and its key, where the server asks for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// What we are called in the server's lists.
    pub name: String,
    /// How long a worker or a controller may be silent before it is taken for gone.
    pub lease: Duration,
}

/// One board on one cluster of NATS servers.
pub(super) struct NatsConnection {
    pub(super) client: Client,
    pub(super) jetstream: Context,
    pub(super) board: String,
    pub(super) replicas: usize,
    /// How long a worker or a controller may be silent.
    pub(super) lease: Duration,
    /// This controller leads, so it is the one that makes streams.
    leads: AtomicBool,
    /// Why this controller cannot go on, once it cannot.
    given_up: watch::Sender<Option<String>>,
    runtime: Handle,
    // The thread of the connection ends when this is dropped.
    _alive: oneshot::Sender<()>,
}

impl std::fmt::Debug for NatsConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsConnection")
            .field("board", &self.board)
            .finish_non_exhaustive()
    }
}

impl NatsConnection {
    /// Connects; the error names the server and what helps.
    pub(super) fn connect(login: &NatsOptions, board: &str) -> Result<Arc<Self>, String> {
        let (started, ready) = std::sync::mpsc::channel();
        let (alive, over) = oneshot::channel::<()>();
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => {
                    drop(started.send(Ok(runtime.handle().clone())));
                    // An error means that the owner is gone, which is what is waited for.
                    drop(runtime.block_on(over));
                }
                Err(error) => drop(started.send(Err(error.to_string()))),
            }
        };
        std::thread::Builder::new()
            .name("nats".to_owned())
            .spawn(body)
            .map_err(|error| format!("a thread could not start: {error}"))?;
        let runtime = ready
            .recv()
            .map_err(|_| "the thread of the connection ended".to_owned())??;
        let connected = wait(&runtime, opened(login.clone()));
        let client = connected.map_err(|why| explain(&login.url, &why))?;
        // It starts a task of its own.
        let inside = runtime.enter();
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(PATIENCE);
        drop(inside);
        let servers = client.server_info().connect_urls.len();
        let cluster = Self {
            client,
            jetstream,
            board: board.to_owned(),
            replicas: if servers >= 3 { 3 } else { 1 },
            lease: login.lease.max(Duration::from_secs(1)),
            leads: AtomicBool::new(false),
            given_up: watch::Sender::new(None),
            runtime,
            _alive: alive,
        };
        Ok(Arc::new(cluster))
    }

    /// Notes that this controller leads.
    pub(super) fn set_leading(&self) {
        self.leads.store(true, Ordering::Relaxed);
    }

    /// Says that this controller cannot go on: it holds the leader's key, and somebody else has to have it.
    pub(super) fn give_up(&self, why: &str) {
        self.given_up.send_replace(Some(why.to_owned()));
    }

    /// Returns what says when this controller cannot go on.
    pub(super) fn given_up(&self) -> watch::Receiver<Option<String>> {
        self.given_up.subscribe()
    }

    /// Opens a stream. Whoever leads makes it, and brings one of an older version to the form of this one; everybody else
    /// takes it as it is, which needs no right to change it, and makes it only where nobody has.
    pub(super) async fn stream(
        &self,
        mut config: stream::Config,
    ) -> Result<stream::Stream, async_nats::Error> {
        let name = config.name.clone();
        if let Ok(stream) = self.jetstream.get_stream(&name).await {
            let known = &stream.cached_info().config;
            // Whoever comes while a server is down sees fewer servers than there are.
            config.num_replicas = config.num_replicas.max(known.num_replicas);
            let is_as_wanted = known.subjects == config.subjects
                && known.max_age == config.max_age
                && known.num_replicas == config.num_replicas;
            if is_as_wanted || !self.leads.load(Ordering::Relaxed) {
                return Ok(stream);
            }
        }
        self.jetstream.create_or_update_stream(config).await?;
        Ok(self.jetstream.get_stream(&name).await?)
    }

    /// Returns how often a worker shows that it is there.
    pub(super) fn heartbeat_interval(&self) -> Duration {
        self.lease / 6
    }

    /// Waits for something on the connection's own thread. Not to be called from asynchronous code.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Asks until there is an answer, a few times: while servers choose a leader among themselves, none answers.
    pub(super) fn retry<T>(&self, mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
        let mut asked = 1;
        loop {
            match ask() {
                Err(why) if asked < ASKED => {
                    tracing::debug!("{why}");
                    asked += 1;
                    // Made inside: a timer belongs to the thread that waits.
                    self.block_on(async { tokio::time::sleep(REST).await });
                }
                answer => return answer,
            }
        }
    }

    /// Lets something run beside, for as long as the connection lives.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(future)
    }

    /// Opens a bucket of small values, and makes it where there is none. A value ends by itself after `lifetime`.
    ///
    /// It is made as the stream that it is: what asks the server for the account's limits before does not understand older
    /// servers.
    pub(super) async fn bucket(
        &self,
        what: &str,
        lifetime: Duration,
    ) -> Result<jetstream::kv::Store, String> {
        let name = self.stream_name(what);
        let config = stream::Config {
            name: format!("KV_{name}"),
            subjects: vec![format!("$KV.{name}.>")],
            max_messages_per_subject: 1,
            max_age: lifetime,
            discard: stream::DiscardPolicy::New,
            storage: stream::StorageType::File,
            num_replicas: self.replicas,
            duplicate_window: lifetime.min(Duration::from_secs(120)),
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..stream::Config::default()
        };
        let made = self.stream(config).await;
        made.map_err(|error| open_error(&format!("the bucket {what}"), &error))?;
        let opened = self.jetstream.get_key_value(&name).await;
        opened.map_err(|error| format!("the bucket {what}: {error}"))
    }

    /// Returns the name of a stream or a bucket of this board.
    pub(super) fn stream_name(&self, what: &str) -> String {
        format!("TOS_{}_{what}", self.board)
    }

    /// Returns a subject of this board.
    pub(super) fn subject(&self, rest: &str) -> String {
        format!("tos.{}.{rest}", self.board)
    }
}

/// Makes a name of a board out of any text: letters, digits, `-` and `_`.
pub(super) fn board_name(text: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let name: String = text
        .chars()
        .map(|letter| if fits(letter) { letter } else { '_' })
        .collect();
    if name.is_empty() {
        "board".to_owned()
    } else {
        name
    }
}

/// Says what could not be opened, and what usually is the cause.
pub(super) fn open_error(what: &str, error: &dyn std::fmt::Display) -> String {
    format!(
        "{what}: {error}; JetStream has to be on (`nats-server -js`), and this user has to be allowed to use it"
    )
}

fn wait<T>(runtime: &Handle, future: impl Future<Output = T>) -> T {
    runtime.block_on(future)
}

async fn opened(login: NatsOptions) -> Result<Client, String> {
    let mut options = ConnectOptions::new()
        .name(&login.name)
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .ping_interval(Duration::from_secs(10))
        .max_reconnects(None);
    if let Some(file) = &login.credentials {
        let read = options.credentials_file(file).await;
        options = read.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(file) = login.authority {
        options = options.add_root_certificates(file);
    }
    if let Some((certificate, key)) = login.certificate {
        options = options.add_client_certificate(certificate, key);
    }
    let servers: Vec<String> = login
        .url
        .split(',')
        .map(|one| one.trim().to_owned())
        .collect();
    if servers.iter().any(|one| one.starts_with("tls://")) {
        options = options.require_tls(true);
    }
    options
        .connect(servers)
        .await
        .map_err(|error| error.to_string())
}

fn explain(url: &str, why: &str) -> String {
    format!(
        "no connection to NATS at {url}: {why}; is nats-server running there (`nats-server -js`), and may this user connect?"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_board_holds_nothing_that_a_subject_gives_a_meaning() {
        assert_eq!(board_name("my.repo *>"), "my_repo___");
        assert_eq!(board_name(""), "board");
    }
}
