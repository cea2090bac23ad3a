//! Who may do what: TLS, credentials and permissions with a server that enforces them, and secrets that stay where they are.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use async_nats::{ConnectOptions, jetstream};
use nkeys::{KeyPair, KeyPairType};
use serde_json::{Value, json};

use crate::{
    Worker,
    nats::NatsServer,
    options, page,
    place::{Place, Service},
    repository::git,
};

/// What the table of docs/scale.md allows a worker of the board `test`.
const WORKER: (&[&str], &[&str]) = (
    &[
        "tos.test.result.*",
        "tos.test.line.*",
        "tos.test.planned.*",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.MSG.GET.*",
        "$JS.API.DIRECT.GET.>",
        "$JS.API.CONSUMER.CREATE.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.TOS_test_WORK.*",
        "$JS.API.CONSUMER.INFO.>",
        "$JS.API.CONSUMER.DELETE.>",
        "$JS.API.CONSUMER.MSG.NEXT.TOS_test_WORK.*",
        "$JS.API.STREAM.PURGE.OBJ_TOS_test_ATTEMPTS",
        "$JS.API.STREAM.PURGE.OBJ_TOS_test_LOGS",
        "$JS.API.STREAM.PURGE.OBJ_TOS_test_PLANFILES",
        "$JS.ACK.>",
        "$JS.FC.>",
        "$KV.TOS_test_WORKERS.>",
        "$KV.TOS_test_CLAIMS.>",
        "$KV.TOS_test_BEATS.>",
        "$O.TOS_test_ATTEMPTS.>",
        "$O.TOS_test_LOGS.>",
        "$O.TOS_test_PLANFILES.>",
    ],
    &["tos.test.stop.*", "tos.test.planstop.*", "_INBOX.>"],
);

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let part = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let all = part(0) << 16 | part(1) << 8 | part(2);
        for at in 0..=three.len() {
            let index = all >> (18 - 6 * at) & 63;
            text.push(char::from(LETTERS[index as usize]));
        }
    }
    text
}

/// Signs what somebody may do, as `nsc` would.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, rights: Value) -> String {
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name,
        "sub": subject.public_key(), "nats": rights,
    });
    let text = format!(
        "{}.{}",
        base64(head.to_string().as_bytes()),
        base64(claims.to_string().as_bytes())
    );
    let signed = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", base64(&signed))
}

fn key(kind: KeyPairType, number: u8) -> KeyPair {
    KeyPair::new_from_raw(kind, [number; 32]).unwrap()
}

/// Writes the file with which a user logs in; empty rights = all.
fn credentials(
    folder: &Path,
    account: &KeyPair,
    name: &str,
    number: u8,
    rights: (&[&str], &[&str]),
) {
    let user = key(KeyPairType::User, number);
    let mut permissions = json!({
        "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2, "pub": {}, "sub": {},
    });
    if !rights.0.is_empty() {
        permissions["pub"] = json!({ "allow": rights.0 });
        permissions["sub"] = json!({ "allow": rights.1 });
    }
    let jwt = jwt(account, &user, name, permissions);
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    );
    fs::write(folder.join(format!("{name}.creds")), text).unwrap();
}

/// Returns the configuration of a server that lets only two users in, and only over TLS.
fn guarded(folder: &Path) -> String {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(folder).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    let made = openssl.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let operator = key(KeyPairType::Operator, 1);
    let (system, account) = (key(KeyPairType::Account, 2), key(KeyPairType::Account, 3));
    let limits = |storage: i64| {
        json!({
            "type": "account", "version": 2, "default_permissions": { "pub": {}, "sub": {} },
            "limits": {
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
                "leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage,
            },
        })
    };
    let own = jwt(
        &operator,
        &operator,
        "operator",
        json!({
            "type": "operator", "version": 2, "system_account": system.public_key(),
        }),
    );
    let both = [
        (&system, jwt(&operator, &system, "SYS", limits(0))),
        (&account, jwt(&operator, &account, "TOS", limits(-1))),
    ];
    let preload: Vec<String> = both
        .iter()
        .map(|(key, jwt)| format!("{}: {jwt}", key.public_key()))
        .collect();
    credentials(folder, &account, "controller", 4, (&[], &[]));
    credentials(folder, &account, "worker", 5, WORKER);
    let file = |name: &str| folder.join(name);
    format!(
        "operator: {own}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{}\n}}\ntls {{ cert_file: \"{}\", key_file: \"{}\" }}\n",
        system.public_key(),
        preload.join("\n"),
        file("cert.pem").display(),
        file("key.pem").display(),
    )
}

fn words(server: &NatsServer, who: &str) -> Vec<String> {
    let folder = server.folder.path();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let words = options(server).into_iter().map(str::to_owned);
    let files = [
        ("--nats-ca", file("cert.pem")),
        ("--nats-creds", file(&format!("{who}.creds"))),
    ];
    let files = files
        .into_iter()
        .flat_map(|(option, file)| [option.to_owned(), file]);
    words.chain(files).collect()
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Tries to write what only a controller may write.
async fn nothing_is_written(stream: &jetstream::Context) {
    // What is forbidden is never answered: so all are waited for at once.
    let subjects = [
        "tos.test.log",
        "tos.test.work.3.worker.any.99",
        "$KV.TOS_test_LEADER.controller",
        "$KV.TOS_test_CONTROL.drain.all",
    ];
    let answers =
        futures_util::future::join_all(subjects.map(|subject| async move {
            stream.publish(subject, "[]".into()).await.unwrap().await
        }));
    for (subject, answer) in subjects.into_iter().zip(answers.await) {
        assert!(answer.is_err(), "{subject}");
    }
}

#[tokio::test]
async fn a_worker_with_a_file_of_its_own_does_its_work_over_tls_and_nothing_else() {
    let server = NatsServer::start_with("tls", |folder| guarded(folder));
    let place = Place::new("");
    let controller = words(&server, "controller");
    let service = Service::start_with_options(&place, &borrowed(&controller));
    let own = words(&server, "worker");
    let worker = Worker::start_with(&borrowed(&own), "desk", &[], &[]);
    let task = service.add(json!({ "title": "write a farewell" }));
    service.until(task, "done");
    let logs = place.tos(&["proc", "logs"]);
    assert!(
        logs.contains("done by the worker desk"),
        "{logs}\n{}",
        worker.said()
    );
    // The same file makes tasks of plans, once whoever runs a plan has made the queues.
    fs::write(
        place.top.join("plan.yaml"),
        "tasks:\n- {id: a, shell: \"echo made > made.txt; seq 9000\", outputs: [made.txt]}\n",
    )
    .unwrap();
    let run = [
        &["plan".to_owned(), "run".to_owned(), "plan.yaml".to_owned()],
        &controller[..],
    ]
    .concat();
    let mut runner = place.command(&borrowed(&run));
    let mut runner = runner
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Place::until_true(|| {
        let runs = fs::read_dir(place.top.join(".tos/runs"));
        runs.is_ok_and(|mut runs| runs.any(|run| holds(&run.unwrap().path(), "started")))
    });
    let more = ["--roles", "none", "--plan-slots", "1"];
    let maker = Worker::start_with(&borrowed(&own), "maker", &more, &[]);
    assert!(runner.wait().unwrap().success(), "{}", maker.said());
    assert!(place.top.join("made.txt").exists());
    // With the same file somebody tries to write what only a controller may write.
    let folder = server.folder.path();
    let login = ConnectOptions::with_credentials_file(folder.join("worker.creds"))
        .await
        .unwrap();
    let login = login
        .add_root_certificates(folder.join("cert.pem"))
        .require_tls(true);
    let client = login.connect(&server.url).await.unwrap();
    let mut stream = jetstream::new(client);
    stream.set_timeout(Duration::from_secs(2));
    let log = stream.get_stream("TOS_test_LOG").await.unwrap();
    nothing_is_written(&stream).await;
    assert!(stream.delete_stream("TOS_test_LOG").await.is_err());
    let last = log.get_last_raw_message_by_subject("tos.test.log").await;
    assert_ne!(&last.unwrap().payload[..], b"[]");
    // Without a file, or without trust in the certificate, nobody comes in, and is told why.
    let (ok, said) = place.run(&borrowed(&[&["workers".to_owned()], &own[..8]].concat()));
    assert!(
        !ok && said.to_lowercase().contains("authorization"),
        "{said}"
    );
    let untrusted = [&["workers".to_owned()], &own[..6], &own[8..]].concat();
    let (ok, said) = place.run(&borrowed(&untrusted));
    assert!(!ok && said.to_lowercase().contains("certificate"), "{said}");
}

/// Returns whether bytes lie in any file below a folder.
fn holds(folder: &Path, words: &str) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, words);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes
            .windows(words.len())
            .any(|part| part == words.as_bytes())
    })
}

#[test]
fn secrets_stay_where_they_are() {
    let server = NatsServer::start();
    let place = Place::new("");
    // The agent prints what happens to be the worker's secret.
    let script = "echo \"the key is wrk-5ecret-0f-the-worker\"; printf 'x\\n' > note.txt\n";
    fs::write(place.top.join("agent.sh"), script).unwrap();
    git(
        &place.top,
        &["commit", "-qam", "an agent that talks too much"],
    );
    let options = crate::options(&server);
    let words = [&["serve", "--drain", "1"], &options[..]].concat();
    let mut command = place.command(&words);
    command.env("CONTROLLER_API_KEY", "ctl-5ecret-0f-the-controller");
    let service = Service::start_command(&place, command);
    let variables = [("WORKER_API_KEY", "wrk-5ecret-0f-the-worker")];
    let _worker = Worker::start_with(&options, "desk", &[], &variables);
    let task = service.add(json!({ "title": "a note" }));
    service.until(task, "done");
    let shown = page(&service, &format!("/ui/tasks/{task}"));
    assert!(
        shown.contains("the key is") && !shown.contains("wrk-5ecret"),
        "{shown}"
    );
    assert!(!holds(&place.top.join(".tos/task-logs"), "wrk-5ecret"));
    assert!(!holds(&place.top.join(".tos/board-logs"), "wrk-5ecret"));
    // What the server keeps is written as it came; orders and results are JSON.
    let store = server.folder.path().join("store");
    assert!(holds(&store, "a note"), "this looks in the right place");
    assert!(!holds(&store, "ctl-5ecret") && !holds(&store, "API_KEY"));
    let token = fs::read_to_string(place.top.join(".tos/service-token")).unwrap();
    assert!(!holds(&store, token.trim()));
}
