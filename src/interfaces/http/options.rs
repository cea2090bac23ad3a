//! What the API and the page are started with.

use std::{io, sync::Arc, time::Duration};

/// Makes a secret that nobody can guess, of 64 hexadecimal digits.
pub type SecretGenerator = Arc<dyn Fn() -> io::Result<String> + Send + Sync>;

/// How the API and the page behave. Everything that guards them is on unless it is said otherwise.
#[derive(Clone)]
pub struct HttpOptions {
    /// The token that programs show; whoever has it may do everything.
    pub token: String,
    /// Names of this machine that browsers may use besides those of the loopback.
    pub hosts: Vec<String>,
    /// The connection is TLS: cookies go nowhere else.
    pub is_tls: bool,
    /// Makes one-time codes and sessions.
    pub fresh_secret: SecretGenerator,
    /// The longest body of a request, in bytes.
    pub body_limit: usize,
    /// How long a request may take, its body included.
    pub time_limit: Duration,
    /// How long the head of a request may take.
    pub head_limit: Duration,
    /// How many clients may follow events at once.
    pub followers: usize,
    /// How many connections there may be at once.
    pub connections: usize,
    /// How many requests a second are answered to those who are signed in.
    pub rate: u32,
    /// How many of them may come at once.
    pub burst: u32,
    /// How many failed sign-ins a minute are answered.
    pub sign_in_rate: u32,
}

impl HttpOptions {
    /// Returns the usual options.
    pub fn new(token: impl Into<String>, fresh_secret: SecretGenerator) -> Self {
        Self {
            token: token.into(),
            hosts: Vec::new(),
            is_tls: false,
            fresh_secret,
            body_limit: 1024 * 1024,
            time_limit: Duration::from_secs(30),
            head_limit: Duration::from_secs(10),
            followers: 64,
            connections: 512,
            rate: 200,
            burst: 400,
            sign_in_rate: 20,
        }
    }
}

impl std::fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpOptions")
            .field("hosts", &self.hosts)
            .field("is_tls", &self.is_tls)
            .finish_non_exhaustive()
    }
}
