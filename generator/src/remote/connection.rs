//! One request on one connection. A new one each time: opening it costs nothing beside a text, a name with several
//! addresses is balanced over them, and dropping the answer closes it, which is how a server learns to stop writing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::AbortOnDropHandle;

use super::RemoteConfig;

/// What is read of an answer that is an error, bytes.
const MOST_OF_AN_ERROR: usize = 2048;

/// Where and how texts are asked for.
pub(super) struct Server {
    uri: Uri,
    host: String,
    port: u16,
    key: Option<HeaderValue>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody was reached: nothing was asked.
    #[error("it was not reached: {0}")]
    Unreached(String),
    /// The server answered with an error.
    #[error("it answered {status}: {told}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        told: String,
    },
    /// The answer broke off, or is none that can be read.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// Whether it may be asked again: nothing has begun.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreached(_) | Self::Refused { status: 503, .. })
    }
}

/// An answer that has begun; the connection closes when it is dropped.
pub(super) struct Answer {
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Answer {
    /// The next piece of the body; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Failure::Broken(format!("the answer broke off: {error}")))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Server {
    /// The server of `config`. Nothing is connected yet.
    pub(super) fn new(config: &RemoteConfig) -> anyhow::Result<Self> {
        let uri = config.uri().context("url is no address")?;
        let host = uri.host().context("url has no host")?.trim_matches(['[', ']']).to_owned();
        let secure = uri.scheme_str() == Some("https");
        let key = match config.api_key.expose() {
            "" => None,
            key => {
                let mut key = HeaderValue::try_from(format!("Bearer {key}"))
                    .map_err(|_| anyhow::anyhow!("api_key has characters that no header may have"))?;
                key.set_sensitive(true);
                Some(key)
            }
        };
        Ok(Self {
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls: secure.then(|| tls(config, &host)).transpose()?,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            uri,
            host,
            key,
        })
    }

    /// Sends `asked`, JSON, and returns when an answer has begun.
    pub(super) async fn ask(&self, asked: Bytes) -> Result<Answer, Failure> {
        let unreached = |error: &dyn std::fmt::Display| Failure::Unreached(error.to_string());
        let opening = tokio::time::timeout(self.connect_timeout, self.open()).await;
        let stream =
            opening.map_err(|_| unreached(&"it took too long"))?.map_err(|error| unreached(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreached(&error))?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // Whoever reads the answer is told of what fails here.
            let _ = connection.await;
        }));
        let request = self.request(asked).map_err(|error| unreached(&error))?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| Failure::Broken(format!("no answer came: {error}")))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        Ok(Answer { body: response.into_body(), _connection: connection })
    }

    async fn open(&self) -> std::io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // Words come one by one.
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        };
        Ok(stream)
    }

    fn request(&self, asked: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, authority)
            .header(USER_AGENT, concat!("bespoke/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream");
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key);
        }
        request.body(Full::new(asked))
    }
}

async fn refused(response: Response<Incoming>) -> Failure {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut told = Vec::new();
    while told.len() < MOST_OF_AN_ERROR
        && let Some(Ok(frame)) = body.frame().await
    {
        told.extend(frame.into_data().unwrap_or_default());
    }
    let told = String::from_utf8_lossy(&told);
    Failure::Refused {
        status,
        told: told.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect(),
    }
}

fn tls(config: &RemoteConfig, host: &str) -> anyhow::Result<(TlsConnector, ServerName<'static>)> {
    let mut roots = RootCertStore::empty();
    if config.authorities.as_os_str().is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    } else {
        let file = config.authorities.display();
        for certificate in
            CertificateDer::pem_file_iter(&config.authorities).with_context(|| format!("{file}"))?
        {
            roots.add(certificate.with_context(|| format!("{file}"))?)?;
        }
        ensure!(!roots.is_empty(), "{file} has no certificate");
    }
    let settings = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(settings)), ServerName::try_from(host.to_owned())?))
}
