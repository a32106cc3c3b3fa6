//! `syncguard serve`: the control plane and the workers, until told to drain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use chrono::Utc;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Listeners};
use crate::config::{BOOTSTRAP_KEY, JUDGE_KEY, Settings};

/// Serves the control plane and works on runs.
#[derive(clap::Args)]
pub struct Serve {
    /// TOML file with settings; flags and environment variables go before it
    #[arg(long, env = "SYNCGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    /// Serves until SIGTERM or Ctrl-C; runs are checkpointed before it returns.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut settings = self.settings;
        settings.bootstrap_key = std::env::var(BOOTSTRAP_KEY).ok();
        settings.judge_key = std::env::var(JUDGE_KEY).ok();
        if let Some(file) = &self.config {
            settings = settings.over_file(file)?;
        }
        let config = settings.into_config()?;
        let (listen, pg, flight) = (config.listen, config.pg_listen, config.flight_listen);
        let app = App::open(config, Arc::new(Utc::now)).await?;
        if let Some(key) = &app.bootstrap {
            show_once(key.expose_secret());
        }
        let listeners = Listeners {
            http: bind(listen, "HTTP").await?,
            pg: match pg {
                Some(listen) => Some(bind(listen, "PostgreSQL").await?),
                None => None,
            },
            flight: match flight {
                Some(listen) => Some(bind(listen, "Flight SQL").await?),
                None => None,
            },
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(drain_on_signal(shutdown.clone())?);
        app.serve(listeners, shutdown).await?;
        tracing::info!("drained");
        Ok(())
    }
}

async fn bind(listen: SocketAddr, protocol: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: is the address in use?"))?;
    tracing::info!(address = %listener.local_addr()?, "serving {protocol}");
    Ok(listener)
}

#[expect(
    clippy::print_stderr,
    reason = "a key is shown once, and belongs in no log"
)]
fn show_once(key: &str) {
    eprintln!("The API key of the first account, shown only this once: {key}");
}

/// Cancels `shutdown` at SIGTERM or Ctrl-C. The handlers are installed before this returns.
fn drain_on_signal(shutdown: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
        shutdown.cancel();
    })
}
