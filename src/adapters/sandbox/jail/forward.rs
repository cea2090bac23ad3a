//! Part of the stage `init` (behind `bwrap`, started by `inner`), the network behind the wall: a loopback that works, and on
//! it the proxy port, from which connections are passed to the proxy.
//!
//! Programs that run a server of their own and honour the proxy variables ask the proxy for it too. What listens behind the
//! same wall is reached here, without a way outside; everything else is for the proxy to decide.

use std::{
    io,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::{
    super::{
        proxy_request::{LONGEST_HEAD, PATIENCE, ProxyRequest, TUNNEL_OPEN, closing_response},
        spec::{JAILER_ARG, PROXY_PORT, TOS_PATH_IN_SANDBOX},
    },
    shared::JailError,
};

/// How long a server behind the same wall may take to take a connection.
const NEIGHBOUR: Duration = Duration::from_secs(2);

/// How long to wait where a connection cannot be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Switches the loopback of a new network namespace on (protocol 0 of this family is routing).
pub(super) fn raise_loopback() -> Result<(), JailError> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::send(&socket, &switch_on(1), SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (_, length) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    let code = answer
        .get(16..20)
        .filter(|_| length >= 20)
        .unwrap_or(&[1, 0, 0, 0]);
    if code == [0; 4] {
        Ok(())
    } else {
        Err("the loopback could not be switched on".into())
    }
}

/// The request «set the interface with this index up, and tell me whether it worked».
fn switch_on(index: i32) -> Vec<u8> {
    const NEW_LINK: u16 = 16;
    const REQUEST_WITH_ANSWER: u16 = 1 | 4;
    const UP: u32 = 1;
    let mut request = Vec::with_capacity(32);
    request.extend(32_u32.to_ne_bytes());
    request.extend(NEW_LINK.to_ne_bytes());
    request.extend(REQUEST_WITH_ANSWER.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([0; 4]);
    request.extend(index.to_ne_bytes());
    request.extend(UP.to_ne_bytes());
    request.extend(UP.to_ne_bytes());
    request
}

/// The stage `start-port`: starts a process that nobody waits for, and returns when the port is open.
pub(super) fn start_port_process(socket: &str) -> Result<ExitCode, JailError> {
    let mut started = Command::new(TOS_PATH_IN_SANDBOX)
        .args([JAILER_ARG, "port", socket])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = [0; 6];
    let out = started
        .stdout
        .take()
        .ok_or("the process of the proxy port has no output")?;
    io::Read::read_exact(&mut { out }, &mut ready)?;
    Ok(ExitCode::SUCCESS)
}

/// The stage `port`: keeps the port open for as long as the wall stands.
pub(super) fn keep_port_open(socket: &str) -> Result<ExitCode, JailError> {
    serve(listen()?, socket.to_owned());
    let mut out = io::stdout().lock();
    out.write_all(b"ready\n")?;
    out.flush()?;
    drop(out);
    loop {
        thread::park();
    }
}

/// Listens on the loopback, so that nothing that connects from now on is refused.
pub(super) fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, PROXY_PORT))
}

/// Starts a thread that passes every connection on to the proxy's socket, or to a server behind the same wall.
pub(super) fn serve(listener: TcpListener, socket: String) {
    drop(thread::spawn(move || {
        for inside in listener.incoming() {
            let Ok(inside) = inside else {
                // No descriptor is free; others end by and by.
                thread::sleep(PAUSE);
                continue;
            };
            let socket = socket.clone();
            // A connection that fails, or for which no thread is to be had, is closed; the command sees that.
            let started = thread::Builder::new().spawn(move || drop(pass(inside, &socket)));
            drop(started);
        }
    }));
}

/// Carries one connection.
fn pass(mut inside: TcpStream, socket: &str) -> io::Result<()> {
    inside.set_read_timeout(Some(PATIENCE))?;
    let head = head(&mut inside)?;
    inside.set_read_timeout(None)?;
    let wanted = ProxyRequest::parse(&head);
    if let Some((request, mut server)) = wanted.and_then(neighbour) {
        if request.is_tunnel {
            inside.write_all(TUNNEL_OPEN)?;
        }
        server.write_all(&request.forward)?;
        let is_kept = request.is_tunnel || request.upgrades;
        let halves = (server.try_clone()?, server);
        return join(inside, halves, is_kept, |server| {
            server.shutdown(Shutdown::Write)
        });
    }
    let mut outside = UnixStream::connect(socket)?;
    outside.write_all(&head)?;
    let halves = (outside.try_clone()?, outside);
    // The proxy outside has seen to it already.
    join(inside, halves, true, |outside| {
        outside.shutdown(Shutdown::Write)
    })
}

/// Reads what a command wants, as far as it says it; what is no request, the proxy refuses.
fn head(inside: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    while head.len() <= LONGEST_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = inside.read(&mut part)?;
        if count == 0 {
            break;
        }
        head.extend_from_slice(part.get(..count).unwrap_or_default());
    }
    Ok(head)
}

/// Returns the server behind the same wall that a request is for, where one listens. The proxy port itself is none.
fn neighbour(request: ProxyRequest) -> Option<(ProxyRequest, TcpStream)> {
    if request.port == PROXY_PORT {
        return None;
    }
    let server = request.loopback().into_iter().find_map(|address| {
        TcpStream::connect_timeout(&SocketAddr::new(address, request.port), NEIGHBOUR).ok()
    });
    server.map(|server| (request, server))
}

/// Carries both directions; `is_kept`: the answer passes as it is.
fn join<S>(
    mut inside: TcpStream,
    (mut outside, mut to_outside): (S, S),
    is_kept: bool,
    finish: impl FnOnce(S) -> io::Result<()> + Send + 'static,
) -> io::Result<()>
where
    S: Read + Write + Send + 'static,
{
    let mut from_inside = inside.try_clone()?;
    let there = thread::Builder::new().spawn(move || {
        drop(io::copy(&mut from_inside, &mut to_outside));
        finish(to_outside)
    })?;
    if !is_kept {
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while answer.len() <= LONGEST_HEAD {
            let count = outside.read(&mut part)?;
            answer.extend_from_slice(part.get(..count).unwrap_or_default());
            if let Some(told) = closing_response(&answer) {
                answer = told;
                break;
            }
            if count == 0 {
                break;
            }
        }
        inside.write_all(&answer)?;
    }
    io::copy(&mut outside, &mut inside)?;
    inside.shutdown(Shutdown::Write)?;
    drop(there.join());
    Ok(())
}
