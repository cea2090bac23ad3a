//! Part of step 3 (behind `bwrap`, of step 4), the network behind the wall: a loopback that works, and on it the door to
//! the proxy.

use std::{
    io,
    io::Write,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::{Command, ExitCode, Stdio},
    thread,
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::{
    super::spec::{INNER_PROGRAM, JAIL_WORD, PROXY_PORT},
    shared::JailError,
};

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

/// Starts a doorkeeper that nobody waits for, and returns when the door is open.
pub(super) fn send_doorkeeper(socket: &str) -> Result<ExitCode, JailError> {
    let mut keeper = Command::new(INNER_PROGRAM)
        .args([JAIL_WORD, "door", socket])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = [0; 6];
    let out = keeper.stdout.take().ok_or("the doorkeeper has no output")?;
    io::Read::read_exact(&mut { out }, &mut ready)?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps the door for as long as the wall stands.
pub(super) fn keep_door(socket: &str) -> Result<ExitCode, JailError> {
    open_door(socket.to_owned())?;
    let mut out = io::stdout().lock();
    out.write_all(b"ready\n")?;
    out.flush()?;
    drop(out);
    loop {
        thread::park();
    }
}

/// Listens on the loopback and passes every connection on to the proxy's socket.
pub(super) fn open_door(socket: String) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PROXY_PORT))?;
    drop(thread::spawn(move || {
        for inside in listener.incoming().flatten() {
            let socket = socket.clone();
            drop(thread::spawn(move || {
                // A connection that fails is closed; the command sees that.
                drop(UnixStream::connect(socket).and_then(|outside| join(inside, outside)));
            }));
        }
    }));
    Ok(())
}

fn join(mut inside: TcpStream, mut outside: UnixStream) -> io::Result<()> {
    let (mut from_inside, mut to_outside) = (inside.try_clone()?, outside.try_clone()?);
    let there = thread::spawn(move || {
        drop(io::copy(&mut from_inside, &mut to_outside));
        to_outside.shutdown(Shutdown::Write)
    });
    io::copy(&mut outside, &mut inside)?;
    inside.shutdown(Shutdown::Write)?;
    drop(there.join());
    Ok(())
}
