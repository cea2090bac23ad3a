//! What must not get in.

use std::io::Write;

use serde_json::json;

use super::server::{Server, TOKEN, read_reply};

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

#[test]
fn without_the_token_nothing_is_told() {
    let server = Server::with(|options| options.sign_in_rate = 1000);
    let description = server.get("/openapi.json").json();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let path = path
                .replace("{id}", "1")
                .replace("{name}", "judge")
                .replace("{artifact}", "log");
            let origin = format!("http://{}", server.address);
            let reply = server.send(&method, &path, &[("Origin", &origin)], b"");
            let open = path.starts_with("/health");
            assert_eq!(
                reply.status == 200,
                open,
                "{method} {path}: {}",
                reply.status
            );
            if !open {
                assert_eq!(reply.code(), "unauthorized", "{method} {path}");
                assert!(reply.header("www-authenticate").is_some());
            }
        }
    }
    for path in [
        "/",
        "/openapi.json",
        "/ui/board",
        "/ui/settings",
        "/metrics",
    ] {
        assert_eq!(server.send("GET", path, &[], b"").status, 401, "{path}");
    }
    for wrong in [
        "Bearer x",
        "Bearer ",
        "Basic eDp5",
        "Bearer 0123456789abcdef0123456789abcdeF",
    ] {
        let reply = server.send("GET", "/tasks", &[("Authorization", wrong)], b"");
        assert_eq!(reply.status, 401, "{wrong}");
    }
    // A wrong token is not made good by a good cookie.
    let cookie = server.sign_in();
    let both = [("Authorization", "Bearer x"), ("Cookie", cookie.as_str())];
    assert_eq!(server.send("GET", "/tasks", &both, b"").status, 401);
    assert_eq!(
        server
            .send("GET", "/tasks", &[("X-API-Key", TOKEN)], b"")
            .status,
        200
    );
}

#[test]
fn another_name_for_this_machine_is_refused_even_with_the_token() {
    let server = Server::with(|options| options.hosts = vec!["board.example".into()]);
    let port = server.address.port();
    let ask = |host: &str| {
        let headers = [("Host", host), ("Authorization", &bearer())];
        server.send("GET", "/tasks", &headers, b"")
    };
    for good in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("BOARD.example:{port}"),
    ] {
        assert_eq!(ask(&good).status, 200, "{good}");
    }
    for wrong in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "",
        "127.0.0.2",
        "evil.example:127.0.0.1",
    ] {
        let reply = ask(wrong);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "wrong_host"),
            "{wrong}"
        );
    }
    // Two names, or one in the address and another in the head.
    let two = [
        ("Host", "evil.example"),
        ("Host", "localhost"),
        ("Authorization", &bearer()),
    ];
    assert!(server.send("GET", "/tasks", &two, b"").status >= 400);
    let both = [("Host", "localhost"), ("Authorization", &bearer())];
    let reply = server.send("GET", "http://evil.example/tasks", &both, b"");
    assert_eq!(reply.status, 403);
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    let server = Server::start();
    let cookie = server.sign_in();
    let ours = format!("http://{}", server.address);
    let body = json!({"title": "t", "goal": "g"}).to_string();
    let send = |headers: &[(&str, &str)]| {
        let mut all = vec![
            ("Cookie", cookie.as_str()),
            ("Content-Type", "application/json"),
        ];
        all.extend(headers);
        server.send("POST", "/tasks", &all, body.as_bytes()).status
    };
    for origin in [
        "http://evil.example",
        "null",
        "http://localhost:1",
        "https://127.0.0.1",
    ] {
        assert_eq!(send(&[("Origin", origin)]), 403, "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(send(&[("Sec-Fetch-Site", site)]), 403, "{site}");
    }
    // With a cookie only a browser that says where it comes from may change something.
    assert_eq!(send(&[]), 403);
    assert_eq!(
        server.get("/tasks").json()["tasks"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(send(&[("Origin", &ours)]), 201);
    // A form of another page.
    let form = [
        ("Cookie", cookie.as_str()),
        ("Origin", "http://evil.example"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    assert_eq!(server.send("POST", "/ui/stop-all", &form, b"").status, 403);
    // It may not read, either, and nobody is let in from elsewhere.
    let reply = server.send(
        "GET",
        "/events",
        &[("Cookie", &cookie), ("Origin", "http://localhost:1")],
        b"",
    );
    assert_eq!(reply.status, 403);
    let preflight = [
        ("Origin", "http://evil.example"),
        ("Access-Control-Request-Method", "POST"),
    ];
    let reply = server.send("OPTIONS", "/tasks", &preflight, b"");
    assert_eq!(reply.status, 403);
    assert!(
        !reply
            .headers
            .iter()
            .any(|(name, _)| name.to_lowercase().starts_with("access-control"))
    );
}

#[test]
fn every_answer_keeps_browsers_from_more() {
    let server = Server::start();
    for path in [
        "/tasks",
        "/no/such",
        "/sign-in",
        "/assets/page.js",
        "/health",
    ] {
        let reply = server.get(path);
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"));
        assert!(reply.header("cache-control").is_some(), "{path}");
    }
}

#[test]
fn a_code_signs_in_once_and_a_cookie_is_kept_from_scripts() {
    let server = Server::with(|options| options.sign_in_rate = 1000);
    let code = server.ask("POST", "/sign-in/codes", None).json();
    let path = code["path"].as_str().unwrap();
    let reply = server.send("GET", path, &[], b"");
    let set = reply.header("set-cookie").unwrap().to_owned();
    assert!(
        set.contains("; HttpOnly") && set.contains("; SameSite=Strict"),
        "{set}"
    );
    assert_eq!(server.send("GET", path, &[], b"").status, 401);
    assert_eq!(
        server
            .send("GET", "/sign-in?code=aaaaaaaaaaaa", &[], b"")
            .status,
        401
    );
    let cookie = set.split(';').next().unwrap();
    assert_eq!(server.page(cookie, "/", &[]).status, 200);
    assert_eq!(
        server.page(&cookie[..cookie.len() - 1], "/", &[]).status,
        401
    );
    // A browser cannot make codes for others: that takes the token, or being signed in.
    let reply = server.form(cookie, "/ui/sign-out", "");
    assert_eq!(reply.status, 303);
    assert_eq!(server.page(cookie, "/", &[]).status, 401);
    // The token itself signs in, too.
    let origin = format!("http://{}", server.address);
    let headers = [
        ("Origin", origin.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let reply = server.send(
        "POST",
        "/sign-in",
        &headers,
        format!("code={TOKEN}").as_bytes(),
    );
    assert_eq!(reply.status, 200);
}

#[test]
fn guessing_and_flooding_are_slowed_down() {
    let server = Server::with(|options| {
        options.sign_in_rate = 5;
        options.rate = 1;
        options.burst = 20;
    });
    let guess = |code: &str| server.send("GET", &format!("/sign-in?code={code}"), &[], b"");
    let answers: Vec<u16> = (0..8).map(|n| guess(&format!("guess{n}")).status).collect();
    assert_eq!(answers, [401, 401, 401, 401, 401, 429, 429, 429]);
    assert!(guess("x").header("retry-after").is_some());
    // Who has the token is not kept out by that.
    let flood: Vec<u16> = (0..40).map(|_| server.get("/tasks").status).collect();
    assert_eq!(flood[0], 200);
    assert_eq!(flood.last(), Some(&429));
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn no_name_of_a_log_leads_out_of_its_folder() {
    let server = Server::start();
    for name in [
        "..",
        "../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/etc/passwd",
        "worker-1%00",
        "worker-1/../../x",
        "worker-1.log",
        "worker-1%2f..%2f..",
        "....//",
    ] {
        for base in [
            "/logs/agents/",
            "/logs/processes/",
            "/logs/runs/",
            "/runs/",
            "/ui/tasks/1?run=",
        ] {
            let reply = server.get(&format!("{base}{name}"));
            assert!(
                matches!(reply.status, 400 | 404),
                "{base}{name}: {}",
                reply.status
            );
            assert!(!reply.text().contains("root:"));
        }
    }
    assert_eq!(
        server.get("/logs/all?source=..%2f..%2fetc%2fpasswd").status,
        400
    );
}

#[test]
fn a_body_of_ten_megabytes_is_refused_whether_it_says_so_or_not() {
    let server = Server::start();
    let body = vec![b' '; 10 * 1024 * 1024];
    let headers = [
        ("Authorization", bearer()),
        ("Content-Type", "application/json".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    // It is refused by its length, before it is read.
    let mut stream = server.connect();
    let head = format!(
        "POST /tasks HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        server.address,
        bearer(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let reply = read_reply(&mut stream);
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
    // Without a length, as soon as it is too long.
    let mut stream = server.connect();
    let head = format!(
        "POST /tasks HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        server.address,
        bearer()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n".as_slice(), &body[..0x10000], b"\r\n"].concat();
    for _ in 0..17 {
        stream.write_all(&chunk).unwrap();
    }
    let reply = read_reply(&mut stream);
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
    // The service lives, and what fits is taken.
    let fits = json!({"title": "t", "goal": "g".repeat(60_000)}).to_string();
    assert_eq!(
        server
            .send("POST", "/tasks", &headers, fits.as_bytes())
            .status,
        201
    );
}

#[test]
fn slow_clients_are_let_go_and_keep_nobody_waiting() {
    let server = Server::with(|options| {
        options.head_limit = std::time::Duration::from_millis(300);
        options.time_limit = std::time::Duration::from_millis(300);
    });
    // A head that never ends.
    let mut head = server.connect();
    head.write_all(b"GET /tasks HTTP/1.1\r\nHost: ").unwrap();
    // A body that never ends.
    let mut body = server.connect();
    let begun = format!(
        "POST /tasks HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        server.address,
        bearer()
    );
    body.write_all(begun.as_bytes()).unwrap();
    assert_eq!(server.get("/tasks").status, 200);
    let reply = read_reply(&mut body);
    assert_eq!((reply.status, reply.code().as_str()), (408, "too_slow"));
    let mut rest = Vec::new();
    drop(std::io::Read::read_to_end(&mut head, &mut rest));
    assert!(
        rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&rest)
    );
}

#[test]
fn connections_are_bounded_and_the_rest_is_told_so() {
    let server = Server::with(|options| options.connections = 8);
    let mut idle: Vec<_> = (0..8).map(|_| server.connect()).collect();
    // They are counted once they are accepted, which this one is after them.
    let mut one_more = server.connect();
    let reply = read_reply(&mut one_more);
    assert_eq!((reply.status, reply.code().as_str()), (503, "busy"));
    idle.clear();
    // A place becomes free as soon as the end is noticed.
    let free = (0..1000).any(|_| {
        std::thread::yield_now();
        server.get("/health").status == 200
    });
    assert!(free);
}

#[test]
fn tls_is_needed_elsewhere_and_works() {
    use std::{io::Read, sync::Arc};

    use tokio_rustls::rustls::{
        ClientConfig, ClientConnection, RootCertStore, Stream,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    };
    use tos::interfaces::http::serve::{may_listen, tls_acceptor};

    const CERTIFICATE: &[u8] = include_bytes!("tls/certificate.pem");
    const KEY: &[u8] = include_bytes!("tls/key.pem");

    assert!(may_listen("0.0.0.0:4301".parse().unwrap(), false).is_err());
    for (certificate, key) in [
        (&b"nothing"[..], KEY),
        (CERTIFICATE, b"nothing"),
        (KEY, CERTIFICATE),
    ] {
        let said = tls_acceptor(certificate, key).err().unwrap();
        assert!(said.contains("certificate"), "{said}");
    }
    let server = Server::over(
        |options| options.is_tls = true,
        Some(tls_acceptor(CERTIFICATE, KEY).unwrap()),
    );
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut secured = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = server.connect();
    let mut stream = Stream::new(&mut secured, &mut stream);
    let form = format!("code={TOKEN}");
    let request = format!(
        "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("; Secure"), "{answer}");
    // Who speaks without TLS is told nothing.
    let mut plain = server.connect();
    plain
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP/"));
}
