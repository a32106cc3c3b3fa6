//! A faithful receiving endpoint on loopback: it keeps what was delivered, takes a repeated
//! delivery for what it is by its id, verifies signatures, and misbehaves as scripted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::repository_file;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// How many came before it.
    pub(crate) number: usize,
    /// Its `webhook-id`.
    pub(crate) id: String,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The records in its body.
    pub(crate) records: Vec<Map<String, Value>>,
}

/// What the endpoint does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Keeps the records and answers 200.
    Accept,
    /// Keeps nothing and answers with a status.
    Status(u16),
    /// Keeps nothing and answers with a status and a `Retry-After`.
    RetryAfter(u16, String),
    /// Keeps nothing and answers with a status and a body.
    Saying(u16, String),
    /// Keeps nothing and answers with a status, headers and a body.
    Answer(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    /// Keeps nothing and redirects.
    Redirect(String),
    /// Keeps nothing and closes the connection without an answer.
    ResetBefore,
    /// Keeps the records and closes the connection without an answer.
    ResetAfter,
    /// Waits before it does the rest.
    Slow(Duration, Box<Reply>),
}

type Script = Box<dyn Fn(&Delivery) -> Reply + Send + Sync>;

struct Rules {
    /// The key that requests have to be signed with.
    key: Option<Vec<u8>>,
    /// Whether any request is taken, and not only batches of records.
    takes_any: bool,
    /// Whether it speaks TLS.
    tls: bool,
    script: Script,
}

#[derive(Default)]
struct Kept {
    requests: Vec<Delivery>,
    /// Bodies by id, and the ids in the order of their first acceptance.
    accepted: HashMap<String, Bytes>,
    records: Vec<Map<String, Value>>,
    repeated: usize,
}

/// The endpoint. It is gone when the value is dropped.
pub(crate) struct Receiver {
    scheme: &'static str,
    address: std::net::SocketAddr,
    kept: Arc<Mutex<Kept>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// An endpoint that accepts everything.
    pub(crate) async fn accepting() -> Receiver {
        Receiver::start(|_| Reply::Accept).await
    }

    /// An endpoint that does what the script says of each request.
    pub(crate) async fn start(
        script: impl Fn(&Delivery) -> Reply + Send + Sync + 'static,
    ) -> Receiver {
        Receiver::launch(Rules {
            key: None,
            takes_any: false,
            tls: false,
            script: Box::new(script),
        })
        .await
    }

    /// An endpoint that takes requests of every kind; of none are records kept.
    pub(crate) async fn recording(
        script: impl Fn(&Delivery) -> Reply + Send + Sync + 'static,
    ) -> Receiver {
        Receiver::launch(Rules {
            key: None,
            takes_any: true,
            tls: false,
            script: Box::new(script),
        })
        .await
    }

    /// An endpoint over TLS that accepts everything. Its certificate was issued by the authority of
    /// `fixtures/tls`.
    pub(crate) async fn over_tls() -> Receiver {
        Receiver::launch(Rules {
            key: None,
            takes_any: false,
            tls: true,
            script: Box::new(|_| Reply::Accept),
        })
        .await
    }

    /// An endpoint that answers 401 unless the request is signed with the secret (`whsec_...`).
    pub(crate) async fn verifying(
        secret: &str,
        script: impl Fn(&Delivery) -> Reply + Send + Sync + 'static,
    ) -> Receiver {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        Receiver::launch(Rules {
            key: Some(key),
            takes_any: false,
            tls: false,
            script: Box::new(script),
        })
        .await
    }

    async fn launch(rules: Rules) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (state, rules) = (kept.clone(), Arc::new(rules));
        let tls = rules.tls.then(acceptor);
        let scheme = if rules.tls { "https" } else { "http" };
        let serving = tokio::spawn(async move {
            // Dropped with the task, so that no connection outlives the endpoint.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, rules) = (state.clone(), rules.clone());
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (state, rules) = (state.clone(), rules.clone());
                    async move { answer(request.map(Body::new), &rules, &state).await }
                });
                let tls = tls.clone();
                connections.spawn(async move {
                    let http = http1::Builder::new();
                    let Some(tls) = tls else {
                        drop(http.serve_connection(TokioIo::new(stream), service).await);
                        return;
                    };
                    if let Ok(stream) = tls.accept(stream).await {
                        drop(http.serve_connection(TokioIo::new(stream), service).await);
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Receiver {
            scheme,
            address,
            kept,
            serving,
        }
    }

    /// Where records are to be posted.
    pub(crate) fn url(&self) -> String {
        self.url_by("127.0.0.1")
    }

    /// The same with the host written in another way.
    pub(crate) fn url_by(&self, host: &str) -> String {
        format!("{}://{host}:{}/hook", self.scheme, self.address.port())
    }

    /// The accepted records, in the order of their first acceptance. What was delivered again
    /// under the same id is there once.
    pub(crate) fn records(&self) -> Vec<Map<String, Value>> {
        self.kept.lock().unwrap().records.clone()
    }

    /// Every request, whatever became of it.
    pub(crate) fn requests(&self) -> Vec<Delivery> {
        self.kept.lock().unwrap().requests.clone()
    }

    /// How many requests repeated an accepted one.
    pub(crate) fn repeated(&self) -> usize {
        self.kept.lock().unwrap().repeated
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Shows the certificate of `fixtures/tls`.
fn acceptor() -> TlsAcceptor {
    let file = |name: &str| repository_file(&format!("fixtures/tls/{name}"));
    let chain = CertificateDer::pem_file_iter(file("loopback.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("loopback.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A connection that is closed without an answer.
#[derive(Debug)]
struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reset")
    }
}

impl std::error::Error for Reset {}

async fn answer(
    request: Request<Body>,
    rules: &Rules,
    kept: &Mutex<Kept>,
) -> Result<Response<Body>, Reset> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Reset)?;
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    if let Some(key) = &rules.key {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
        mac.update(&body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        if header("webhook-signature") != expected {
            return Ok(status(401));
        }
    }
    let records = match serde_json::from_slice(&body) {
        Ok(records) if !rules.takes_any => records,
        _ if rules.takes_any => Vec::new(),
        _ => return Ok(status(415)),
    };
    let delivery = {
        let mut kept = kept.lock().unwrap();
        let number = kept.requests.len();
        let id = header("webhook-id");
        let delivery = Delivery {
            number,
            id,
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body,
            records,
        };
        kept.requests.push(delivery.clone());
        delivery
    };
    let mut reply = (rules.script)(&delivery);
    while let Reply::Slow(pause, next) = reply {
        tokio::time::sleep(pause).await;
        reply = *next;
    }
    let keeps = !rules.takes_any && matches!(reply, Reply::Accept | Reply::ResetAfter);
    if keeps && !keep(&delivery, kept) {
        // The same id must not stand for other content.
        return Ok(status(422));
    }
    let answer = match reply {
        Reply::Accept | Reply::Slow(..) => status(200),
        Reply::Status(code) => status(code),
        Reply::RetryAfter(code, after) => with_header(status(code), "retry-after", &after),
        Reply::Saying(code, text) => status(code).map(|_| Body::from(text)),
        Reply::Answer(code, headers, body) => {
            let mut answer = status(code).map(|_| Body::from(body));
            for (name, value) in headers {
                let name = HeaderName::from_static(name);
                answer
                    .headers_mut()
                    .append(name, HeaderValue::from_static(value));
            }
            answer
        }
        Reply::Redirect(to) => with_header(status(307), "location", &to),
        Reply::ResetBefore | Reply::ResetAfter => return Err(Reset),
    };
    Ok(answer)
}

fn status(code: u16) -> Response<Body> {
    Response::builder()
        .status(code)
        .body(Body::empty())
        .unwrap()
}

fn with_header(mut to: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    to.headers_mut()
        .insert(name, HeaderValue::from_str(value).unwrap());
    to
}

/// Keeps the records unless they are kept already; false if the id stands for other content.
fn keep(delivery: &Delivery, kept: &Mutex<Kept>) -> bool {
    let mut kept = kept.lock().unwrap();
    match kept.accepted.get(&delivery.id) {
        Some(body) if *body != delivery.body => return false,
        Some(_) => kept.repeated += 1,
        None => {
            kept.accepted
                .insert(delivery.id.clone(), delivery.body.clone());
            kept.records.extend(delivery.records.iter().cloned());
        }
    }
    true
}
