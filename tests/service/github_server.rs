//! A server on loopback that speaks GitHub's REST form for one repository, and git's own protocol over http by git's own program.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};

use crate::repository::git;

/// A status, its headers and a body.
type Refusal = (u16, Vec<(&'static str, String)>, &'static str);

/// What the server holds and what it saw.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) issues: Vec<Value>,
    pub(crate) pulls: Vec<Value>,
    /// Method, path and status of each request.
    pub(crate) seen: Vec<(String, String, u16)>,
    /// The next POSTs that make a pull request and then cut the answer.
    pub(crate) cut_answers: u32,
    /// Answers that are given before anything else: status, headers, body.
    pub(crate) refusals: Vec<Refusal>,
    /// The token stood in a command line.
    pub(crate) token_was_shown: bool,
}

pub(crate) struct GitHubServer {
    pub(crate) address: String,
    pub(crate) bare: PathBuf,
    held: Arc<Mutex<Held>>,
    _folder: tempfile::TempDir,
}

struct Asked {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl GitHubServer {
    /// Serves a copy of a repository as `o/n`, to whoever has the token.
    pub(crate) fn start(of: &Path, token: &'static str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let bare = folder.path().join("o/n.git");
        fs::create_dir_all(bare.parent().unwrap()).unwrap();
        git(of, &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let held = Arc::new(Mutex::new(Held::default()));
        let (shared, root, host) = (Arc::clone(&held), folder.path().to_owned(), address.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, root, host) = (Arc::clone(&shared), root.clone(), host.clone());
                std::thread::spawn(move || drop(answer(stream, &shared, &root, token, &host)));
            }
        });
        Self {
            address,
            bare,
            held,
            _folder: folder,
        }
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    /// Opens an issue with the label, or changes one.
    pub(crate) fn issue(&self, number: u64, title: &str, state: &str, minute: u32) {
        let issue = json!({
            "id": 9000 + number, "number": number, "title": title, "body": "It should say Hello.",
            "state": state, "updated_at": format!("2026-11-01T00:{minute:02}:00Z"),
            "html_url": format!("http://{}/o/n/issues/{number}", self.address),
            "labels": [{ "name": "tos" }, { "name": "bug" }],
        });
        let mut held = self.held();
        held.issues.retain(|known| known["number"] != number);
        held.issues.push(issue);
    }

    /// Merges a pull request, or closes it.
    pub(crate) fn decide(&self, number: usize, merge: bool) -> String {
        let mut held = self.held();
        let pull = &mut held.pulls[number - 1];
        let head = pull["head"]["ref"].as_str().unwrap().to_owned();
        let commit = git(&self.bare, &["rev-parse", &head]);
        pull["state"] = json!("closed");
        if merge {
            git(&self.bare, &["update-ref", "refs/heads/main", &commit]);
            pull["merged_at"] = json!("2026-11-01T01:00:00Z");
            pull["merge_commit_sha"] = json!(commit);
        }
        commit
    }
}

fn answer(
    mut stream: TcpStream,
    held: &Mutex<Held>,
    root: &Path,
    token: &str,
    host: &str,
) -> std::io::Result<()> {
    let asked = read(&stream)?;
    if asked.path.starts_with("/o/n.git/") {
        let shown = is_shown(token) || is_shown(&basic(token));
        held.lock().unwrap().token_was_shown |= shown;
        let is_known =
            asked.headers.get("authorization") == Some(&format!("Basic {}", basic(token)));
        if !is_known {
            return send(&mut stream, 401, &[], b"no");
        }
        return serve_git(&mut stream, &asked, root);
    }
    let is_known = asked.headers.get("authorization") == Some(&format!("Bearer {token}"));
    let refusal = held.lock().unwrap().refusals.pop();
    let (status, headers, body) = match refusal {
        Some((status, headers, body)) => (status, headers, body.as_bytes().to_vec()),
        None if !is_known => (
            401,
            Vec::new(),
            br#"{"message":"Bad credentials"}"#.to_vec(),
        ),
        None => {
            let (status, headers, body) = rest(&asked, &mut held.lock().unwrap(), host);
            (status, headers, body.to_string().into_bytes())
        }
    };
    let mut noted = held.lock().unwrap();
    noted
        .seen
        .push((asked.method.clone(), asked.path.clone(), status));
    if asked.method == "POST" && status == 201 && noted.cut_answers > 0 {
        noted.cut_answers -= 1;
        return Ok(());
    }
    drop(noted);
    send(&mut stream, status, &headers, &body)
}

/// GitHub's REST form: status, headers, document.
fn rest(asked: &Asked, held: &mut Held, host: &str) -> (u16, Vec<(&'static str, String)>, Value) {
    let none = Vec::new();
    let path = asked.path.strip_prefix("/repos/o/n").unwrap_or_default();
    let query = |name: &str| {
        let mut pairs = asked
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let value = pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value);
        value.map(|value| value.replace("%3A", ":").replace("%2F", "/"))
    };
    match (asked.method.as_str(), path) {
        ("GET", "/issues") => {
            let since = query("since").unwrap_or_default();
            let mut found: Vec<Value> = held.issues.clone();
            found.retain(|issue| issue["updated_at"].as_str().unwrap() >= since.as_str());
            found.sort_by_key(|issue| issue["updated_at"].as_str().unwrap().to_owned());
            let document = json!(found);
            let tag = format!("\"{:x}\"", document.to_string().len());
            if asked.headers.get("if-none-match") == Some(&tag) {
                return (304, vec![("ETag", tag)], Value::Null);
            }
            (200, vec![("ETag", tag)], document)
        }
        ("GET", "/pulls") => {
            let head = query("head").unwrap();
            let head = head.strip_prefix("o:").unwrap().to_owned();
            let mut found = held.pulls.clone();
            found.retain(|pull| pull["head"]["ref"] == head.as_str());
            (200, none, json!(found))
        }
        ("POST", "/pulls") => {
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            if held
                .pulls
                .iter()
                .any(|pull| pull["head"]["ref"] == body["head"] && pull["state"] == "open")
            {
                let error = json!({ "message": "Validation Failed", "errors": [{ "message": "A pull request already exists for o:x." }] });
                return (422, none, error);
            }
            let number = held.pulls.len() + 1;
            held.pulls.push(json!({
                "number": number, "html_url": format!("http://{host}/o/n/pull/{number}"), "state": "open",
                "merged_at": null, "merge_commit_sha": null, "title": body["title"], "body": body["body"],
                "head": { "ref": body["head"] }, "base": { "ref": body["base"] },
            }));
            (201, none, held.pulls.last().unwrap().clone())
        }
        ("GET", path) if path.starts_with("/pulls/") => {
            let number: usize = path["/pulls/".len()..].parse().unwrap();
            match held.pulls.get(number - 1) {
                Some(pull) => (200, none, pull.clone()),
                None => (404, none, json!({ "message": "Not Found" })),
            }
        }
        _ => (404, none, json!({ "message": "Not Found" })),
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length");
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body,
    })
}

fn send(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, String)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let body = if status == 304 { &[] } else { body };
    let length = body.len().to_string();
    head.extend(["Content-Length: ", &length, "\r\n\r\n"]);
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// Lets git's own program answer.
fn serve_git(stream: &mut TcpStream, asked: &Asked, root: &Path) -> std::io::Result<()> {
    let header = |name: &str| asked.headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REMOTE_USER", "tos")
        .env("REQUEST_METHOD", &asked.method)
        .env("PATH_INFO", &asked.path)
        .env("QUERY_STRING", &asked.query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", asked.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    child.stdin.take().unwrap().write_all(&asked.body)?;
    let output = child.wait_with_output()?.stdout;
    let cut = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&output[..cut]).into_owned();
    let mut status = 200;
    let mut headers = Vec::new();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            status = value[..3].parse().unwrap();
        } else {
            headers.push((name, value.to_owned()));
        }
    }
    send(stream, status, &headers, &output[cut + 4..])
}

/// Says whether a text stands in the command line of any process.
fn is_shown(text: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
}

/// Returns what git sends for the token: user and token in base 64.
fn basic(token: &str) -> String {
    let mut child = Command::new("base64")
        .arg("-w0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    write!(input, "x-access-token:{token}").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap().stdout;
    String::from_utf8(output).unwrap()
}
