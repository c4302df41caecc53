//! Keeps a balanced channel supplied with the addresses its name resolves to.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};

use super::ClientConfig;

/// A channel over every address of the configured name, followed as they change until it is dropped; over all
/// addresses where several are listed.
pub(super) fn channel(config: &ClientConfig) -> Result<Channel, tonic::transport::Error> {
    let mut endpoints =
        config.replicas().map(|address| endpoint(config, address)).collect::<Result<Vec<_>, _>>()?;
    if endpoints.len() > 1 {
        return Ok(Channel::balance_list(endpoints.into_iter()));
    }
    let Some(endpoint) = endpoints.pop() else {
        return Ok(endpoint(config, &config.address)?.connect_lazy());
    };
    let host = endpoint.uri().host().unwrap_or_default().to_owned();
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if is_address {
        return Ok(endpoint.connect_lazy());
    }
    let (channel, changes) = Channel::balance_channel(64);
    let interval = Duration::from_millis(config.resolve_interval_ms.max(100));
    let port = endpoint.uri().port_u16().unwrap_or(80);
    tokio::spawn(follow(endpoint, host, port, interval, changes));
    Ok(channel)
}

fn endpoint(config: &ClientConfig, address: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(address.to_owned())?
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .http2_adaptive_window(true))
}

async fn follow(
    endpoint: Endpoint,
    host: String,
    port: u16,
    interval: Duration,
    changes: Sender<Change<SocketAddr, Endpoint>>,
) {
    let mut known = BTreeSet::new();
    loop {
        match tokio::net::lookup_host((host.as_str(), port)).await {
            // A name that resolves to nothing for a moment keeps its last addresses.
            Ok(found) => {
                let found: BTreeSet<SocketAddr> = found.collect();
                if !found.is_empty() && apply(&endpoint, &known, &found, &changes).await.is_err() {
                    return;
                }
                if !found.is_empty() {
                    known = found;
                }
            }
            Err(error) => tracing::debug!(%host, %error, "name not resolved"),
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = changes.closed() => return,
        }
    }
}

async fn apply(
    endpoint: &Endpoint,
    known: &BTreeSet<SocketAddr>,
    found: &BTreeSet<SocketAddr>,
    changes: &Sender<Change<SocketAddr, Endpoint>>,
) -> Result<(), tokio::sync::mpsc::error::SendError<Change<SocketAddr, Endpoint>>> {
    for address in found.difference(known) {
        let scheme = endpoint.uri().scheme_str().unwrap_or("http");
        if let Ok(uri) = format!("{scheme}://{address}").parse::<http::Uri>() {
            let origin = endpoint.uri().clone();
            let one = Endpoint::from(uri)
                .origin(origin)
                .connect_timeout(endpoint.get_connect_timeout().unwrap_or(Duration::from_secs(1)))
                .tcp_nodelay(true)
                .http2_keep_alive_interval(Duration::from_secs(30))
                .keep_alive_while_idle(true);
            changes.send(Change::Insert(*address, one)).await?;
        }
    }
    for address in known.difference(found) {
        changes.send(Change::Remove(*address)).await?;
    }
    Ok(())
}
