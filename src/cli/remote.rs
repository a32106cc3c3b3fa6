//! The server that a command talks to, and a workspace on it.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::policy::Fault;

/// The environment variable with the API key. There is no flag for it: the arguments of a
/// process can be read by everyone on the machine.
const API_KEY: &str = "SYNCGUARD_API_KEY";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const UNKNOWN_FORM: &str =
    "the server answers in an unknown form: is it of another version?";

/// Which workspace of which server.
#[derive(clap::Args)]
pub(super) struct Remote {
    /// URL of the server
    #[arg(
        long,
        env = "SYNCGUARD_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,

    /// Name or id of the workspace
    #[arg(
        long,
        env = "SYNCGUARD_WORKSPACE",
        value_name = "NAME",
        default_value = "default"
    )]
    workspace: String,
}

/// A workspace that can be asked.
pub(super) struct Workspace {
    http: Client,
    url: Url,
    key: SecretString,
}

/// A request that the server refused.
#[derive(Debug, thiserror::Error)]
#[error("the server answers {status}: {message}{}", lines(.faults))]
pub(super) struct Refused {
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// What the server says.
    pub(super) message: String,
    /// Every fault of what was sent.
    pub(super) faults: Vec<Fault>,
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

impl Remote {
    /// Finds the workspace, with the key of the environment.
    pub(super) async fn connect(&self) -> anyhow::Result<Workspace> {
        let key = std::env::var(API_KEY)
            .ok()
            .filter(|key| !key.is_empty())
            .with_context(|| format!("set {API_KEY} to an API key of the server"))?;
        let expected = "--server: expected a URL such as http://127.0.0.1:8080";
        let server = Url::parse(&self.server).context(expected)?;
        ensure!(
            ["http", "https"].contains(&server.scheme()) && server.has_host(),
            expected
        );
        let mut workspace = Workspace {
            http: client(&server)?,
            url: below(&server, "api/v1/"),
            key: key.into(),
        };
        let id = workspace.id_of(&self.workspace).await?;
        workspace.url = below(&workspace.url, &format!("workspaces/{id}/"));
        Ok(workspace)
    }
}

/// A client that follows no redirect: the key goes to the server that was named, or nowhere.
fn client(server: &Url) -> anyhow::Result<Client> {
    let local = server
        .host_str()
        .is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
    let builder = || {
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("syncguard/", env!("CARGO_PKG_VERSION")));
        match local {
            true => builder.no_proxy(),
            false => builder,
        }
    };
    builder()
        .build()
        // A machine without root certificates still talks plain HTTP.
        .or_else(|_| builder().tls_certs_only([]).build())
        .context("the HTTP client cannot be started: TLS is not available")
}

/// A URL with a path below that of another.
fn below(url: &Url, path: &str) -> Url {
    let mut below = url.clone();
    below.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
    below.set_query(None);
    below.set_fragment(None);
    below
}

impl Workspace {
    async fn id_of(&self, workspace: &str) -> anyhow::Result<Uuid> {
        #[derive(Deserialize)]
        struct Me {
            workspaces: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            id: Uuid,
            name: String,
        }
        if let Ok(id) = Uuid::try_parse(workspace) {
            return Ok(id);
        }
        let me: Me = self.get("me").await?;
        let mut found = me.workspaces.iter().filter(|w| w.name == workspace);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.id),
            (None, _) => bail!("the account of this key has no workspace named {workspace:?}"),
            (Some(_), Some(_)) => {
                bail!("several workspaces are named {workspace:?}: give the id of one")
            }
        }
    }

    /// Reads an object of the workspace.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        // From the text, in which numbers have all their digits.
        let answer = self.ask(Method::GET, path, None).await?;
        serde_json::from_str(&answer).context(UNKNOWN_FORM)
    }

    /// Sends a document.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.ask(Method::POST, path, Some(body)).await?;
        serde_json::from_str(&answer).context(UNKNOWN_FORM)
    }

    /// Errors: [`Refused`] with what the server says, or why it could not be asked.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<String> {
        let url = below(&self.url, path);
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(self.key.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.context("the server cannot be asked")?;
        let status = answer.status();
        let text = answer.text().await.context("the answer broke off")?;
        match status.is_success() {
            true => Ok(text),
            false => Err(refused(status, &text).into()),
        }
    }
}

fn refused(status: StatusCode, answer: &str) -> Refused {
    #[derive(Deserialize)]
    struct Answer {
        error: Envelope,
    }
    #[derive(Deserialize)]
    struct Envelope {
        message: String,
        #[serde(default)]
        details: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        path: String,
        message: String,
    }
    match serde_json::from_str::<Answer>(answer) {
        Ok(Answer { error }) => Refused {
            status,
            message: error.message,
            faults: error
                .details
                .into_iter()
                .map(|detail| Fault::new(detail.path, detail.message))
                .collect(),
        },
        Err(_) => Refused {
            status,
            message: "this is no answer of syncguard: check --server".to_owned(),
            faults: Vec::new(),
        },
    }
}
