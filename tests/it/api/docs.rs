//! `/docs`: a page that needs no key and no network, and can run nothing but its own script.

use std::collections::BTreeSet;

use regex::Regex;
use reqwest::Method;
use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use url::Url;

use super::{Server, text};

/// Every file of the page, with its content type.
const FILES: [(&str, &str); 3] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/docs.js", "text/javascript; charset=utf-8"),
    ("/docs/docs.css", "text/css; charset=utf-8"),
];
const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What none of the files may hold: ways out of this server, and ways for data to become code.
const FORBIDDEN: &[&str] = &[
    r"(?i)https?:",
    r#"["'(=]//"#,
    r"(?i)javascript:",
    r"(?i)\bdata:",
    r"\bimport\b",
    r"\burl\(",
    r"XMLHttpRequest|WebSocket|EventSource|sendBeacon",
    r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|srcdoc|DOMParser|createContextualFragment",
    r"document\.write",
    r"\beval\b",
    r"\bFunction\b",
    r"(?i)\bstyle\s*=|\.style\b|<style\b",
    r"(?i)<script[^>]*>\s*[^<\s]",
    r"(?i)\bon(abort|blur|change|click|error|focus|hashchange|input|load|message|scroll|submit|toggle)\b",
    r"(?i)\bon(key|mouse|pointer|touch)[a-z]+\b",
];

/// The forbidden patterns that a text matches.
fn faults(text: &str) -> Vec<&'static str> {
    let matches = |pattern: &&str| Regex::new(pattern).expect("a pattern").is_match(text);
    FORBIDDEN.iter().copied().filter(matches).collect()
}

async fn file(server: &Server, path: &str) -> String {
    let answer = server.ask(None, Method::GET, path, None).await;
    text(&answer.expect(200))
}

#[tokio::test]
async fn each_file_of_the_page_has_its_type_and_the_policy() {
    let server = Server::start().await;
    for (path, content_type) in FILES {
        let answer = server.ask(None, Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers[CONTENT_TYPE], content_type, "{path}");
        let policies = answer.headers.get_all(CONTENT_SECURITY_POLICY);
        assert!(policies.iter().eq([SECURITY_POLICY]), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            let values = answer.headers.get_all(name);
            assert!(values.iter().eq([value]), "{path}: {name}");
        }
        server.ask(None, Method::POST, path, None).await.expect(405);
    }
}

#[tokio::test]
async fn the_page_refers_to_its_own_files_and_the_document() {
    let server = Server::start().await;
    let html = file(&server, "/docs").await;
    let page = Url::parse(&format!("{}/docs", server.base)).expect("an address");
    let reference = r#"(?i)\b(?:src|href|srcset|action|formaction|poster|data)\s*=\s*"([^"]*)""#;
    let found: BTreeSet<String> = Regex::new(reference)
        .expect("a pattern")
        .captures_iter(&html)
        .map(|found| page.join(&found[1]).expect("a reference").to_string())
        .collect();
    let own = ["/docs/docs.css", "/docs/docs.js", "/openapi.json"];
    let expected = own.map(|path| format!("{}{path}", server.base));
    assert_eq!(found, BTreeSet::from(expected));

    let script = file(&server, "/docs/docs.js").await;
    assert_eq!(script.matches("fetch(").count(), 1);
    assert!(script.contains("fetch(DOCUMENT)"));
    assert!(script.contains(r#"const DOCUMENT = "openapi.json";"#));
}

#[tokio::test]
async fn without_a_script_the_page_leads_to_the_document() {
    let server = Server::start().await;
    let html = file(&server, "/docs").await;
    let (_, rest) = html.split_once("<noscript>").expect("a noscript element");
    let (inside, _) = rest.split_once("</noscript>").expect("its end");
    assert!(inside.contains(r#"href="openapi.json""#), "{inside}");
}

#[tokio::test]
async fn no_file_of_the_page_holds_a_way_out_or_a_way_in() {
    let server = Server::start().await;
    for (path, _) in FILES {
        let content = file(&server, path).await;
        assert!(content.len() > 500, "{path} is too short to be the file");
        assert_eq!(faults(&content), [""; 0], "{path}");
    }
}

#[test]
fn each_way_out_or_in_would_be_found() {
    for bad in [
        r#"<script src="https://example.com/x.js"></script>"#,
        r#"<a href="HTTP://example.com">"#,
        r#"<link href="//example.com/x.css">"#,
        r#"<a href="javascript:x()">"#,
        r#"<img src="data:image/png;base64,AA">"#,
        r#"@import "x.css";"#,
        "import('x')",
        "background: url(x.png)",
        "new WebSocket(x)",
        "node.innerHTML = text",
        "node.insertAdjacentHTML('beforeend', text)",
        "document.write(text)",
        "eval(text)",
        "new Function(text)",
        r#"<p style="color: red">"#,
        "node.style.color = text",
        "<style>p { color: red }</style>",
        "<script>run()</script>",
        r#"<p onclick="run()">"#,
        "node.onload = run",
        r#"node.setAttribute("onpointerdown", text)"#,
    ] {
        assert_ne!(faults(bad), [""; 0], "{bad} is not found");
    }
}
