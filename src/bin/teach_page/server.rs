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
        let Ok(mut address) = self.listener.local_addr() else {
            return;
        };
        if address.ip().is_unspecified() {
            address.set_ip(tls::outward_address().unwrap_or(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            }));
        }
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        let Some(token) = page.access.token() else {
            println!("The page is at {scheme}://{address}/");
            return;
        };
        let url = format!("{scheme}://{address}/?token={token}");
        println!("The page is at {url}");
        if let Ok(code) = QrCode::new(&url) {
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
