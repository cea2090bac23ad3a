//! Talks to a running service over loopback, with the token it left for its user.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::interfaces::cli::common::{CliError, GlobalArgs, Printer, ServiceFactory};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running service.
pub(super) struct ServiceClient {
    address: String,
    token: String,
}

impl ServiceClient {
    /// Finds the service of the root.
    pub(super) fn find(
        global: &GlobalArgs,
        services: &dyn ServiceFactory,
    ) -> Result<Self, CliError> {
        let place = match services.root_above(global) {
            None => "here".to_owned(),
            Some(root) => format!("in {}", root.display()),
        };
        let none = || {
            CliError::NotDone(format!(
                "no service runs {place}; start it with `tos serve`"
            ))
        };
        let document = services.service_address(global).ok_or_else(none)?;
        Self::read(&document).ok_or_else(none)
    }

    /// Reads what a service left for its user.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let word = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            address: word("address")?,
            token: word("token")?,
        })
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks, and returns the document that is answered.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, CliError> {
        let told = self.exchange(method, path, body);
        let (status, text) = told.map_err(|error| self.gone(&error))?;
        self.understood(status, &text)
    }

    /// Asks for something that is answered as text.
    pub(super) fn text(&self, path: &str) -> Result<String, CliError> {
        let told = self.exchange("GET", path, &Value::Null);
        let (status, text) = told.map_err(|error| self.gone(&error))?;
        if (200..300).contains(&status) {
            return Ok(text);
        }
        self.understood(status, &text).map(|_| String::new())
    }

    fn gone(&self, error: &std::io::Error) -> CliError {
        CliError::NotDone(format!(
            "the service at {} does not answer: {error}; if it was killed, start it again with `tos serve`",
            self.address
        ))
    }

    fn understood(&self, status: u16, text: &str) -> Result<Value, CliError> {
        let value: Value = serde_json::from_str(text).map_err(|_| {
            CliError::NotDone(format!(
                "the service at {} answered something else than JSON",
                self.address
            ))
        })?;
        if (200..300).contains(&status) {
            return Ok(value);
        }
        let words = |name: &str| value["error"][name].as_str().unwrap_or_default().to_owned();
        let (message, hint) = (words("message"), words("hint"));
        let told = if hint.is_empty() {
            message
        } else {
            format!("{message}; {hint}")
        };
        Err(if status == 400 {
            CliError::Setup(told)
        } else {
            CliError::NotDone(told)
        })
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_default();
        Ok((status, body.to_owned()))
    }
}

/// Writes a value so that it can stand in a path.
pub(super) fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// Asks the service: method, path, body.
pub(super) type RequestFn<'a> = &'a dyn Fn(&str, &str, Value) -> Result<Value, CliError>;

/// Tells what was answered: that it is done, or that it was so already.
pub(super) fn print_answer(answer: &Value, done: &str, printer: &Printer) {
    printer.line(answer["message"].as_str().unwrap_or(done));
    printer.document(answer);
}
