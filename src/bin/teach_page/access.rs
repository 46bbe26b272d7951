//! Who may use the page: the token, the name under which it is reached, and where a request comes from.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use thumb_gesture::sync::lock;

use crate::error::HttpError;
use crate::page::Page;
use crate::settings::{Settings, Tls};

const TOKEN_BYTES: usize = 24;
/// Wrong tokens of one address in a period that are answered as wrong; further ones are told to wait.
const MAX_ATTEMPTS: u32 = 20;
const ATTEMPT_PERIOD: Duration = Duration::from_secs(60);
/// Maximum number of addresses whose attempts are counted.
const MAX_ADDRESSES: usize = 1024;

/// Where the browser goes after the token was accepted. From there, the page is opened by the page itself, because a browser does not send
/// a cookie of `SameSite=Strict` to a page that was opened by a link of another site, by way of a redirect either.
pub(crate) const ENTRANCE: &str = "/enter";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
    connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every response that does not have them already.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(), geolocation=()",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// What is needed to decide whether a request is allowed.
pub(crate) struct Access {
    /// `None` if the page listens on a loopback address only.
    token: Option<String>,
    /// Name of the cookie, which is another one for each port, because cookies are not.
    cookie: String,
    is_encrypted: bool,
    allowed_hosts: Vec<String>,
    attempts: Mutex<HashMap<IpAddr, Attempts>>,
}

#[derive(Clone, Copy)]
struct Attempts {
    count: u32,
    since: Instant,
}

impl Access {
    /// # Errors
    /// The operating system gives no random numbers.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Access> {
        let token = (!settings.is_local()).then(random_token).transpose()?;
        Ok(Access {
            token,
            cookie: format!("teach_page_{}", settings.port),
            is_encrypted: !matches!(settings.tls, Tls::Off),
            allowed_hosts: settings.allowed_hosts.clone(),
            attempts: Mutex::default(),
        })
    }

    /// The token that a visitor needs, if one is needed.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Checks that the page is reached by a name of its own. The name of another site that leads here (DNS rebinding) is not.
    fn check_host(&self, host: &str) -> Result<(), HttpError> {
        let name = host_name(host).to_ascii_lowercase();
        let is_own = name.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".local")
            || self.allowed_hosts.contains(&name);
        match is_own {
            true => Ok(()),
            false => Err(HttpError(
                StatusCode::FORBIDDEN,
                format!(
                    "this page is not called {name:?}; open it by its address, or add the name to the parameter allowed_hosts"
                ),
            )),
        }
    }

    /// Checks the token in a cookie.
    fn check_cookie(&self, headers: &HeaderMap, peer: IpAddr) -> Result<(), HttpError> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let given = cookie(headers, &self.cookie);
        let missing = || {
            HttpError(
                StatusCode::UNAUTHORIZED,
                "this page needs its token; open the address that teach_page has printed at its start"
                    .to_owned(),
            )
        };
        self.check_token(token, given.ok_or_else(missing)?, peer)
    }

    fn check_token(&self, token: &str, given: &str, peer: IpAddr) -> Result<(), HttpError> {
        // Also from a blocked address: behind it may be a page with the cookie of an earlier start, which goes on trying.
        if bool::from(given.as_bytes().ct_eq(token.as_bytes())) {
            return Ok(());
        }
        if self.is_blocked(peer) {
            let reason =
                "too many wrong tokens; wait for a minute, or open the address that teach_page has printed";
            return Err(HttpError(StatusCode::TOO_MANY_REQUESTS, reason.to_owned()));
        }
        self.count_attempt(peer);
        let reason =
            "the token is wrong; each start of teach_page has another one, in the address that it prints";
        Err(HttpError(StatusCode::UNAUTHORIZED, reason.to_owned()))
    }

    fn is_blocked(&self, peer: IpAddr) -> bool {
        let attempts = lock(&self.attempts).get(&peer).copied();
        attempts.is_some_and(|attempts| {
            attempts.count >= MAX_ATTEMPTS && attempts.since.elapsed() < ATTEMPT_PERIOD
        })
    }

    fn count_attempt(&self, peer: IpAddr) {
        let mut all = lock(&self.attempts);
        if all.len() >= MAX_ADDRESSES {
            all.retain(|_, attempts| attempts.since.elapsed() < ATTEMPT_PERIOD);
        }
        if all.len() >= MAX_ADDRESSES {
            all.clear();
        }
        let new = Attempts {
            count: 0,
            since: Instant::now(),
        };
        let attempts = all.entry(peer).or_insert(new);
        if attempts.since.elapsed() >= ATTEMPT_PERIOD {
            *attempts = new;
        }
        attempts.count += 1;
    }

    /// The answer to `/?token=…`: the cookie, and an address without the token.
    fn let_in(&self, token: &str) -> Response {
        let secure = if self.is_encrypted { "; Secure" } else { "" };
        let cookie = format!(
            "{}={token}; Path=/; HttpOnly; SameSite=Strict{secure}",
            self.cookie
        );
        let headers = [
            (header::LOCATION, ENTRANCE.to_owned()),
            (header::SET_COOKIE, cookie),
        ];
        (StatusCode::SEE_OTHER, headers).into_response()
    }
}

fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random
        .fill(&mut bytes)
        .map_err(|_| anyhow!("the operating system gives no random numbers for a token"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Checks each request before anything else sees it, and completes the headers of its response.
pub(crate) async fn check(
    State(page): State<Arc<Page>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admit(&page.access, &request, peer.ip()) {
        Ok(None) => next.run(request).await,
        Ok(Some(response)) => response,
        Err(error) if is_navigation(&request) => error.into_page(),
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a person waits for a page, not a script for data.
fn is_navigation(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    request.method() == Method::GET && accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Decides on a request: `None` if it may go on, or a response.
fn admit(access: &Access, request: &Request, peer: IpAddr) -> Result<Option<Response>, HttpError> {
    let (uri, headers) = (request.uri(), request.headers());
    // Texts of ROS cannot contain a NUL.
    if uri.query().is_some_and(|query| query.contains("%00")) {
        let reason = "the address contains the character NUL, which is not allowed".to_owned();
        return Err(HttpError(StatusCode::BAD_REQUEST, reason));
    }
    let host = host(uri, headers)?;
    access.check_host(host)?;
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_write || uri.path() == "/ws" {
        check_origin(headers, host)?;
    }
    if uri.path() == ENTRANCE {
        return Ok(None);
    }
    if let (Some(token), "/", Some(given)) = (&access.token, uri.path(), query_token(uri)) {
        access.check_token(token, given, peer)?;
        return Ok(Some(access.let_in(token)));
    }
    access.check_cookie(headers, peer)?;
    Ok(None)
}

/// Answers the address to which the token leads.
pub(crate) async fn enter() -> Html<&'static str> {
    Html(
        "<!doctype html><html lang=en><title>thumb_gesture</title><meta http-equiv=refresh content='0; url=/'>\
         <a href='/'>Open the page</a></html>",
    )
}

/// The name and port by which the page was reached.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, HttpError> {
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = header.or(uri.authority().map(|authority| authority.as_str()));
    host.ok_or_else(|| {
        HttpError(
            StatusCode::BAD_REQUEST,
            "the request has no valid Host".to_owned(),
        )
    })
}

/// A host without its port, and an IPv6 address without its brackets.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

/// Checks that a browser sends the request for this page, not for another one. Programs send neither of the headers.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), HttpError> {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match (value("origin"), value("sec-fetch-site")) {
        (Some(origin), _) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        }
        (None, Some(site)) => matches!(site, "same-origin" | "none"),
        (None, None) => true,
    };
    match is_own {
        true => Ok(()),
        false => Err(HttpError(
            StatusCode::FORBIDDEN,
            "the request comes from another page; only this one may send it".to_owned(),
        )),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('='));
    values.find(|(found, _)| *found == name).map(|(_, value)| value)
}

fn query_token(uri: &Uri) -> Option<&str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find(|(name, _)| *name == "token")
        .map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(token: Option<&str>) -> Access {
        Access {
            token: token.map(str::to_owned),
            cookie: "teach_page_8080".to_owned(),
            is_encrypted: false,
            allowed_hosts: vec!["robot.example.org".to_owned()],
            attempts: Mutex::default(),
        }
    }

    #[test]
    fn only_own_names_are_accepted() {
        let access = access(None);
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "192.168.1.7",
            "localhost:8080",
            "Robot.local:8080",
            "robot.example.org",
        ] {
            assert!(access.check_host(host).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "",
            "localhost.evil.example",
            "robot.local.evil.example:8080",
            "[evil",
            "local",
        ] {
            assert!(access.check_host(host).is_err(), "{host}");
        }
    }

    #[test]
    fn other_origins_are_rejected() {
        let check = |name: &'static str, value: &'static str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            check_origin(&headers, "robot.local:8080").is_ok()
        };
        assert!(check("origin", "http://robot.local:8080"));
        assert!(check("sec-fetch-site", "same-origin"));
        assert!(check("accept", "text/html"));
        for origin in [
            "http://robot.local",
            "http://evil.example",
            "null",
            "robot.local:8080",
            "",
        ] {
            assert!(!check("origin", origin), "{origin}");
        }
        assert!(!check("sec-fetch-site", "cross-site"));
    }

    #[test]
    fn wrong_tokens_are_limited_for_each_address() {
        let token = random_token().expect("a token");
        assert_eq!(token.len(), 32);
        let access = access(Some(&token));
        let [guesser, visitor] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        let status = |given: &str, peer| access.check_token(&token, given, peer).map_err(|error| error.0);
        for _ in 0..MAX_ATTEMPTS {
            assert_eq!(status("wrong", guesser), Err(StatusCode::UNAUTHORIZED));
        }
        assert_eq!(status("wrong", guesser), Err(StatusCode::TOO_MANY_REQUESTS));
        assert_eq!(status("wrong", visitor), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(status(&token, guesser), Ok(()), "the right token passes");
    }

    #[test]
    fn cookie_is_found_among_others() {
        let headers = HeaderMap::from_iter([(
            header::COOKIE,
            HeaderValue::from_static("a=b; teach_page_8080=x; teach_page_80=y"),
        )]);
        assert_eq!(cookie(&headers, "teach_page_8080"), Some("x"));
        assert_eq!(cookie(&headers, "teach_page"), None);
    }
}
