//! The WebSocket of an open page.
//!
//! Pictures are sent with one credit: the page asks for the next one when it has shown the last. A slow connection thus gets fewer
//! pictures, and never old ones. One task reads, so that a message is never late because a picture is being sent, and another one writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use thumb_gesture::sync::lock;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::browser_camera::CameraUse;
use crate::error::HttpError;
use crate::page::Page;
use crate::recording::{self, Command, RecordingId};

/// Maximum length of a message, which is a picture of the visitor's camera.
const MAX_MESSAGE_BYTES: usize = 2 << 20;
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Maximum number of cameras in a request.
const MAX_CAMERAS: usize = 64;
/// Time until a request is answered although there is nothing new.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Time without a message until a page counts as gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Replies that may wait for the writer.
const MAX_REPLIES: usize = 16;
const MAX_COMMANDS: usize = 64;

/// What a page sends.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Next {
        cameras: Vec<String>,
    },
    Record {
        label: String,
        #[serde(default)]
        camera: String,
    },
    Renew(IgnoredAny),
    Stop(IgnoredAny),
    Camera(bool),
}

/// Why something that a page has sent is refused.
struct Refusal {
    /// The request, as it is called in its message, or `message` if it was not understood.
    about: &'static str,
    reason: String,
}

impl Refusal {
    fn new(about: &'static str, reason: impl Into<String>) -> Refusal {
        let reason = reason.into();
        Refusal { about, reason }
    }
}

/// A message of JSON.
pub(crate) fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

/// Answers the request that opens the WebSocket.
pub(crate) async fn open(State(page): State<Arc<Page>>, upgrade: WebSocketUpgrade) -> Response {
    let Some(viewer) = page.enter() else {
        let reason = "too many pages are open; close one".to_owned();
        return HttpError(StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    };
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            serve(page, socket).await;
            drop(viewer);
        })
}

async fn serve(page: Arc<Page>, socket: WebSocket) {
    let (sink, stream) = socket.split();
    let (replies, waiting) = mpsc::channel(MAX_REPLIES);
    let (commands, to_perform) = mpsc::channel(MAX_COMMANDS);
    let (credit, credits) = watch::channel(Vec::new());
    let recording = RecordingId::default();
    let recorder = recording::run(page.clone(), to_perform, replies.clone(), recording.clone());
    let recorder = tokio::spawn(recorder);
    let writer = Writer {
        page: page.clone(),
        sink,
        recording,
        version: 0,
        sent: BTreeMap::new(),
        was_recording: None,
    };
    let mut reader = Reader {
        page,
        stream,
        replies,
        commands,
        credit,
        camera: None,
    };
    tokio::select! {
        () = reader.run() => {}
        // The connection is lost.
        _ = writer.run(waiting, credits) => {}
    }
    // Ends a recording.
    drop(reader);
    recorder.await.ok();
}

struct Reader {
    page: Arc<Page>,
    stream: SplitStream<WebSocket>,
    replies: mpsc::Sender<Message>,
    commands: mpsc::Sender<Command>,
    /// The cameras of the last request for a picture.
    credit: watch::Sender<Vec<String>>,
    camera: Option<CameraUse>,
}

impl Reader {
    /// Reads until the page is gone.
    async fn run(&mut self) {
        while let Ok(Some(Ok(message))) = tokio::time::timeout(IDLE_TIMEOUT, self.stream.next()).await {
            let result = match message {
                Message::Text(text) if text.len() <= MAX_TEXT_BYTES => self.take_text(&text),
                Message::Text(text) => Err(Refusal::new(
                    "message",
                    format!(
                        "the message has {} bytes, at most {MAX_TEXT_BYTES} are allowed",
                        text.len()
                    ),
                )),
                Message::Binary(jpeg) => self.take_picture(jpeg).await,
                Message::Close(_) => return,
                // The library answers pings.
                Message::Ping(_) | Message::Pong(_) => Ok(()),
            };
            if let Err(refusal) = result
                && !self.refuse(&refusal)
            {
                return;
            }
        }
    }

    fn take_text(&mut self, message: &str) -> Result<(), Refusal> {
        let invalid = |reason: String| Refusal::new("message", reason);
        let request = crate::json::parse(message.as_bytes()).map_err(invalid)?;
        let request =
            serde_json::from_value(request).map_err(|error| invalid(format!("invalid message: {error}")))?;
        let command = match request {
            Request::Next { cameras } if cameras.len() <= MAX_CAMERAS => {
                self.credit.send_replace(cameras);
                return Ok(());
            }
            Request::Next { .. } => {
                let reason = format!("at most {MAX_CAMERAS} cameras are allowed");
                return Err(Refusal::new("next", reason));
            }
            Request::Camera(is_on) => {
                let used = self.use_camera(is_on);
                return used.map_err(|reason| Refusal::new("camera", reason));
            }
            Request::Record { label, camera } => Command::Start { label, camera },
            Request::Renew(_) => Command::Renew,
            Request::Stop(_) => Command::Stop,
        };
        let about = match command {
            Command::Start { .. } => "record",
            Command::Stop => "stop",
            Command::Renew => "renew",
        };
        match self.commands.try_send(command) {
            // Another renewal waits already.
            Err(_) if about == "renew" => Ok(()),
            Err(_) => Err(Refusal::new(about, "too many messages; wait for their answers")),
            Ok(()) => Ok(()),
        }
    }

    fn use_camera(&mut self, is_on: bool) -> Result<(), String> {
        self.end_camera();
        if is_on {
            let camera = self.page.browser_camera.as_ref().ok_or(
                "the cameras of visitors are not used here; start teach_page with browser_camera:=true",
            )?;
            self.camera = Some(camera.take()?);
            self.give_camera_credit();
        }
        Ok(())
    }

    fn end_camera(&mut self) {
        if let Some(camera) = self.camera.take() {
            camera.end();
        }
    }

    async fn take_picture(&mut self, jpeg: Bytes) -> Result<(), Refusal> {
        let Some(camera) = self.camera.clone() else {
            return Err(Refusal::new(
                "camera",
                "a picture needs {\"camera\": true} before",
            ));
        };
        if let Err(reason) = camera.publish(&self.page.context, jpeg).await {
            self.refuse(&Refusal::new("camera", reason));
        }
        self.give_camera_credit();
        Ok(())
    }

    /// Says so to the page. Returns whether the writer could take it.
    fn refuse(&self, Refusal { about, reason }: &Refusal) -> bool {
        let reply = json!({ "error": { "about": about, "message": reason } });
        self.replies.try_send(text(&reply)).is_ok()
    }

    fn give_camera_credit(&self) {
        // If the writer is so far behind, the page has other credits on their way.
        self.replies
            .try_send(text(&json!({ "camera_credit": true })))
            .ok();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.end_camera();
    }
}

struct Writer {
    page: Arc<Page>,
    sink: SplitSink<WebSocket, Message>,
    recording: RecordingId,
    /// Version of the board that the page has.
    version: u64,
    /// The last picture of each camera that the page has.
    sent: BTreeMap<String, u64>,
    was_recording: Option<bool>,
}

impl Writer {
    /// Writes until the connection is lost.
    async fn run(
        mut self,
        mut replies: mpsc::Receiver<Message>,
        mut credits: watch::Receiver<Vec<String>>,
    ) -> Option<()> {
        let mut credit: Option<(Vec<String>, Instant)> = None;
        loop {
            tokio::select! {
                biased;
                reply = replies.recv() => self.sink.send(reply?).await.ok()?,
                changed = credits.changed(), if credit.is_none() => {
                    changed.ok()?;
                    let cameras = credits.borrow_and_update().clone();
                    self.page.cameras.want(&cameras);
                    credit = Some((cameras, Instant::now() + ANSWER_TIMEOUT));
                }
                () = self.news(credit.as_ref()), if credit.is_some() => {
                    let (cameras, _) = credit.take()?;
                    self.send_update(&cameras).await?;
                }
            }
        }
    }

    /// Returns when there is something new, or the time is over.
    async fn news(&self, credit: Option<&(Vec<String>, Instant)>) {
        let Some((cameras, deadline)) = credit else {
            return;
        };
        let mut changes = self.page.board.changes();
        loop {
            changes.mark_unchanged();
            let has_news = self.page.board.version() > self.version
                || self.page.cameras.next_picture(cameras, &self.sent).is_some()
                || self.was_recording != Some(self.is_recording());
            if has_news {
                return;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(*deadline) => return,
            }
        }
    }

    fn is_recording(&self) -> bool {
        self.page.is_recording(lock(&self.recording).as_deref())
    }

    async fn send_update(&mut self, cameras: &[String]) -> Option<()> {
        let mut picture = Value::Null;
        let mut jpeg = None;
        if let Some((camera, newest)) = self.page.cameras.next_picture(cameras, &self.sent) {
            self.sent.insert(camera.clone(), newest.sequence);
            if let Some(view) = newest.view().await {
                picture = json!({
                    "camera": camera,
                    "sequence": newest.sequence,
                    "stamp": newest.stamp,
                    "width": view.width,
                    "height": view.height,
                });
                jpeg = Some(view.jpeg);
            }
        }
        let (version, mut state) = self.page.board.since(self.version);
        self.version = version;
        let is_recording = self.is_recording();
        if self.was_recording.replace(is_recording) != Some(is_recording) {
            state.insert("recording_mine".to_owned(), Value::Bool(is_recording));
        }
        let gestures = self.page.cameras.gestures();
        let update = json!({ "update": { "picture": picture, "gestures": gestures, "state": state } });
        self.sink.feed(text(&update)).await.ok()?;
        if let Some(jpeg) = jpeg {
            self.sink.feed(Message::Binary(jpeg)).await.ok()?;
        }
        self.sink.flush().await.ok()
    }
}
