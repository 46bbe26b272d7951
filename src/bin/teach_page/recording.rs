//! A viewer's recording: starts it with the gesture node, renews it while the viewer does, and ends it at once when the viewer is gone.

use std::sync::{Arc, Mutex};

use axum::extract::ws::Message;
use r2r::thumb_gesture::srv::Record;
use serde_json::json;
use thumb_gesture::sync::lock;
use tokio::sync::mpsc;

use crate::page::Page;
use crate::socket::text;

// Constants of a service have the type of the C header.
const START: u8 = Record::Request::START as u8;
const RENEW: u8 = Record::Request::RENEW as u8;
const END: u8 = Record::Request::END as u8;

/// What a viewer wants.
pub(crate) enum Command {
    Start { label: String, camera: String },
    Renew,
    Stop,
}

/// Id of a viewer's recording.
pub(crate) type RecordingId = Arc<Mutex<Option<String>>>;

/// Performs the commands of one viewer until their sender is dropped.
pub(crate) async fn run(
    page: Arc<Page>,
    mut commands: mpsc::Receiver<Command>,
    replies: mpsc::Sender<Message>,
    id: RecordingId,
) {
    while let Some(mut command) = commands.recv().await {
        // One renewal is as good as many.
        while matches!(command, Command::Renew)
            && let Ok(next) = commands.try_recv()
        {
            command = next;
        }
        match command {
            Command::Start { label, camera } => {
                end(&page, &id).await;
                let request = Record::Request {
                    action: START,
                    label,
                    camera,
                    ..Record::Request::default()
                };
                let (success, message) = match page.gesture_node.record.call(&request).await {
                    Ok(response) => {
                        *lock(&id) = response.success.then_some(response.id);
                        (response.success, response.message)
                    }
                    Err(error) => (false, error.1),
                };
                page.board.notify();
                let new = lock(&id).clone();
                let reply = json!({ "record": { "success": success, "message": message, "id": new } });
                // Fails if the viewer is gone.
                replies.send(text(&reply)).await.ok();
            }
            Command::Renew => {
                call(&page, &id, RENEW).await;
            }
            Command::Stop => end(&page, &id).await,
        }
    }
    end(&page, &id).await;
}

async fn end(page: &Page, id: &RecordingId) {
    call(page, id, END).await;
    *lock(id) = None;
}

/// Calls the service with the id of the recording, if there is one. A failure is on `~/recording`, and without the node nothing is recorded.
async fn call(page: &Page, id: &RecordingId, action: u8) {
    let Some(id) = lock(id).clone() else {
        return;
    };
    let request = Record::Request {
        action,
        id,
        ..Record::Request::default()
    };
    page.gesture_node.record.call(&request).await.ok();
}
