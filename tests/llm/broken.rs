//! Servers that fail below HTTP: no connection, no answer, half an answer, nonsense.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tos::{
    adapters::model::Provider,
    domain::model::{ModelError, ModelErrorKind, ModelRequest},
};

use crate::support::{impatient, model, options, query};

/// What a broken server does after it has read a request.
#[derive(Clone, Copy)]
enum Then {
    /// Says this and closes.
    Close,
    /// Says this and keeps the connection open for ever.
    Hang,
}

/// Starts a server that says `words` to every request, whatever it was.
async fn broken(words: &'static str, then: Then) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                if socket.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    drop(socket.write_all(words.as_bytes()).await);
                }
                if matches!(then, Then::Hang) {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

async fn failure(address: SocketAddr, query: &ModelRequest) -> ModelError {
    let options = options(Provider::OpenAi, &format!("http://{address}/v1"));
    model(&options).ask(query).await.unwrap_err()
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_says_where() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = failure(address, &query()).await;
    assert_eq!(failure.trouble, ModelErrorKind::Unreachable);
    let expected =
        format!("openai API error: no connection to http://{address}/v1/chat/completions: ");
    assert!(failure.message.starts_with(&expected), "{failure}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_no_server_that_does_not_run() {
    let options = options(Provider::OpenAi, "http://nobody.invalid/v1");
    let failure = model(&options).ask(&query()).await.unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::Unreachable);
    let told = failure.to_string();
    assert!(
        told.contains("there is no network, or the name is wrong")
            && !told.contains("does the server run"),
        "{told}"
    );
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_unreachable() {
    let address = broken("", Then::Close).await;
    assert_eq!(
        failure(address, &query()).await.trouble,
        ModelErrorKind::Unreachable
    );
}

#[tokio::test]
async fn a_connection_closed_inside_the_body_is_unreachable() {
    let words = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\": [";
    let address = broken(words, Then::Close).await;
    assert_eq!(
        failure(address, &query()).await.trouble,
        ModelErrorKind::Unreachable
    );
}

#[tokio::test]
async fn a_broken_chunk_is_unreachable() {
    let words = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}";
    let address = broken(words, Then::Close).await;
    let trouble = failure(address, &query()).await.trouble;
    assert!(matches!(
        trouble,
        ModelErrorKind::Unreachable | ModelErrorKind::Malformed
    ));
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_malformed() {
    let address = broken("SSH-2.0-OpenSSH_9.9\r\n\r\n", Then::Close).await;
    assert_eq!(
        failure(address, &query()).await.trouble,
        ModelErrorKind::Malformed
    );
}

#[tokio::test]
async fn a_page_instead_of_json_is_malformed_and_names_the_remedy() {
    let words = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n<html>\nsorry\n\n";
    let address = broken(words, Then::Close).await;
    let url = format!("http://{address}/v1/chat/completions");
    let failure = failure(address, &query()).await;
    assert_eq!(failure.trouble, ModelErrorKind::Malformed);
    assert_eq!(
        failure.message,
        format!(
            "openai API error: status 200 with a page (HTML) instead of JSON from {url}; does `base_url` end in /v1?"
        )
    );
}

#[tokio::test]
async fn the_deadline_holds_while_headers_are_awaited() {
    let address = broken("HTTP/1.1 200", Then::Hang).await;
    assert_eq!(
        failure(address, &impatient()).await.trouble,
        ModelErrorKind::TimedOut
    );
}

#[tokio::test]
async fn the_deadline_holds_while_the_body_is_awaited() {
    let words = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{";
    let address = broken(words, Then::Hang).await;
    assert_eq!(
        failure(address, &impatient()).await.trouble,
        ModelErrorKind::TimedOut
    );
}
