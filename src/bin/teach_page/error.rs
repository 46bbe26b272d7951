//! Errors of the HTTP interface.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;
use thumb_gesture::text::message;

/// A failed request: the status, and a text for people.
#[derive(Debug)]
pub(crate) struct HttpError(pub(crate) StatusCode, pub(crate) String);

impl HttpError {
    pub(crate) fn bad_request(error: &anyhow::Error) -> HttpError {
        HttpError(StatusCode::BAD_REQUEST, format!("{error:#}"))
    }
}

impl HttpError {
    /// The error as a page, for somebody who has opened an address.
    pub(crate) fn into_page(self) -> Response {
        let reason = message(&self.1)
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <meta name=color-scheme content='light dark'><title>thumb_gesture</title>\
             <main><h1>This page is closed to you</h1><p>{reason}.</p></main></html>"
        );
        (self.0, Html(page)).into_response()
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": message(&self.1) }))).into_response()
    }
}
