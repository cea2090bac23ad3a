//! Options of the commands that work with other machines over NATS.

use std::path::PathBuf;

use clap::Args;

use super::exit::CliError;

/// How a cluster is reached.
#[derive(Debug, Clone, Default, Args)]
pub struct ClusterArgs {
    /// Work with other machines over this NATS server; several are separated by commas, `tls://` demands TLS
    #[arg(long = "nats", value_name = "URL")]
    pub url: Option<String>,
    /// The name of the board on the cluster; without it the name of the folder. A worker may serve several, separated by commas
    #[arg(long = "nats-board", value_name = "NAME")]
    pub board: Option<String>,
    /// A file with the credentials of a NATS user
    #[arg(long = "nats-creds", value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// The authority that signed the server's certificate, as PEM
    #[arg(long = "nats-ca", value_name = "FILE")]
    pub authority: Option<PathBuf>,
    /// A certificate of our own, as PEM
    #[arg(long = "nats-cert", value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The key of that certificate, as PEM
    #[arg(long = "nats-key", value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// How long a worker may be silent before its work is given to another, in seconds; a third of it for a controller
    #[arg(long = "nats-lease", default_value_t = 30, value_parser = clap::value_parser!(u64).range(3..=3600), value_name = "SECONDS")]
    pub lease: u64,
}

impl ClusterArgs {
    /// Returns the options that were given, as words.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let Some(url) = &self.url else {
            return Vec::new();
        };
        let mut options = vec![
            ("--nats", url.clone()),
            ("--nats-lease", self.lease.to_string()),
        ];
        options.extend(self.board.iter().map(|name| ("--nats-board", name.clone())));
        let files = [
            ("--nats-creds", &self.credentials),
            ("--nats-ca", &self.authority),
            ("--nats-cert", &self.certificate),
            ("--nats-key", &self.key),
        ];
        options.extend(
            files
                .into_iter()
                .filter_map(|(name, file)| Some((name, file.as_ref()?.display().to_string()))),
        );
        options
    }

    /// Returns the same for each of the boards that are named, separated by commas.
    pub fn split_by_board(&self) -> Vec<Self> {
        let Some(names) = &self.board else {
            return vec![self.clone()];
        };
        let names = names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let boards = names.map(|name| Self {
            board: Some(name.to_owned()),
            ..self.clone()
        });
        boards.collect()
    }

    /// Returns the address; without one the command makes no sense.
    pub fn require_url(&self) -> Result<&str, CliError> {
        self.url.as_deref().ok_or_else(|| {
            CliError::usage("`--nats URL` is missing: where is the server? For a try: `nats-server -js`, then --nats nats://127.0.0.1:4222")
        })
    }
}
