//! As much of HTTP/1.1 as clients of models use.

use std::{
    io,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde_json::Value;

/// One request.
pub(super) struct Message {
    pub(super) method: String,
    /// Without the query; a proxy may have left the host in front of it.
    pub(super) path: String,
    headers: Vec<(String, String)>,
    /// Null where it is no JSON.
    pub(super) body: Value,
}

impl Message {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads one request; `None` = the client is gone.
pub(super) fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let mut message = Message {
        method,
        path: target.split('?').next().unwrap_or_default().to_owned(),
        headers: headers(reader)?,
        body: Value::Null,
    };
    let length = message
        .header("content-length")
        .and_then(|value| value.parse().ok());
    let raw = if message.header("transfer-encoding").is_some() {
        chunks(reader)?
    } else {
        let mut raw = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut raw)?;
        raw
    };
    let raw = if message.header("content-encoding") == Some("gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(raw.as_slice()).read_to_end(&mut plain)?;
        plain
    } else {
        raw
    };
    message.body = serde_json::from_slice(&raw).unwrap_or_default();
    Ok(Some(message))
}

fn headers(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn chunks(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = line.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(length, 16).unwrap_or(0);
        reader.take(length).read_to_end(&mut raw)?;
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(raw);
        }
    }
}

/// Answers with JSON.
pub(super) fn reply(
    out: &mut TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &Value,
) -> io::Result<bool> {
    raw(out, status, headers, body.to_string().as_bytes())
}

/// Answers with what is said to be JSON.
pub(super) fn raw(
    out: &mut TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<bool> {
    raw_as(out, status, "application/json", headers, body)
}

/// Answers with a body of some type.
pub(super) fn raw_as(
    out: &mut TcpStream,
    status: u16,
    kind: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<bool> {
    let mut head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    out.write_all(format!("{head}\r\n").as_bytes())?;
    out.write_all(body)?;
    Ok(true)
}
