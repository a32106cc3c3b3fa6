//! `/docs`: the OpenAPI document as a page for people, without a key and without a network: the
//! page is compiled in, and fetches nothing but `/openapi.json` of this server.
//!
//! The page takes no key, so that none can be taken from it: it shows, and asks for nothing.

use axum::http::header;
use axum::response::IntoResponse;

/// What a browser may load for the page: its own files and the document. Nothing inline, nothing
/// from elsewhere, and no frame around it.
const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The page.
pub(crate) async fn page() -> impl IntoResponse {
    asset("text/html; charset=utf-8", include_str!("docs/index.html"))
}

/// What makes the page out of the document.
pub(crate) async fn script() -> impl IntoResponse {
    asset(
        "text/javascript; charset=utf-8",
        include_str!("docs/docs.js"),
    )
}

/// What the page looks like.
pub(crate) async fn style() -> impl IntoResponse {
    asset("text/css; charset=utf-8", include_str!("docs/docs.css"))
}

fn asset(content_type: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content)
}
