//! The files of the page, which are in the program.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::Embed;
use sha2::{Digest, Sha256};

use crate::error::HttpError;
use crate::page::Page;

/// The file of the page itself.
const INDEX: &str = "index.html";

#[derive(Embed)]
#[folder = "src/bin/teach_page/assets/"]
struct Embedded;

/// The files by their paths.
pub(crate) enum Assets {
    Embedded(HashMap<String, Asset>),
    /// Read for each request.
    Directory(PathBuf),
}

#[derive(Clone)]
pub(crate) struct Asset {
    media_type: &'static str,
    content: Bytes,
    gzip: Bytes,
    etag: String,
}

impl Assets {
    /// The files in the program, or those in a directory.
    ///
    /// # Errors
    /// The directory has no page.
    pub(crate) fn new(directory: Option<PathBuf>) -> anyhow::Result<Assets> {
        if let Some(directory) = directory {
            let index = directory.join(INDEX);
            std::fs::metadata(&index).with_context(|| format!("--assets: {}", index.display()))?;
            return Ok(Assets::Directory(directory));
        }
        let asset = |path: Cow<str>| {
            let file = Embedded::get(&path)?;
            Some((path.to_string(), Asset::new(&path, file.data.into_owned())?))
        };
        Ok(Assets::Embedded(Embedded::iter().filter_map(asset).collect()))
    }

    fn get(&self, path: &str) -> Option<Asset> {
        match self {
            Assets::Embedded(assets) => assets.get(path).cloned(),
            Assets::Directory(directory) => {
                let is_below =
                    |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
                let relative = Path::new(path);
                let content = is_below(relative).then(|| std::fs::read(directory.join(relative)));
                Asset::new(path, content?.ok()?)
            }
        }
    }
}

impl Asset {
    /// `None` if the file is not part of the page.
    fn new(path: &str, content: Vec<u8>) -> Option<Asset> {
        let media_type = match path.rsplit_once('.')?.1 {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "json" => "application/json",
            "webmanifest" => "application/manifest+json",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "txt" => "text/plain; charset=utf-8",
            _ => return None,
        };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&content).ok()?;
        let digest = Sha256::digest(&content);
        let etag: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Asset {
            media_type,
            gzip: encoder.finish().ok()?.into(),
            content: content.into(),
            etag: format!("\"{etag}\""),
        })
    }

    fn respond(self, request: &HeaderMap) -> Response {
        let has = |name, wanted: &str| {
            let value = request
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok());
            value.is_some_and(|value| value.contains(wanted))
        };
        let mut response = match (
            has(header::IF_NONE_MATCH, &self.etag),
            has(header::ACCEPT_ENCODING, "gzip"),
        ) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, true) => {
                let mut response = Body::from(self.gzip).into_response();
                response
                    .headers_mut()
                    .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            (false, false) => Body::from(self.content).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(header::ETAG, etag);
        }
        response
    }
}

/// Answers `GET /`.
pub(crate) async fn index(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    serve(&page, INDEX, &headers)
}

/// Answers `GET /assets/<file>`.
pub(crate) async fn file(
    State(page): State<Arc<Page>>,
    UrlPath(path): UrlPath<String>,
    headers: HeaderMap,
) -> Response {
    serve(&page, &path, &headers)
}

fn serve(page: &Page, path: &str, headers: &HeaderMap) -> Response {
    match page.assets.get(path) {
        Some(asset) => asset.respond(headers),
        None => HttpError(StatusCode::NOT_FOUND, format!("there is no file {path:?}")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_in_the_program() {
        let assets = Assets::new(None).expect("assets");
        let index = assets.get(INDEX).expect("an index");
        assert!(index.media_type.starts_with("text/html"));
        assert!(assets.get("../main.rs").is_none());
    }

    #[test]
    fn only_files_of_the_directory_are_served() {
        let root = tempfile::tempdir().expect("a directory");
        let assets = root.path().join("assets");
        std::fs::create_dir(&assets).expect("creates");
        Assets::new(Some(assets.clone())).err().expect("has no page");
        for path in ["assets/index.html", "assets/notes.md", "secret.txt"] {
            std::fs::write(root.path().join(path), "text").expect("writes");
        }
        let served = Assets::new(Some(assets.clone())).expect("assets");
        assert!(served.get(INDEX).is_some());
        let absolute = root.path().join("secret.txt").display().to_string();
        for path in [
            "notes.md",
            "../secret.txt",
            "x/../../secret.txt",
            &absolute,
            "",
            ".",
        ] {
            assert!(served.get(path).is_none(), "{path}");
        }
    }
}
