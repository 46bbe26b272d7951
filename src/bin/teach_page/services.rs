//! Clients of the gesture node's services.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures::FutureExt;
use futures::future::BoxFuture;
use r2r::std_srvs::srv::Trigger;
use r2r::thumb_gesture::srv::{
    ActivateModel, CaptureFrames, CompareModels, DeleteFrames, DeleteModel, GetResults, ListFrames,
    ListModels, RelabelFrames, Retrain,
};
use r2r::{Client, Node, QosProfile, WrappedServiceTypeSupport};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thumb_gesture::sync::lock;

use crate::error::HttpError;
use crate::gesture_node::Presence;
use crate::json;

/// Time within which most services respond.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a service that waits for frames, decodes many of them, or loads models.
pub(crate) const LONG_TIMEOUT: Duration = Duration::from_secs(120);

/// Time after a response for which the service is taken to be there. r2r needs up to 20 ms to find out, and a node takes longer to restart.
const FOUND_FOR: Duration = Duration::from_millis(200);

/// A client of one service.
pub(crate) struct ServiceClient<T: WrappedServiceTypeSupport> {
    client: Client<T>,
    name: String,
    timeout: Duration,
    presence: Arc<Presence>,
    /// When the service last responded.
    responded: Mutex<Option<Instant>>,
}

/// Where the services of a node are.
pub(crate) struct Services<'a> {
    pub(crate) node: &'a mut Node,
    /// Full name of the node.
    pub(crate) server: &'a str,
    pub(crate) presence: &'a Arc<Presence>,
}

type Call = Box<dyn Fn(Value) -> BoxFuture<'static, Result<Value, HttpError>> + Send + Sync>;

/// Services that are passed on as they are, with requests and responses in JSON.
pub(crate) struct Bridge(HashMap<&'static str, Call>);

impl<T: WrappedServiceTypeSupport + 'static> ServiceClient<T> {
    /// Calls the service.
    ///
    /// # Errors
    /// The node is not there, or does not respond in time.
    pub(crate) async fn call(&self, request: &T::Request) -> Result<T::Response, HttpError> {
        let ServiceClient { name, timeout, .. } = self;
        if !self.presence.is_present() {
            let reason =
                format!("the gesture node is not there, so that {name} cannot be called; check that it runs");
            return Err(HttpError(StatusCode::GATEWAY_TIMEOUT, reason));
        }
        match tokio::time::timeout(*timeout, self.request(request)).await {
            Ok(response) => response.map_err(|error| {
                HttpError(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("cannot call {name}: {error}"),
                )
            }),
            Err(_) => Err(HttpError(
                StatusCode::GATEWAY_TIMEOUT,
                format!("{name} has not responded within {timeout:?}; check that the gesture node runs"),
            )),
        }
    }

    /// Sends a request when the service is found, and waits for the response.
    ///
    /// The messages of a node can arrive before its services are found, and DDS discards a request to a service that is not found yet.
    async fn request(&self, request: &T::Request) -> r2r::Result<T::Response> {
        let is_there = lock(&self.responded).is_some_and(|last| last.elapsed() < FOUND_FOR);
        if !is_there {
            Node::is_available(&self.client)?.await?;
        }
        let response = self.client.request(request)?.await?;
        *lock(&self.responded) = Some(Instant::now());
        Ok(response)
    }
}

impl Services<'_> {
    /// A client of the service with this name below the node.
    pub(crate) fn client<T: WrappedServiceTypeSupport + 'static>(
        &mut self,
        name: &str,
    ) -> r2r::Result<ServiceClient<T>> {
        self.client_within(name, TIMEOUT)
    }

    pub(crate) fn client_within<T: WrappedServiceTypeSupport + 'static>(
        &mut self,
        name: &str,
        timeout: Duration,
    ) -> r2r::Result<ServiceClient<T>> {
        let name = format!("{}/{name}", self.server);
        Ok(ServiceClient {
            client: self
                .node
                .create_client::<T>(&name, QosProfile::services_default())?,
            name,
            timeout,
            presence: self.presence.clone(),
            responded: Mutex::default(),
        })
    }
}

impl Bridge {
    pub(crate) fn new(
        services: &mut Services,
        list_frames: Arc<ServiceClient<ListFrames::Service>>,
    ) -> r2r::Result<Bridge> {
        let mut bridge = Bridge(HashMap::new());
        bridge.add::<CaptureFrames::Service>(services, "capture", LONG_TIMEOUT)?;
        bridge.add::<Retrain::Service>(services, "retrain", TIMEOUT)?;
        bridge.add::<ActivateModel::Service>(services, "activate_model", LONG_TIMEOUT)?;
        bridge.add::<ListModels::Service>(services, "list_models", TIMEOUT)?;
        bridge.add::<DeleteModel::Service>(services, "delete_model", TIMEOUT)?;
        bridge.add::<GetResults::Service>(services, "get_results", TIMEOUT)?;
        bridge.add::<CompareModels::Service>(services, "compare_models", LONG_TIMEOUT)?;
        bridge.add::<DeleteFrames::Service>(services, "delete_frames", LONG_TIMEOUT)?;
        bridge.add::<RelabelFrames::Service>(services, "relabel_frames", LONG_TIMEOUT)?;
        bridge.add::<Trigger::Service>(services, "cancel_training", TIMEOUT)?;
        for edit in ["delete_last_burst", "undo_edit", "redo_edit", "clear_trash"] {
            bridge.add::<Trigger::Service>(services, edit, LONG_TIMEOUT)?;
        }
        let call = move |body| {
            let list = list_frames.clone();
            async move { Ok(frames(list.call(&request(body)?).await?)) }.boxed()
        };
        bridge.0.insert("list_frames", Box::new(call));
        Ok(bridge)
    }

    fn add<T>(&mut self, services: &mut Services, name: &'static str, timeout: Duration) -> r2r::Result<()>
    where
        T: WrappedServiceTypeSupport + 'static,
        T::Request: Serialize + DeserializeOwned + Default + Send + Sync,
        T::Response: Serialize + Send,
    {
        let client = Arc::new(services.client_within::<T>(name, timeout)?);
        let call = move |body| {
            let client = client.clone();
            async move {
                let response = client.call(&request(body)?).await?;
                Ok(results(json::from_message(&response)))
            }
            .boxed()
        };
        self.0.insert(name, Box::new(call));
        Ok(())
    }

    /// Calls a service; `None` if it is not one of those that are passed on.
    pub(crate) async fn call(&self, name: &str, body: Value) -> Option<Result<Value, HttpError>> {
        Some(self.0.get(name)?(body).await)
    }

    /// Names of the services.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self.0.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

fn request<T: Serialize + DeserializeOwned + Default>(body: Value) -> Result<T, HttpError> {
    json::to_request(body).map_err(|error| HttpError::bad_request(&error))
}

/// The response of `~/list_frames`, with thumbnails in base64 instead of as thousands of numbers.
fn frames(mut response: ListFrames::Response) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let thumbnails: Vec<String> = response
        .frames
        .iter_mut()
        .map(|frame| STANDARD.encode(std::mem::take(&mut frame.thumbnail)))
        .collect();
    let mut value = json::from_message(&response);
    if let Some(frames) = value.get_mut("frames").and_then(Value::as_array_mut) {
        for (frame, thumbnail) in frames.iter_mut().zip(thumbnails) {
            frame["thumbnail"] = Value::from(thumbnail);
        }
    }
    value
}

/// A response whose field `results` is a text in JSON, with that text as JSON.
fn results(mut response: Value) -> Value {
    if let Some(results) = response.get_mut("results")
        && let Some(text) = results.as_str()
    {
        *results = serde_json::from_str(text).unwrap_or_default();
    }
    response
}
