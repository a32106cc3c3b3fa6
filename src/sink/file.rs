//! A file that appears whole or not at all: written beside its target under a hidden name, and
//! renamed onto it at the end. Encoding and writing happen on a thread of their own.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::pace::Pace;
use super::{ConfigReader, Opening, Sink, SinkError, Written, misconfigured};
use crate::guard::Guarded;
use crate::policy::Fault;
use crate::reach::Reach;
use crate::wire::{BatchWriter, Format, WireError};

const KEYS: [&str; 2] = ["path", "format"];
const BATCH_ROWS: usize = 64 * 1024;
/// Batches that may wait while one is encoded.
const WAITING: usize = 2;
/// Bytes gathered before they go to the operating system.
const BUFFER: usize = 1 << 20;

struct Settings<'a> {
    path: &'a str,
    format: Format,
}

fn read_config(config: &Map<String, Value>) -> Result<Settings<'_>, Vec<Fault>> {
    const FORMATS: &str = "ndjson, csv or parquet";
    let fileable =
        |format: &Format| matches!(format, Format::Ndjson | Format::Csv | Format::Parquet);
    let mut reader = ConfigReader::new(config, &KEYS);
    let path = reader.text("path");
    let format = match (reader.optional_text("format"), path) {
        (Some(name), _) => {
            let format = Format::from_name(name).filter(fileable);
            if format.is_none() {
                reader.fault("format", format!("unknown format; expected {FORMATS}"));
            }
            format
        }
        (None, Some(path)) => {
            let format = Format::from_extension(Path::new(path)).filter(fileable);
            if format.is_none() {
                reader.fault(
                    "path",
                    format!("the extension names no format: set `format` to {FORMATS}"),
                );
            }
            format
        }
        (None, None) => None,
    };
    let settings = path
        .zip(format)
        .map(|(path, format)| Settings { path, format });
    reader.done(settings)
}

pub(super) fn check_config(config: &Map<String, Value>, reach: &Reach) -> Vec<Fault> {
    match read_config(config) {
        Err(faults) => faults,
        Ok(settings) => match reach.writable(settings.path) {
            Ok(_) => Vec::new(),
            Err(error) => vec![Fault::new("$.config.path", error.to_string())],
        },
    }
}

enum Order {
    Write(RecordBatch),
    Finish(oneshot::Sender<Result<(), SinkError>>),
}

pub(super) struct FileSink {
    /// `None` once the file is finished.
    orders: Option<mpsc::Sender<Order>>,
    /// What ended the writing thread.
    ended: Arc<std::sync::Mutex<Option<String>>>,
    pace: Arc<Pace>,
}

pub(super) async fn open(
    config: &Map<String, Value>,
    reach: &Reach,
    opening: &Opening<'_>,
    pace: Arc<Pace>,
) -> Result<FileSink, SinkError> {
    let settings = read_config(config).map_err(|faults| misconfigured(&faults))?;
    crate::wire::check_schema(settings.format, &opening.schema)
        .map_err(|error| SinkError::Config(error.to_string()))?;
    let target = Target {
        path: reach.writable(settings.path)?,
        shown: settings.path.to_owned(),
        run_id: opening.run_id,
    };
    let (orders, mut queue) = mpsc::channel(WAITING);
    let ended = Arc::new(std::sync::Mutex::new(None));
    let (opened, is_open) = oneshot::channel();
    let (format, schema, last_words) = (settings.format, opening.schema.clone(), ended.clone());
    tokio::task::spawn_blocking(move || {
        let shown = target.shown.clone();
        let output = match Output::create(target, format, schema) {
            Ok(output) => output,
            Err(error) => {
                // Nobody waits any more: nothing is left to tell.
                drop(opened.send(Err(described(&shown, &error))));
                return;
            }
        };
        drop(opened.send(Ok(())));
        // The queue is closed last, so that whoever finds it closed finds the reason, too.
        if let Err(error) = output.obey(&mut queue) {
            let mut words = last_words
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *words = Some(described_text(&shown, &error));
        }
    });
    let gone = |_| SinkError::fatal("the file cannot be written: the process is shutting down");
    is_open.await.map_err(gone)??;
    Ok(FileSink {
        orders: Some(orders),
        ended,
        pace,
    })
}

impl FileSink {
    /// Why the writing thread takes no more orders.
    fn end(&self) -> SinkError {
        let ended = self
            .ended
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        SinkError::fatal(match ended.as_ref() {
            Some(words) => words.clone(),
            None => "the file is closed already; nothing more can be written".to_owned(),
        })
    }
}

#[async_trait]
impl Sink for FileSink {
    fn batch_rows(&self) -> usize {
        BATCH_ROWS
    }

    fn is_atomic(&self) -> bool {
        true
    }

    async fn write(&mut self, rows: &Guarded) -> Written {
        if rows.num_rows() == 0 {
            return Written::default();
        }
        let Some(orders) = &self.orders else {
            return Written::stopped(self.end());
        };
        self.pace.admit(rows.num_rows()).await;
        match orders.send(Order::Write(rows.batch().clone())).await {
            Ok(()) => Written {
                settled: rows.num_rows(),
                ..Written::default()
            },
            Err(_) => Written::stopped(self.end()),
        }
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        let (done, is_done) = oneshot::channel();
        let orders = self.orders.take().ok_or_else(|| self.end())?;
        orders
            .send(Order::Finish(done))
            .await
            .map_err(|_| self.end())?;
        is_done.await.map_err(|_| self.end())?
    }
}

struct Target {
    /// The real path.
    path: PathBuf,
    /// The path as the configuration has it.
    shown: String,
    run_id: Uuid,
}

impl Target {
    /// The same for the same run: whoever resumes it takes the place of what a crash left.
    fn hidden(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path
            .with_file_name(format!(".{name}.{}.part", self.run_id))
    }
}

/// The file that is being written. Dropped before it is published, it is removed.
struct Output {
    target: Target,
    hidden: Hidden,
    writer: BatchWriter<BufWriter<File>>,
}

struct Hidden {
    path: PathBuf,
    file: File,
    is_published: bool,
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if !self.is_published && self.is_ours() {
            // What cannot be removed now is replaced when the run resumes.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Hidden {
    /// Whether the name still belongs to our file. It does not if another worker took the run
    /// over, having taken this one for dead.
    #[cfg(unix)]
    fn is_ours(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        match (self.file.metadata(), self.path.symlink_metadata()) {
            (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
            _ => false,
        }
    }

    #[cfg(not(unix))]
    fn is_ours(&self) -> bool {
        true
    }
}

impl Output {
    fn create(target: Target, format: Format, schema: SchemaRef) -> Result<Output, WireError> {
        let path = target.hidden();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(WireError::Io(error)),
            _ => {}
        }
        // Created anew, so that no link of that name is followed.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(WireError::Io)?;
        let hidden = Hidden {
            path,
            file: file.try_clone().map_err(WireError::Io)?,
            is_published: false,
        };
        if let Ok(old) = target.path.metadata() {
            file.set_permissions(old.permissions())
                .map_err(WireError::Io)?;
        }
        let writer = BatchWriter::new(format, schema, BufWriter::with_capacity(BUFFER, file))?;
        Ok(Output {
            target,
            hidden,
            writer,
        })
    }

    /// Works until the file is published or given up.
    fn obey(mut self, queue: &mut mpsc::Receiver<Order>) -> Result<(), WireError> {
        loop {
            match queue.blocking_recv() {
                Some(Order::Write(batch)) => self.writer.write(&batch)?,
                Some(Order::Finish(done)) => {
                    // If nobody waits any more, the file is as it is.
                    drop(done.send(self.publish()));
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    fn publish(self) -> Result<(), SinkError> {
        let Output {
            target,
            mut hidden,
            writer,
        } = self;
        let failed = |error| described(&target.shown, &WireError::Io(error));
        writer
            .finish()
            .map_err(|error| described(&target.shown, &error))?;
        // A failed sync is final: the pages may be lost, and syncing again would not tell.
        hidden.file.sync_all().map_err(failed)?;
        if !hidden.is_ours() {
            return Err(failed(ErrorKind::NotFound.into()));
        }
        std::fs::rename(&hidden.path, &target.path).map_err(failed)?;
        hidden.is_published = true;
        let folder = target.path.parent().unwrap_or(Path::new("/"));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| {
                SinkError::fatal(format!(
                    "file `{}` is written, but may be lost if the machine fails: {}",
                    target.shown,
                    error.kind()
                ))
            })
    }
}

fn described(shown: &str, error: &WireError) -> SinkError {
    SinkError::fatal(described_text(shown, error))
}

fn described_text(shown: &str, error: &WireError) -> String {
    let why = match error {
        WireError::Io(error) => match error.kind() {
            ErrorKind::StorageFull => "the disk is full".to_owned(),
            ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
            ErrorKind::PermissionDenied => "permission is denied in its folder".to_owned(),
            ErrorKind::ReadOnlyFilesystem => "its file system is read-only".to_owned(),
            ErrorKind::NotFound => "its folder, or the unfinished file in it, is gone".to_owned(),
            kind => kind.to_string(),
        },
        other => other.to_string(),
    };
    format!("file `{shown}` cannot be written: {why}; what was there before is unchanged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_a_clear_error() {
        let full = WireError::Io(ErrorKind::StorageFull.into());
        assert_eq!(
            described_text("out.csv", &full),
            "file `out.csv` cannot be written: the disk is full; what was there before is unchanged"
        );
    }

    #[test]
    fn a_worker_that_was_taken_for_dead_publishes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let schema: SchemaRef = Arc::new(arrow::datatypes::Schema::empty());
        let open = || {
            let target = Target {
                path: folder.path().join("out.ndjson"),
                shown: "out.ndjson".into(),
                run_id: Uuid::from_u128(7),
            };
            Output::create(target, Format::Ndjson, schema.clone()).expect("output")
        };
        let zombie = open();
        let successor = open();
        assert!(zombie.publish().is_err());
        assert!(!folder.path().join("out.ndjson").exists());
        successor.publish().expect("publish");
        let names: Vec<_> = std::fs::read_dir(folder.path()).expect("folder").collect();
        assert_eq!(names.len(), 1);
    }
}
