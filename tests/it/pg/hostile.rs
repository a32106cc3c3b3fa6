//! Bytes that no client sends, before anybody has shown who they are.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// A message of those that come first.
fn first(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + body.len()).unwrap();
    [&length.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

/// A message with a type.
fn typed(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + body.len()).unwrap();
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

fn startup(user: &str) -> Vec<u8> {
    first(
        3 << 16,
        format!("user\0{user}\0database\0default\0\0").as_bytes(),
    )
}

/// All that is answered until the server hangs up.
async fn answered(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(server.pg).await.unwrap();
    // The server may have hung up before it has taken everything.
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    let read = read.expect("the server does not hang up");
    match read {
        Ok(_) => answer,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("{error}"),
    }
}

/// The code of the error in an answer.
fn code_in(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (_, code) = text.split_once("VFATAL\0C")?;
    Some(code[..5].to_owned())
}

#[tokio::test]
async fn hostile_beginnings_are_refused_and_the_server_lives() {
    let (server, key) = started().await;
    let request = first(SSL, b"");
    let with_tail = [&request[..], &startup(OWNER)].concat();
    let cases: &[(&str, Vec<u8>, Option<&str>)] = &[
        (
            "a short length",
            vec![0, 0, 0, 7, 0, 3, 0, 0],
            Some("08P01"),
        ),
        ("a huge length", vec![0x7f, 0xff, 0xff, 0xff], Some("08P01")),
        ("a negative length", vec![0xff; 8], Some("08P01")),
        ("17 KiB", first(3 << 16, &[b'a'; 17 << 10]), Some("08P01")),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Some("08P01")),
        (
            "TLS where there is none",
            vec![0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3],
            None,
        ),
        (
            "SSLRequest twice",
            [first(SSL, b""), first(SSL, b"")].concat(),
            None,
        ),
        ("a longer SSLRequest", first(SSL, b"x"), Some("08P01")),
        (
            "GSSENCRequest twice",
            [first(GSS, b""), first(GSS, b"")].concat(),
            Some("08P01"),
        ),
        ("plain text behind SSLRequest", with_tail, None),
        ("protocol 2", first(2 << 16, b"user\0x\0\0"), Some("0A000")),
        ("protocol 4", first(4 << 16, b"user\0x\0\0"), Some("0A000")),
        ("no user", first(3 << 16, b"database\0x\0\0"), Some("28000")),
        (
            "a value without end",
            first(3 << 16, b"user\0x"),
            Some("08P01"),
        ),
        (
            "a name without value",
            first(3 << 16, b"user\0"),
            Some("08P01"),
        ),
        (
            "more behind the end",
            first(3 << 16, b"user\0x\0\0y"),
            Some("08P01"),
        ),
        ("no UTF-8", first(3 << 16, b"user\0\xff\0\0"), Some("08P01")),
        (
            "replication",
            first(3 << 16, b"user\0x\0replication\0database\0\0"),
            Some("0A000"),
        ),
        (
            "a cancel for nobody",
            first(CANCEL, &[0, 0, 0, 1, 0, 0, 0, 1]),
            None,
        ),
        (
            "a cancel without secret",
            first(CANCEL, &[0, 0, 0, 1]),
            None,
        ),
        (
            "a cancel without anything",
            first(CANCEL, b""),
            Some("08P01"),
        ),
        (
            "a query in place of the password",
            [startup(OWNER), typed(b'Q', b"SELECT 1\0")].concat(),
            Some("08P01"),
        ),
        (
            "1 GiB in place of the password",
            [startup(OWNER), vec![b'p', 0x40, 0, 0, 0]].concat(),
            Some("08P01"),
        ),
        (
            "a password in the clear",
            [startup(OWNER), typed(b'p', b"secret\0")].concat(),
            Some("08P01"),
        ),
        (
            "another mechanism",
            [startup(OWNER), typed(b'p', b"PLAIN\0\0\0\0\0")].concat(),
            Some("08P01"),
        ),
        (
            "SCRAM with channel binding",
            [
                startup(OWNER),
                typed(b'p', b"SCRAM-SHA-256\0\0\0\0\x0ap=tls,,n=,"),
            ]
            .concat(),
            Some("08P01"),
        ),
    ];
    for (what, bytes, expected) in cases {
        let answer = answered(&server, bytes).await;
        assert_eq!(code_in(&answer).as_deref(), *expected, "{what}");
    }
    assert!(connect(&server, OWNER, &key).await.is_ok());
}

/// What a login with a wrong password looks like on the wire: each message's type and length, and
/// the text of the last.
async fn transcript(server: &Server, user: &str) -> (Vec<(u8, usize)>, String, String) {
    let mut socket = TcpStream::connect(server.pg).await.unwrap();
    let mut seen = Vec::new();
    let mut read = async |socket: &mut TcpStream| {
        let tag = socket.read_u8().await.unwrap();
        let length = socket.read_u32().await.unwrap() as usize;
        let mut body = vec![0; length - 4];
        socket.read_exact(&mut body).await.unwrap();
        seen.push((tag, length));
        String::from_utf8_lossy(&body).into_owned()
    };
    socket.write_all(&startup(user)).await.unwrap();
    assert!(read(&mut socket).await.contains("SCRAM-SHA-256"));
    let initial = b"SCRAM-SHA-256\0\0\0\0\x18n,,n=,r=clientnonce12345";
    let message = typed(b'p', initial);
    socket.write_all(&message).await.unwrap();
    let challenge = read(&mut socket).await;
    let (_, challenge) = challenge.split_once("r=").unwrap();
    let (nonce, rest) = challenge.split_once(",s=").unwrap();
    let (salt, iterations) = rest.split_once(",i=").unwrap();
    assert_eq!(iterations, "4096");
    let proof = "A".repeat(43);
    let last = format!("c=biws,r={nonce},p={proof}=");
    let message = typed(b'p', last.as_bytes());
    socket.write_all(&message).await.unwrap();
    let error = read(&mut socket).await.replace(user, "USER");
    (seen, salt.to_owned(), error)
}

#[tokio::test]
async fn unknown_users_and_wrong_passwords_look_alike() {
    let (server, _) = started().await;
    let known = transcript(&server, OWNER).await;
    let unknown = transcript(&server, "other@localhost").await;
    assert_eq!((&known.0, &known.2), (&unknown.0, &unknown.2));
    assert_ne!(known.1, unknown.1);
    for (user, first) in [(OWNER, known), ("other@localhost", unknown)] {
        let again = transcript(&server, user).await;
        assert_eq!(again.1, first.1, "the salt of {user} is steady");
    }
}
