//! A source's configuration, read strictly.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::listing;
use super::postgres::Server;
use crate::catalog::SourceType;
use crate::policy::Fault;
use crate::reach::Reach;

/// A configuration that can be used.
#[derive(Debug)]
pub(super) enum Settings {
    /// Files.
    Files(FilesSettings),
    /// The path of a database file.
    Sqlite(String),
    /// A server.
    Postgres(Box<Server>),
}

/// Which files to read.
#[derive(Debug)]
pub(super) struct FilesSettings {
    /// A file, a folder or a glob.
    pub(super) path: String,
    /// How they are written; `None`: as their extension says.
    pub(super) format: Option<FileFormat>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFormat {
    Parquet,
    Csv,
    Ndjson,
    Arrow,
}

impl FileFormat {
    const ALL: [FileFormat; 4] = [
        FileFormat::Parquet,
        FileFormat::Csv,
        FileFormat::Ndjson,
        FileFormat::Arrow,
    ];

    fn name(self) -> &'static str {
        match self {
            FileFormat::Parquet => "parquet",
            FileFormat::Csv => "csv",
            FileFormat::Ndjson => "ndjson",
            FileFormat::Arrow => "arrow",
        }
    }

    /// The format that a file's extension stands for. `json` stands for none: it may as well be
    /// one array.
    pub(super) fn from_extension(extension: &str) -> Option<FileFormat> {
        match extension.to_ascii_lowercase().as_str() {
            "parquet" | "pq" => Some(FileFormat::Parquet),
            "csv" => Some(FileFormat::Csv),
            "ndjson" | "jsonl" => Some(FileFormat::Ndjson),
            "arrow" | "ipc" | "feather" => Some(FileFormat::Arrow),
            _ => None,
        }
    }
}

impl Settings {
    /// Reads a configuration, or says everything that is wrong with it.
    pub(super) fn parse(
        source_type: SourceType,
        config: &Map<String, Value>,
        reach: &Reach,
    ) -> Result<Settings, Vec<Fault>> {
        let mut keys = Keys {
            config,
            faults: Vec::new(),
        };
        let settings = match source_type {
            SourceType::Files => {
                keys.only(&["path", "format"]);
                let path = keys.required("path");
                let format = keys.optional("format").and_then(|name| {
                    let format = FileFormat::ALL
                        .into_iter()
                        .find(|format| format.name() == name);
                    if format.is_none() {
                        keys.fault("format", "is not one of parquet, csv, ndjson, arrow");
                    }
                    format
                });
                if let Some(path) = &path
                    && let Err(error) = listing::check(path, reach)
                {
                    keys.fault("path", &error.to_string());
                }
                path.map(|path| Settings::Files(FilesSettings { path, format }))
            }
            SourceType::Sqlite => {
                keys.only(&["path"]);
                let path = keys.required("path");
                if let Some(path) = &path {
                    match reach.existing(path) {
                        Ok(found) if found.is_file() => {}
                        Ok(_) => keys.fault("path", "is not a file"),
                        Err(error) => keys.fault("path", &error.to_string()),
                    }
                }
                path.map(Settings::Sqlite)
            }
            SourceType::Postgres => {
                keys.only(&["url"]);
                let server = keys.required("url").and_then(|url| {
                    Server::parse(&url)
                        .map_err(|what| keys.fault("url", &what))
                        .ok()
                });
                if let Some(server) = &server
                    && let Ok(address) = server.host().parse::<IpAddr>()
                    && let Err(error) = reach.check_address(address)
                {
                    keys.fault("url", &error.to_string());
                }
                server.map(|server| Settings::Postgres(Box::new(server)))
            }
        };
        match settings {
            Some(settings) if keys.faults.is_empty() => Ok(settings),
            _ => Err(keys.faults),
        }
    }
}

struct Keys<'a> {
    config: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl Keys<'_> {
    fn fault(&mut self, key: &str, what: &str) {
        self.faults
            .push(Fault::new(format!("$.config.{key}"), what));
    }

    fn only(&mut self, known: &[&str]) {
        let unknown: Vec<_> = self
            .config
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            self.fault(
                &key,
                &format!("is not known; known are {}", known.join(", ")),
            );
        }
    }

    fn required(&mut self, key: &str) -> Option<String> {
        if self.config.get(key).is_none_or(Value::is_null) {
            self.fault(key, "is missing");
            return None;
        }
        self.optional(key)
    }

    fn optional(&mut self, key: &str) -> Option<String> {
        match self.config.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
            Some(_) => {
                self.fault(key, "must be text, and not empty");
                None
            }
        }
    }
}
