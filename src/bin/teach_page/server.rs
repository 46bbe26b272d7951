//! The web server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::access::{self, ENTRANCE};
use crate::error::HttpError;
use crate::page::Page;
use crate::settings::Tls;
use crate::{api, assets, dataset_api, socket, tls};

/// Time within which the head of a request must arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// A server that listens, and does not answer yet.
pub(crate) struct Server {
    listener: TcpListener,
    certificate: Option<tls::Certificate>,
}

impl Server {
    /// # Errors
    /// The address is in use, or is not one of this machine, or the certificate cannot be read.
    pub(crate) fn bind(page: &Page) -> anyhow::Result<Server> {
        let settings = &page.settings;
        let address = SocketAddr::new(settings.address, settings.port);
        let listener = TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address}; set the parameters page_address and page_port")
        })?;
        let certificate = match &settings.tls {
            Tls::Off => None,
            Tls::SelfSigned => Some(tls::self_signed().context("cannot make a certificate")?),
            Tls::Files { certificate, key } => Some(tls::read(certificate, key)?),
        };
        Ok(Server {
            listener,
            certificate,
        })
    }

    /// Prints the address of the page, with the token if it has one, which is printed nowhere else.
    pub(crate) fn announce(&self, page: &Page) {
        let Ok(bound) = self.listener.local_addr() else {
            return;
        };
        let addresses = reachable(bound, tls::addresses());
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        let query = page
            .access
            .token()
            .map_or(String::new(), |token| format!("?token={token}"));
        let urls: Vec<String> = addresses
            .iter()
            .map(|address| format!("{scheme}://{address}/{query}"))
            .collect();
        println!("The page is at {}", urls.join("\nor at "));
        if query.is_empty() {
            return;
        }
        if let Some(Ok(code)) = urls.first().map(QrCode::new) {
            println!("{}", code.render::<Dense1x2>().build());
        }
        if self.certificate.is_none() {
            page.context.warn(
                "the page is not encrypted: whoever can read the network sees its pictures and its token; set the parameter tls, with a launch file page_tls:=true",
            );
        }
    }

    /// Answers requests.
    ///
    /// # Errors
    /// The certificate is not valid, or the operating system reported an error.
    pub(crate) async fn run(self, page: &Arc<Page>) -> anyhow::Result<()> {
        let service = router(page).into_make_service_with_connect_info::<SocketAddr>();
        match self.certificate {
            None => {
                // Without it, a picture waits 40 ms for the acknowledgment of the text before it.
                let server = axum_server::from_tcp(self.listener)?.acceptor(NoDelayAcceptor::new());
                let mut server = server.first_request_timeout(HEAD_TIMEOUT);
                server.http_builder().http1().header_read_timeout(HEAD_TIMEOUT);
                server.serve(service).await?;
            }
            Some(tls::Certificate { certificate, key }) => {
                // Fails if there is one already.
                rustls::crypto::ring::default_provider().install_default().ok();
                let config = RustlsConfig::from_pem(certificate, key).await;
                let config =
                    config.context("tls_certificate and tls_key are no valid certificate and key in PEM")?;
                let acceptor = RustlsAcceptor::new(config).acceptor(NoDelayAcceptor::new());
                let server = axum_server::from_tcp(self.listener)?.acceptor(acceptor);
                let mut server = server.first_request_timeout(HEAD_TIMEOUT);
                server.http_builder().http1().header_read_timeout(HEAD_TIMEOUT);
                server.serve(service).await?;
            }
        }
        Ok(())
    }
}

/// Where a server that listens on `bound` is reached.
fn reachable(bound: SocketAddr, mut of_machine: Vec<IpAddr>) -> Vec<SocketAddr> {
    let loopback = match bound.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => return vec![bound],
    };
    of_machine.retain(|address| bound.is_ipv6() || address.is_ipv4());
    if of_machine.is_empty() {
        of_machine.push(loopback);
    }
    of_machine
        .into_iter()
        .map(|address| SocketAddr::new(address, bound.port()))
        .collect()
}

fn router(page: &Arc<Page>) -> Router {
    let not_found = || async { HttpError(StatusCode::NOT_FOUND, "there is no such page".to_owned()) };
    Router::new()
        .route("/", get(assets::index))
        .route(ENTRANCE, get(access::enter))
        .route("/assets/{*path}", get(assets::file))
        .route("/ws", get(socket::open))
        .route("/api/frames", post(dataset_api::add_frame))
        .route("/api/correct", post(dataset_api::correct))
        .route("/api/image", get(dataset_api::image))
        .route("/api/dataset.zip", get(dataset_api::download))
        .route("/api/report", get(api::report))
        .route("/api/set_parameters", post(api::set_parameters))
        .route("/api/{service}", post(api::call))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(page.clone(), access::check))
        .with_state(page.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_on_all_networks_is_reached_at_each_address() {
        let bound = |text: &str| text.parse().expect("an address");
        let machine: Vec<IpAddr> = vec![ip("10.42.0.1"), ip("2001:db8::1")];
        let texts = |at: &str| -> Vec<String> {
            reachable(bound(at), machine.clone())
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(texts("0.0.0.0:8080"), ["10.42.0.1:8080"]);
        assert_eq!(texts("[::]:8080"), ["10.42.0.1:8080", "[2001:db8::1]:8080"]);
        assert_eq!(texts("192.168.1.7:80"), ["192.168.1.7:80"]);
        assert_eq!(
            reachable(bound("0.0.0.0:80"), Vec::new()),
            [bound("127.0.0.1:80")]
        );
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }
}
