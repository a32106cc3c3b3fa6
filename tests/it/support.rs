//! What the tests stand on: a PostgreSQL database of their own, the shared data, temporary folders.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// Makes an empty database with a random name and returns its URL. It is gone with the server.
pub(crate) async fn fresh_postgres() -> String {
    let server = std::env::var("SYNCGUARD_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("this test needs a PostgreSQL: run it with scripts/test, or set SYNCGUARD_TEST_POSTGRES to the URL of a superuser's database")
    });
    let name = format!("t_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&server)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to SYNCGUARD_TEST_POSTGRES: {error}"));
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("cannot create the database {name}: {error}"));
    connection.close().await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    url.into()
}

/// A file of the data that stands beside the checkout.
pub(crate) fn shared_data(name: &str) -> PathBuf {
    let path = repository_file("../shared/data").join(name);
    path.canonicalize().unwrap_or_else(|error| {
        panic!(
            "this test needs {}, in the folder shared/ beside the checkout: {error}",
            path.display()
        )
    })
}

/// A file of the repository. Asked when the test runs: checkouts that share a target directory
/// share its binaries, too.
pub(crate) fn repository_file(name: &str) -> PathBuf {
    let checkout =
        std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo tells where the checkout is");
    Path::new(&checkout).join(name)
}

/// A folder that is gone when the value is dropped; its path has no links in it.
pub(crate) fn temporary_folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}
