//! The accept loop. It outlives every error of a single connection, bounds the time that a
//! request head may take, and drains when it is told to.

use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::process::Draining;
use super::socket::Socket;
use super::{Api, Streams, router};

/// Most bytes of a request's head; of its headers there may be 100, as hyper has it.
const HEAD_BYTES: usize = 64 * 1024;
/// How long open requests may take to end after the shutdown was asked for.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);
/// Pause after an accept error that concerns the whole process, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often idle keys are forgotten, and measurements folded together when nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, then lets open requests end.
pub async fn serve(listener: TcpListener, api: Api, shutdown: CancellationToken) {
    let (metrics, limits) = (api.metrics.clone(), api.limits.clone());
    let streams = api.streams.clone();
    let routes = router(api).layer(Extension(Draining(shutdown.clone())));
    let service = TowerToHyperService::new(routes);
    let connections = GracefulShutdown::new();
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = upkeep.tick() => {
                metrics.run_upkeep();
                limits.forget_idle();
                streams.forget_idle();
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = connections.watch(connection(stream, service.clone(), &streams));
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection broke");
                        }
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections at the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_PATIENCE, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and are cut off");
    }
}

fn connection(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    streams: &Streams,
) -> http1::Connection<TokioIo<Socket>, TowerToHyperService<axum::Router>> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let socket = Socket::new(stream, streams.idle());
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(streams.head_patience())
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
