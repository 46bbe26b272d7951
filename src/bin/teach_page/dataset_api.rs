//! Images of the dataset over HTTP: adding, correcting, showing, downloading.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::SinkExt;
use futures::channel::mpsc;
use r2r::thumb_gesture::srv::{AddFrame, GetFrame, ListFrames};
use serde::Deserialize;
use serde_json::{Value, json};
use thumb_gesture::sync::lock;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::api::{query, read_body, read_json};
use crate::error::HttpError;
use crate::json;
use crate::page::Page;
use crate::picture;

/// Maximum length of an image file, as `~/add_frame` has it.
const MAX_FILE_BYTES: usize = 16 << 20;
/// Number of frames in a request for the list of all, as many as `~/list_frames` returns.
const PAGE_FRAMES: u32 = 200;

#[derive(Deserialize)]
pub(crate) struct AddQuery {
    label: String,
    #[serde(default)]
    burst: String,
    #[serde(default)]
    camera: String,
    #[serde(default)]
    change: String,
}

/// Answers `POST /api/frames`.
pub(crate) async fn add_frame(
    State(page): State<Arc<Page>>,
    request: Result<Query<AddQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, HttpError> {
    let AddQuery {
        label,
        burst,
        camera,
        change,
    } = query(request)?;
    let _one_of_few = page.uploads.acquire().await;
    let image = read_body(&headers, body, MAX_FILE_BYTES).await?.to_vec();
    let request = AddFrame::Request {
        label,
        burst,
        camera,
        change,
        image,
    };
    let response = page.gesture_node.add_frame.call(&request).await?;
    Ok(Json(json::from_message(&response)))
}

#[derive(Deserialize)]
struct Correction {
    label: String,
    #[serde(default)]
    camera: String,
    /// Sequence number of the picture that was shown when somebody saw that the gesture was wrong.
    until: Option<u64>,
}

/// Answers `POST /api/correct`: adds the pictures of the last two seconds, or of those before a picture, to a label.
pub(crate) async fn correct(
    State(page): State<Arc<Page>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, HttpError> {
    let request = read_json(&headers, body).await?;
    let Correction { label, camera, until } = serde_json::from_value(request)
        .map_err(|error| HttpError(StatusCode::BAD_REQUEST, format!("invalid request: {error}")))?;
    let pictures = page.cameras.recent(&camera, until);
    let burst = format!("correction-{}", page.next_correction());
    let mut frames = Vec::new();
    for (camera, picture) in pictures {
        let file = tokio::task::spawn_blocking(move || picture.file()).await;
        let Ok(Ok(image)) = file else {
            continue;
        };
        let request = AddFrame::Request {
            label: label.clone(),
            burst: burst.clone(),
            camera,
            image,
            ..AddFrame::Request::default()
        };
        let response = page.gesture_node.add_frame.call(&request).await?;
        if !response.success {
            return Ok(Json(
                json!({ "success": false, "message": response.message, "saved": frames.len(), "frames": frames }),
            ));
        }
        frames.push(response.frame);
    }
    let message = match frames.len() {
        0 => {
            "no pictures of that time are kept; check that the camera runs, and correct a gesture within 15 s"
                .to_owned()
        }
        saved => format!("{saved} frames saved under {label}"),
    };
    Ok(Json(
        json!({ "success": !frames.is_empty(), "message": message, "saved": frames.len(), "frames": frames }),
    ))
}

#[derive(Deserialize)]
pub(crate) struct ImageQuery {
    frame: String,
}

/// Answers `GET /api/image`.
pub(crate) async fn image(
    State(page): State<Arc<Page>>,
    request: Result<Query<ImageQuery>, QueryRejection>,
) -> Result<Response, HttpError> {
    let ImageQuery { frame } = query(request)?;
    let response = page
        .gesture_node
        .get_frame
        .call(&GetFrame::Request { frame })
        .await?;
    if !response.success {
        return Err(HttpError(StatusCode::NOT_FOUND, response.message));
    }
    let GetFrame::Response { format, image, .. } = response;
    let (format, image) = match format.as_str() {
        // Most browsers do not show it.
        "tiff" => {
            let jpeg = tokio::task::spawn_blocking(move || picture::jpeg_of_file(&image)).await;
            let jpeg =
                jpeg.map_err(|error| HttpError(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
            let jpeg =
                jpeg.map_err(|error| HttpError(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
            ("jpeg", jpeg)
        }
        format => (format, image),
    };
    let media_type = match format {
        "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        _ => "application/octet-stream",
    };
    Ok(([(header::CONTENT_TYPE, media_type)], image).into_response())
}

/// Answers `GET /api/dataset.zip`, while the frames are read.
pub(crate) async fn download(State(page): State<Arc<Page>>) -> Result<Response, HttpError> {
    // Before the response, so that a failure has a status.
    let frames = list(&page).await?;
    let (sender, receiver) = mpsc::channel::<io::Result<Vec<u8>>>(1);
    tokio::spawn(pack(page, frames, sender));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"dataset.zip\""),
        ),
    ];
    Ok((headers, Body::from_stream(receiver)).into_response())
}

/// All frames, each once: a frame that is added meanwhile can move another one to the next page.
async fn list(page: &Page) -> Result<BTreeSet<String>, HttpError> {
    let mut frames = BTreeSet::new();
    let mut offset = 0;
    loop {
        let request = ListFrames::Request {
            offset,
            limit: PAGE_FRAMES,
            ..ListFrames::Request::default()
        };
        let response = page.gesture_node.list_frames.call(&request).await?;
        if !response.success {
            return Err(HttpError(StatusCode::CONFLICT, response.message));
        }
        if response.frames.is_empty() {
            return Ok(frames);
        }
        offset += u32::try_from(response.frames.len()).unwrap_or(u32::MAX);
        frames.extend(response.frames.into_iter().map(|info| info.frame));
    }
}

/// What the archive has written and the visitor has not received yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends an archive of all frames. If that fails, the download ends with an error instead of an archive that looks complete.
async fn pack(page: Arc<Page>, frames: BTreeSet<String>, mut sender: mpsc::Sender<io::Result<Vec<u8>>>) {
    if let Err(error) = send_frames(&page, frames, &mut sender).await {
        page.context
            .warn(&format!("the download of the dataset ended: {error}"));
        // Fails if the visitor is gone.
        sender.send(Err(error)).await.ok();
    }
}

async fn send_frames(
    page: &Page,
    frames: BTreeSet<String>,
    sender: &mut mpsc::Sender<io::Result<Vec<u8>>>,
) -> io::Result<()> {
    let of_node = |error: HttpError| io::Error::other(error.1);
    let written = Written::default();
    let mut archive = ZipWriter::new_stream(written.clone());
    // Images are compressed already.
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut failed = Vec::new();
    for frame in frames {
        let request = GetFrame::Request { frame };
        let response = page.gesture_node.get_frame.call(&request).await;
        let response = response.map_err(of_node)?;
        if !response.success {
            failed.push((request.frame, response.message));
            continue;
        }
        archive.start_file(request.frame.as_str(), options)?;
        archive.write_all(&response.image)?;
        send(&written, sender).await?;
    }
    if !failed.is_empty() {
        // Frames that were moved or deleted meanwhile may be missing, others not.
        let present = list(page).await.map_err(of_node)?;
        if let Some((_, reason)) = failed.into_iter().find(|(frame, _)| present.contains(frame)) {
            return Err(io::Error::other(reason));
        }
    }
    archive.finish()?;
    send(&written, sender).await
}

async fn send(written: &Written, sender: &mut mpsc::Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let bytes = std::mem::take(&mut *lock(&written.0));
    let sent = sender.send(Ok(bytes)).await;
    sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the visitor has left"))
}
