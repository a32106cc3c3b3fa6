//! Where records come from and go to: pipes, files, compressed or not.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use super::{Place, RECORDS, ndjson};

#[test]
fn compression_comes_with_the_name_or_the_flag() {
    let place = Place::new();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let gunzip = |bytes: &[u8]| {
        let mut text = Vec::new();
        let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
        decoder.read_to_end(&mut text).unwrap();
        text
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let unzstd = |bytes: &[u8]| zstd::decode_all(bytes).unwrap();
    let input = ndjson(&RECORDS);
    let passing = ndjson(&[RECORDS[0], RECORDS[5]]);

    let done = place.customers("--encoding gzip", &gzip(&input)).exits(0);
    assert_eq!(gunzip(&done.out), passing);
    let done = place.customers("--encoding zstd", &zstd(&input)).exits(0);
    assert_eq!(unzstd(&done.out), passing);
    // Each name speaks for itself.
    place.write("in.jsonl.gz", &gzip(&input));
    place
        .customers("--input in.jsonl.gz --output out.zst", b"")
        .exits(0);
    assert_eq!(unzstd(&place.read("out.zst")), passing);
    // What is cut off is no whole stream.
    let cut = gzip(&input);
    place
        .customers("--encoding gzip", &cut[..cut.len() - 9])
        .refuses(&["standard input: "]);
    place
        .customers("--encoding zstd", &input)
        .refuses(&["standard input: "]);
}

#[test]
fn a_record_does_not_wait_for_the_next() {
    let place = Place::new();
    let mut child = place
        .command("--model customers --destination webhook")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut out = vec![0; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut out) {
            tell.send(out[..count].to_vec()).unwrap();
        }
    });
    for record in [RECORDS[0], RECORDS[5]] {
        stdin.write_all(&ndjson(&[record])).unwrap();
        let came = told
            .recv_timeout(Duration::from_secs(60))
            .expect("the record comes although the input goes on");
        assert_eq!(came, ndjson(&[record]));
    }
    drop(stdin);
    reader.join().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_output_that_nobody_reads_ends_quietly_and_is_no_success() {
    let place = Place::new();
    place.write("in.ndjson", &ndjson(&[RECORDS[0]; 10_000]));
    let mut child = place
        .command("--model customers --destination webhook --input in.ndjson")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
}

#[test]
fn an_output_file_keeps_its_name_until_all_is_done() {
    let place = Place::new();
    let input = ndjson(&RECORDS);
    place.write("data.ndjson", &input);
    // A device is written to, not replaced.
    place.customers("--output /dev/null", &input).exits(0);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    // In place, through a link that stays one.
    std::os::unix::fs::symlink("data.ndjson", place.folder.join("link.ndjson")).unwrap();
    place
        .customers("--input link.ndjson --output link.ndjson", b"")
        .exits(0);
    let link = std::fs::symlink_metadata(place.folder.join("link.ndjson")).unwrap();
    assert!(link.is_symlink());
    assert_eq!(place.read("data.ndjson"), ndjson(&[RECORDS[0], RECORDS[5]]));
}
