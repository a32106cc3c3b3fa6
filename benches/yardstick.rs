//! What to measure with, and to measure against: the customers that `filter/run.py` and
//! `filter/http.py` send, and the programs that do as little as can be done.
//!
//! `cargo bench --profile dev --bench yardstick -- customers ndjson 1000`
//!
//! - `customers ndjson|csv ROWS` writes customers to standard output.
//! - `floor PERMILLE KEY...` copies lines from standard input to standard output and searches each
//!   for the keys. It validates nothing and decides nothing; it writes the first PERMILLE of each
//!   thousand lines, so that it can write as much as a filter does.
//! - `echo` is a bare hyper server that answers every request with its own body.
//! - `sink` is one that reads the body and answers how many bytes it had.
//! - `proxy HOST:PORT` is one that hands every request on, and the answer back.
//!
//! The servers print their port first. They work on one thread, until they are killed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not the product"
)]

use std::hint::black_box;
use std::io::{self, BufWriter, Read, Write};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

mod customers;

const BUFFER: usize = 256 << 10;

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["customers", format, rows] => write_customers(format, rows.parse().unwrap()),
        ["floor", permille, keys @ ..] => floor(permille.parse().unwrap(), keys),
        ["echo"] => serve(Kind::Echo),
        ["sink"] => serve(Kind::Sink),
        ["proxy", address] => serve(Kind::Proxy((*address).to_owned())),
        _ => {
            println!(
                "customers ndjson|csv ROWS | floor PERMILLE KEY... | echo | sink | proxy ADDRESS"
            );
            Ok(())
        }
    }
}

fn write_customers(format: &str, rows: usize) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    let customers = customers::Customers::new(1).take(rows);
    match format {
        "ndjson" => {
            for customer in customers {
                customer.write_json(&mut out)?;
                out.write_all(b"\n")?;
            }
        }
        "csv" => {
            writeln!(out, "{}", customers::FIELDS.join(","))?;
            for customer in customers {
                customer.write_csv(&mut out)?;
            }
        }
        _ => return Err(io::Error::other("the format is ndjson or csv")),
    }
    out.flush()
}

fn floor(permille: u64, keys: &[&str]) -> io::Result<()> {
    let keys: Vec<_> = keys.iter().map(|key| format!("\"{key}\":")).collect();
    let keys: Vec<_> = keys.iter().map(|key| Finder::new(key.as_bytes())).collect();
    let mut output = io::stdout().lock();
    let mut input = io::stdin().lock();
    let mut buffer = vec![0; BUFFER];
    let mut out = Vec::with_capacity(BUFFER);
    let (mut held, mut line) = (0, 0_u64);
    loop {
        let read = input.read(&mut buffer[held..])?;
        if read == 0 {
            return Ok(());
        }
        let end = held + read;
        let mut start = 0;
        for stop in memchr::memchr_iter(b'\n', &buffer[..end]) {
            let record = &buffer[start..=stop];
            for key in &keys {
                black_box(key.find(record));
            }
            if line % 1_000 < permille {
                out.extend_from_slice(record);
            }
            line += 1;
            start = stop + 1;
        }
        output.write_all(&out)?;
        out.clear();
        buffer.copy_within(start..end, 0);
        held = end - start;
        if held == buffer.len() {
            return Err(io::Error::other("a line is longer than the buffer"));
        }
    }
}

#[derive(Clone)]
enum Kind {
    Echo,
    Sink,
    Proxy(String),
}

type Body = BoxBody<Bytes, hyper::Error>;

fn serve(kind: Kind) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            let kind = kind.clone();
            tokio::spawn(async move {
                let upstream = match &kind {
                    Kind::Proxy(address) => Some(Mutex::new(connect(address).await)),
                    Kind::Echo | Kind::Sink => None,
                };
                let service = service_fn(|request: Request<Incoming>| async {
                    if let Some(upstream) = &upstream {
                        let answer = upstream.lock().await.send_request(request).await?;
                        return Ok(answer.map(BodyExt::boxed));
                    }
                    let mut body = request.into_body();
                    if matches!(kind, Kind::Echo) {
                        return Ok(Response::new(body.boxed()));
                    }
                    let mut bytes = 0;
                    while let Some(frame) = body.frame().await {
                        bytes += frame?.data_ref().map_or(0, Bytes::len);
                    }
                    let text = Full::from(format!("{bytes}\n"));
                    Ok::<Response<Body>, hyper::Error>(Response::new(
                        text.map_err(|never| match never {}).boxed(),
                    ))
                });
                // The client sees a broken connection for itself.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

async fn connect(address: &str) -> hyper::client::conn::http1::SendRequest<Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}
