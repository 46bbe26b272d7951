//! Errors of the HTTP interface.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
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

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": message(&self.1) }))).into_response()
    }
}
