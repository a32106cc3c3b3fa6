//! The PostgreSQL door, asked over loopback by `tokio-postgres` and byte by byte.

mod hostile;
mod login;
mod prepared;
mod queries;
mod session;

use serde_json::json;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

use crate::api::{MEMBER, Server};

/// The account that a store starts with.
pub(crate) const OWNER: &str = "owner@localhost";

/// A server with the model `customers`, and a key of its owner.
async fn started() -> (Server, String) {
    let server = Server::start().await;
    let ws = server.workspace().await;
    server.catalog(&ws).await;
    let owner = server.owner_id().await;
    let key = server.key(&owner, json!(["*"])).await;
    (server, key)
}

/// A server, and its owner connected to it.
async fn connected() -> (Server, Client) {
    let (server, key) = started().await;
    let client = connect(&server, OWNER, &key).await.unwrap();
    (server, client)
}

fn config(server: &Server, user: &str, password: &str) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(server.pg.port())
        .user(user)
        .password(password)
        .dbname("default");
    config
}

pub(crate) async fn connect(server: &Server, user: &str, password: &str) -> Result<Client, Error> {
    open(&config(server, user, password)).await
}

async fn open(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A member who sees the customers of the United States only, by an access policy of a group.
/// Answers the member's address and key, the policy's path, and the model.
async fn restricted(server: &Server) -> (&'static str, String, String, String) {
    let ws = server.workspace().await;
    let models = server.get(&format!("{ws}/models")).await.expect(200);
    let model = models[0]["id"].as_str().unwrap().to_owned();
    let (account, key) = server.joined(&ws, "ada@example.com", MEMBER).await;
    let group = server.group(&ws, "sales", None).await;
    server.enroll(&ws, &group, &account).await;
    let category = server.category(&ws, "countries", "deny").await;
    let tree = crate::api::fixtures::equals("country", "US");
    let subset = server
        .subset(&ws, &category, Some(&model), "American", tree)
        .await;
    server.assign(&ws, &subset, &group).await;
    let path = format!("{ws}/subsets/{subset}");
    ("ada@example.com", key, path, model)
}

/// The cells of a simple query's rows, as text, and the tags of its statements.
async fn simple(client: &Client, text: &str) -> Result<(Vec<Vec<Option<String>>>, u64), Error> {
    let mut rows = Vec::new();
    let mut done = 0;
    for message in client.simple_query(text).await? {
        match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|n| row.get(n).map(str::to_owned));
                rows.push(cells.collect());
            }
            SimpleQueryMessage::CommandComplete(_) => done += 1,
            _ => {}
        }
    }
    Ok((rows, done))
}

/// The first column of a simple query's rows.
pub(crate) async fn column(client: &Client, text: &str) -> Vec<String> {
    let (rows, _) = simple(client, text).await.unwrap();
    rows.into_iter()
        .map(|mut row| row.swap_remove(0).unwrap_or_default())
        .collect()
}

/// The code of the fault that a simple query ends with; empty if it ends without.
async fn code(client: &Client, text: &str) -> String {
    match client.simple_query(text).await {
        Ok(_) => String::new(),
        Err(error) => code_of(&error),
    }
}

#[track_caller]
fn code_of(error: &Error) -> String {
    let code = error.code().unwrap_or_else(|| panic!("no code: {error}"));
    code.code().to_owned()
}
