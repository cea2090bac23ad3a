//! The options of `tos serve`, and the unit for systemd that starts it with them.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use serde_json::json;

use crate::interfaces::cli::{
    cluster_args::ClusterArgs,
    common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
};

/// Options of `tos serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// The port on loopback; the one of config/service.toml if absent, else that of last time, else any free one
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// A further address to serve on, for a phone or another machine; it needs --tls-cert and --tls-key
    #[arg(long, value_name = "IP:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// The certificate chain for TLS, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// A name of this machine that browsers may use besides localhost; may be repeated
    #[arg(long = "host", value_name = "NAME")]
    pub(super) hosts: Vec<String>,
    /// How long running work may take to end when the service is stopped, in seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(super) drain: u64,
    /// Start the service in the background, and return once it answers
    #[arg(long, conflicts_with = "unit")]
    pub(super) detach: bool,
    /// Print a systemd unit that keeps the service running, and do nothing else
    #[arg(long)]
    pub(super) unit: bool,
}

impl ServeArgs {
    /// A further address needs TLS.
    pub(super) fn require_tls(&self) -> Result<(), CliError> {
        match self.listen {
            Some(address) if self.tls_cert.is_none() => Err(without_tls(address)),
            _ => Ok(()),
        }
    }

    /// Returns the options that were given, without those that say how it is started.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = vec![("--drain", self.drain.to_string())];
        options.extend(self.port.map(|port| ("--port", port.to_string())));
        options.extend(self.listen.map(|address| ("--listen", address.to_string())));
        let files = [("--tls-cert", &self.tls_cert), ("--tls-key", &self.tls_key)];
        let files = files
            .into_iter()
            .filter_map(|(name, file)| Some((name, file.as_ref()?.display().to_string())));
        options.extend(files);
        options.extend(self.hosts.iter().map(|host| ("--host", host.clone())));
        options.extend(self.cluster.options());
        options
    }
}

/// Prints a unit.
pub(super) fn print_unit(
    args: &ServeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let (program, root) = services
        .schedules(global)
        .program_and_root()
        .map_err(|error| CliError::NotDone(error.to_string()))?;
    let path = services.env_var("PATH").unwrap_or_default();
    let text = unit(
        args,
        &program.display().to_string(),
        &root.display().to_string(),
        &path,
    );
    printer.line(&text);
    printer.document(&json!({ "unit": text }));
    Ok(CliExit::Success)
}

/// Returns a unit for systemd, for a user's own instance of it, with the options that were given.
fn unit(args: &ServeArgs, program: &str, root: &str, path: &str) -> String {
    let word = |text: &str| {
        format!(
            "\"{}\"",
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('%', "%%")
        )
    };
    let options = args.options().into_iter().map(|(name, value)| {
        let is_plain = value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".:[]".contains(c));
        let is_plain = is_plain && name != "--host";
        format!("{name} {}", if is_plain { value } else { word(&value) })
    });
    let mut command = vec![word(program), "serve".to_owned()];
    command.extend(options);
    format!(
        "# ~/.config/systemd/user/tos-serve.service; then: systemctl --user enable --now tos-serve\n\
         [Unit]\nDescription=tos serve in {}\n\n[Service]\nWorkingDirectory={}\nEnvironment={}\nExecStart={}\n\
         KillMode=mixed\nTimeoutStopSec={}\nRestart=on-failure\nRestartSec=2\n\n[Install]\nWantedBy=default.target",
        root.replace('%', "%%"),
        root.replace('%', "%%"),
        word(&format!("PATH={path}")),
        command.join(" "),
        args.drain + 15
    )
}

/// Says what a further address needs, and what is meant by most who name one of this machine.
fn without_tls(address: SocketAddr) -> CliError {
    let meant = if address.ip().is_loopback() {
        format!(
            "; on this machine tos serves without TLS: for that port alone, say `--port {port}` (or `port = {port}` in \
             config/service.toml)",
            port = address.port()
        )
    } else {
        String::new()
    };
    CliError::Usage(format!(
        "--listen {address} is a further address and needs --tls-cert and --tls-key{meant}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_starts_this_program_with_the_options_that_were_given() {
        let args = ServeArgs {
            cluster: ClusterArgs::default(),
            port: Some(9200),
            listen: None,
            tls_cert: None,
            tls_key: None,
            hosts: vec!["desk.local".into()],
            drain: 5,
            detach: false,
            unit: true,
        };
        let text = unit(&args, "/opt/my tos/tos", "/srv/100%", "/usr/bin");
        for line in [
            "WorkingDirectory=/srv/100%%",
            "Environment=\"PATH=/usr/bin\"",
            "ExecStart=\"/opt/my tos/tos\" serve --drain 5 --port 9200 --host \"desk.local\"",
            "TimeoutStopSec=20",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_further_address_without_tls_names_the_port_that_needs_none() {
        let told = |address: &str| without_tls(address.parse().unwrap()).to_string();
        assert!(told("127.0.0.1:18765").contains("`port = 18765` in config/service.toml"));
        assert!(!told("192.0.2.1:18765").contains("--port"));
    }
}
