//! Services of the gesture node over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use r2r::thumb_gesture::srv::GetReport;
use serde::Deserialize;
use serde_json::Value;

use crate::error::HttpError;
use crate::json;
use crate::page::Page;
use crate::parameters;

/// Maximum length of a request's JSON.
const MAX_JSON_BYTES: usize = 1 << 20;
/// Time within which a request must be complete.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The report has its own style sheet, and pictures in it; nothing in it is executed.
const REPORT_POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// Reads the body of a request. One that says at once that it is too long is not read.
///
/// # Errors
/// It is longer than `max_bytes`, or does not arrive in time.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, HttpError> {
    let too_long = || {
        HttpError(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the request is too long; at most {} kB are allowed",
                max_bytes >> 10
            ),
        )
    };
    let length = headers.get(header::CONTENT_LENGTH);
    let length: Option<usize> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > max_bytes) {
        return Err(too_long());
    }
    let reading = axum::body::to_bytes(body, max_bytes);
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(too_long()),
        Err(_) => Err(HttpError(
            StatusCode::REQUEST_TIMEOUT,
            format!("the request was not complete within {BODY_TIMEOUT:?}"),
        )),
    }
}

/// Reads a body of JSON; an empty one stands for an object without fields.
pub(crate) async fn read_json(headers: &HeaderMap, body: Body) -> Result<Value, HttpError> {
    let bytes = read_body(headers, body, MAX_JSON_BYTES).await?;
    if bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    json::parse(&bytes).map_err(|error| HttpError(StatusCode::BAD_REQUEST, error))
}

/// The fields in the address of a request.
pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, HttpError> {
    let invalid = |error: QueryRejection| HttpError(StatusCode::BAD_REQUEST, error.body_text());
    Ok(query.map_err(invalid)?.0)
}

/// Answers `POST /api/<service>`.
pub(crate) async fn call(
    State(page): State<Arc<Page>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, HttpError> {
    let services = &page.gesture_node.services;
    let request = read_json(&headers, body).await?;
    match services.call(&name, request).await {
        Some(response) => Ok(Json(response?)),
        None => Err(HttpError(
            StatusCode::NOT_FOUND,
            format!(
                "there is no service {name:?}, only: {}",
                services.names().join(", ")
            ),
        )),
    }
}

/// Answers `POST /api/set_parameters`.
pub(crate) async fn set_parameters(
    State(page): State<Arc<Page>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, HttpError> {
    match read_json(&headers, body).await? {
        Value::Object(given) => Ok(Json(parameters::set(&page, &given).await?)),
        _ => Err(HttpError(
            StatusCode::BAD_REQUEST,
            "the body must be a JSON object of names and values".to_owned(),
        )),
    }
}

#[derive(Deserialize)]
pub(crate) struct ReportQuery {
    model_id: String,
}

/// Answers `GET /api/report`.
pub(crate) async fn report(
    State(page): State<Arc<Page>>,
    request: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, HttpError> {
    let ReportQuery { model_id } = query(request)?;
    let response = page
        .gesture_node
        .get_report
        .call(&GetReport::Request { model_id })
        .await?;
    match response.success {
        true => {
            let headers = [(header::CONTENT_SECURITY_POLICY, REPORT_POLICY)];
            Ok((headers, Html(response.html)).into_response())
        }
        false => Err(HttpError(StatusCode::NOT_FOUND, response.message)),
    }
}
