//! A client that writes and reads the bytes of HTTP itself, so that it can stop anywhere.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{BOOTSTRAP_KEY, Server};

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Raw {
    socket: TcpStream,
    seen: Vec<u8>,
}

/// The head of a request with records as NDJSON, but for how long its body is.
pub(super) fn head(server: &Server, path: &str, version: &str) -> String {
    head_by(server, BOOTSTRAP_KEY, path, version)
}

fn head_by(server: &Server, key: &str, path: &str, version: &str) -> String {
    let host = server.base.trim_start_matches("http://");
    format!(
        "POST {path} {version}\r\nhost: {host}\r\nx-api-key: {key}\r\nconnection: close\r\n\
         content-type: application/x-ndjson\r\n"
    )
}

/// Whether an answer is a success that has its end.
pub(super) fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let has_end = body.starts_with("0\r\n") || body.contains("\r\n0\r\n");
    head.starts_with("HTTP/1.1 200") && (!is_chunked || (has_end && body.ends_with("\r\n\r\n")))
}

impl Raw {
    pub(super) async fn connect(server: &Server) -> Raw {
        let host = server.base.trim_start_matches("http://");
        Raw {
            socket: TcpStream::connect(host).await.expect("a connection"),
            seen: Vec::new(),
        }
    }

    /// Opens a stream whose length is not said.
    pub(super) async fn open(server: &Server, path: &str, headers: &str) -> Raw {
        Raw::open_by(server, BOOTSTRAP_KEY, path, headers).await
    }

    pub(super) async fn open_by(server: &Server, key: &str, path: &str, headers: &str) -> Raw {
        let mut client = Raw::connect(server).await;
        let head = head_by(server, key, path, "HTTP/1.1");
        let head = format!("{head}transfer-encoding: chunked\r\n{headers}\r\n");
        client.raw(head.as_bytes()).await;
        client
    }

    /// Opens a stream of a length.
    pub(super) async fn sized(server: &Server, path: &str, bytes: usize) -> Raw {
        let mut client = Raw::connect(server).await;
        let head = head(server, path, "HTTP/1.1");
        let head = format!("{head}content-length: {bytes}\r\n\r\n");
        client.raw(head.as_bytes()).await;
        client
    }

    /// Sends a chunk.
    pub(super) async fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.raw(chunk.as_bytes()).await;
    }

    /// Sends the last chunk. The server may have hung up by now.
    pub(super) async fn end(&mut self) {
        let _ = self.socket.write_all(b"0\r\n\r\n").await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.try_raw(bytes).await.expect("it is sent");
    }

    pub(super) async fn try_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let sent = tokio::time::timeout(PATIENCE, self.socket.write_all(bytes)).await;
        sent.expect("the server reads, or hangs up")
    }

    /// Sends nothing more.
    pub(super) async fn shut(&mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// Reads until a text has come.
    pub(super) async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut buffer)).await;
            let count = read.expect("something comes").expect("it can be read");
            let seen = String::from_utf8_lossy(&self.seen);
            assert!(count > 0, "the answer ends: {seen}");
            self.seen.extend_from_slice(&buffer[..count]);
        }
    }

    /// All of the answer, until the server hangs up.
    pub(super) async fn rest(mut self) -> String {
        let read = self.socket.read_to_end(&mut self.seen);
        let read = tokio::time::timeout(PATIENCE, read).await;
        // However it hangs up.
        let _ = read.expect("an end");
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}
