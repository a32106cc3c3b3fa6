//! Files that appear whole or not at all.

use super::*;

async fn file_sink(root: &Path, path: &str, run_id: Uuid) -> Result<Box<dyn Sink>, SinkError> {
    opened_for(
        &sinks(root),
        &destination("file", json!({"path": path})),
        run_id,
        &people(),
    )
    .await
}

fn names(folder: &Path) -> Vec<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// Waits for what happens on a thread of its own.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_file_appears_whole_when_it_is_finished() {
    let (_folder, root) = temporary_folder();
    fs::write(root.join("out.ndjson"), "old").unwrap();
    let mut sink = file_sink(&root, "out.ndjson", RUN).await.unwrap();
    assert!(sink.is_atomic() && syncguard::sink::is_atomic("file"));
    for ids in [0..2, 2..3] {
        let written = sink.write(&numbered(ids)).await;
        assert!(written.stopped.is_none(), "{written:?}");
    }
    assert_eq!(fs::read_to_string(root.join("out.ndjson")).unwrap(), "old");
    sink.finish().await.unwrap();
    let lines = fs::read_to_string(root.join("out.ndjson")).unwrap();
    assert_eq!(
        lines,
        "{\"id\":0,\"name\":\"n0\"}\n{\"id\":1,\"name\":\"n1\"}\n{\"id\":2,\"name\":\"n2\"}\n"
    );
    assert_eq!(names(&root), ["out.ndjson"]);
    assert!(fatal(&sink.write(&numbered(0..1)).await).contains("closed"));
}

#[tokio::test]
async fn every_format_is_written() {
    let (_folder, root) = temporary_folder();
    for path in ["a.csv", "a.parquet", "a.jsonl"] {
        let mut sink = file_sink(&root, path, RUN).await.unwrap();
        sink.write(&numbered(0..3)).await;
        sink.write(&numbered(3..4)).await;
        sink.finish().await.unwrap();
    }
    assert_eq!(
        fs::read_to_string(root.join("a.csv")).unwrap(),
        "id,name\n0,n0\n1,n1\n2,n2\n3,n3\n"
    );
    let file = fs::File::open(root.join("a.parquet")).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
    assert_eq!(
        reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
        4
    );
    assert_eq!(
        fs::read_to_string(root.join("a.jsonl"))
            .unwrap()
            .lines()
            .count(),
        4
    );
}

#[tokio::test]
async fn a_run_without_records_leaves_an_empty_file() {
    let (_folder, root) = temporary_folder();
    file_sink(&root, "a.csv", RUN)
        .await
        .unwrap()
        .finish()
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(root.join("a.csv")).unwrap(), "id,name\n");
}

#[tokio::test]
async fn a_file_that_is_given_up_leaves_the_old_one_and_nothing_else() {
    let (_folder, root) = temporary_folder();
    fs::write(root.join("out.csv"), "old").unwrap();
    let mut sink = file_sink(&root, "out.csv", RUN).await.unwrap();
    sink.write(&numbered(0..2)).await;
    drop(sink);
    until("the unfinished file is removed", || {
        names(&root) == ["out.csv"]
    })
    .await;
    assert_eq!(fs::read_to_string(root.join("out.csv")).unwrap(), "old");
}

#[tokio::test]
async fn what_a_crash_left_is_replaced_when_the_run_resumes() {
    let (_folder, root) = temporary_folder();
    let mut sink = file_sink(&root, "out.csv", RUN).await.unwrap();
    sink.write(&numbered(0..2)).await;
    let left = names(&root);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with(".out.csv."), "{left:?}");
    drop(sink);
    until("the unfinished file is removed", || names(&root).is_empty()).await;
    // As a crash leaves it.
    fs::write(root.join(&left[0]), "id,na").unwrap();
    let mut sink = file_sink(&root, "out.csv", RUN).await.unwrap();
    sink.write(&numbered(5..6)).await;
    sink.finish().await.unwrap();
    assert_eq!(names(&root), ["out.csv"]);
    assert_eq!(
        fs::read_to_string(root.join("out.csv")).unwrap(),
        "id,name\n5,n5\n"
    );
}

#[tokio::test]
async fn a_folder_that_vanishes_is_a_clear_error() {
    let (_folder, root) = temporary_folder();
    fs::create_dir(root.join("sub")).unwrap();
    let mut sink = file_sink(&root, "sub/out.csv", RUN).await.unwrap();
    sink.write(&numbered(0..2)).await;
    fs::remove_dir_all(root.join("sub")).unwrap();
    let error = sink.finish().await.unwrap_err().to_string();
    assert!(
        error.contains("sub/out.csv") && error.contains("is gone"),
        "{error}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_out_of_the_roots_is_refused_links_included() {
    use std::os::unix::fs::symlink;
    let (_folder, base) = temporary_folder();
    let (root, beside) = (base.join("root"), base.join("beside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("old.csv"), "old").unwrap();
    symlink(&beside, root.join("out")).unwrap();
    symlink(beside.join("old.csv"), root.join("link.csv")).unwrap();
    symlink(beside.join("new.csv"), root.join("dangling.csv")).unwrap();
    for path in [
        "../beside/a.csv",
        "out/a.csv",
        "link.csv",
        "dangling.csv",
        "/tmp/a.csv",
    ] {
        let refused = file_sink(&root, path, RUN).await.err();
        assert!(
            matches!(refused, Some(SinkError::Forbidden(_))),
            "{path}: {refused:?}"
        );
    }
    assert_eq!(names(&beside), ["old.csv"]);
    assert_eq!(fs::read_to_string(beside.join("old.csv")).unwrap(), "old");
}

#[tokio::test]
async fn a_column_that_csv_cannot_hold_is_refused_at_the_start() {
    let (_folder, root) = temporary_folder();
    let nested = schema(&[("id", "Int64"), ("tags", "List(Utf8)")]);
    let there = destination("file", json!({"path": "a.csv"}));
    let refused = opened_for(&sinks(&root), &there, RUN, &nested).await.err();
    assert!(
        matches!(&refused, Some(SinkError::Config(what)) if what.contains("tags")),
        "{refused:?}"
    );
    assert!(names(&root).is_empty());
}
