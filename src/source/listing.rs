//! Which files a path means: a file, a folder or a glob, and nothing outside the opened folders.

use std::path::{Path, PathBuf};

use super::SourceError;
use super::settings::{FileFormat, FilesSettings};
use crate::reach::{Reach, ReachError};

/// Most files of one source.
const MAX_FILES: usize = 100_000;

/// Checks a path without listing its files.
pub(super) fn check(path: &str, reach: &Reach) -> Result<(), SourceError> {
    let path = local(path)?;
    match glob_base(path) {
        None => reach.existing(path).map(drop)?,
        Some(base) => {
            glob::Pattern::new(path)
                .map_err(|error| unusable(format!("is no glob: {}", error.msg)))?;
            reach.existing(base).map(drop)?;
        }
    }
    Ok(())
}

/// The files of a source as real paths, and the one format they have.
///
/// A folder stands for all files below it whose extension is the format's; names that begin with
/// `.` or `_` are left out. A glob stands for what it matches; each match has to lie below an
/// opened folder after its links are resolved.
pub(super) fn list(
    settings: &FilesSettings,
    reach: &Reach,
) -> Result<(Vec<PathBuf>, FileFormat), SourceError> {
    let path = local(&settings.path)?;
    let mut found = Vec::new();
    match glob_base(path) {
        None => {
            let real = reach.existing(path)?;
            if real.is_dir() {
                walk(&real, settings.format, reach, &mut found)?;
            } else {
                found.push(real);
            }
        }
        Some(base) => {
            reach.existing(base)?;
            let pattern = absolute(path, reach);
            let options = glob::MatchOptions {
                case_sensitive: true,
                require_literal_separator: true,
                require_literal_leading_dot: true,
            };
            let matches = glob::glob_with(&pattern, options)
                .map_err(|error| unusable(format!("is no glob: {}", error.msg)))?;
            for path in matches {
                let path = path.map_err(|error| {
                    unusable(format!(
                        "a folder cannot be listed: {}",
                        error.error().kind()
                    ))
                })?;
                let real = existing(&path, reach)?;
                if real.is_file() {
                    add(real, &mut found)?;
                }
            }
        }
    }
    found.sort();
    found.dedup();
    let Some(first) = found.first() else {
        return Err(unusable("no file of the format is there".into()));
    };
    let format = match settings.format {
        Some(format) => format,
        None => {
            let format = by_extension(first)?;
            for path in &found {
                if by_extension(path)? != format {
                    return Err(unusable(
                        "files of several formats are there; name one as `format`, or a glob that \
                         matches files of one format"
                            .into(),
                    ));
                }
            }
            format
        }
    };
    Ok((found, format))
}

/// A file's name for messages.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn unusable(what: String) -> SourceError {
    SourceError::Config(vec![crate::policy::Fault::new("$.config.path", what)])
}

/// The path without `file://`; object stores need a client that this build does not carry.
fn local(path: &str) -> Result<&str, SourceError> {
    match path.split_once("://") {
        None => Ok(path),
        Some(("file", rest)) if rest.starts_with('/') => Ok(rest),
        Some((scheme, _)) => Err(unusable(format!(
            "`{scheme}://` cannot be read: this build carries no client for it; use a path on the server"
        ))),
    }
}

/// For a glob, the folder before its first pattern.
fn glob_base(path: &str) -> Option<&str> {
    let first = path.find(['*', '?', '['])?;
    let before = path.get(..first).unwrap_or_default();
    let base = before
        .rfind('/')
        .map_or("", |slash| before.get(..slash).unwrap_or_default());
    Some(match (base, path.starts_with('/')) {
        ("", true) => "/",
        ("", false) => ".",
        (base, _) => base,
    })
}

fn absolute(path: &str, reach: &Reach) -> String {
    match reach.roots().first() {
        Some(root) if !path.starts_with('/') => {
            format!("{}/{path}", glob::Pattern::escape(&root.to_string_lossy()))
        }
        _ => path.to_owned(),
    }
}

fn existing(path: &Path, reach: &Reach) -> Result<PathBuf, SourceError> {
    let text = path.to_str().ok_or_else(|| {
        SourceError::Reach(ReachError::PathOutside(path.to_string_lossy().into_owned()))
    })?;
    Ok(reach.existing(text)?)
}

fn add(path: PathBuf, found: &mut Vec<PathBuf>) -> Result<(), SourceError> {
    if found.len() >= MAX_FILES {
        return Err(unusable(format!("more than {MAX_FILES} files are there")));
    }
    found.push(path);
    Ok(())
}

fn by_extension(path: &Path) -> Result<FileFormat, SourceError> {
    path.extension()
        .and_then(|extension| FileFormat::from_extension(&extension.to_string_lossy()))
        .ok_or_else(|| SourceError::File {
            file: name_of(path),
            what: "its extension names no format; set `format` to parquet, csv, ndjson or arrow"
                .into(),
        })
}

/// Real folders only: a link to a folder could lead round in a circle, so it is not followed.
fn walk(
    folder: &Path,
    format: Option<FileFormat>,
    reach: &Reach,
    found: &mut Vec<PathBuf>,
) -> Result<(), SourceError> {
    let failed =
        |error: std::io::Error| unusable(format!("a folder cannot be listed: {}", error.kind()));
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&path, format, reach, found)?;
            continue;
        }
        let known = path
            .extension()
            .and_then(|extension| FileFormat::from_extension(&extension.to_string_lossy()));
        if known.is_some() && (format.is_none() || known == format) {
            let real = existing(&path, reach)?;
            if real.is_file() {
                add(real, found)?;
            }
        }
    }
    Ok(())
}
