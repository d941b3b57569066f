//! Where Redis is: one server, the master that Sentinels name, or a cluster; each with or without TLS. A place is read from
//! `REDIS_URL` and gives connections; nothing is kept of those.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    Pipeline, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use tokio::sync::Mutex;

use super::InvalidUrl;

/// Requests that may wait to be written before callers wait for room; the deadline holds for them too.
const WRITE_QUEUE: usize = 1024;
/// How often a cluster's client asks another node for what the first one sent it away with.
const CLUSTER_RETRIES: u32 = 3;

/// Where Redis is.
pub(super) enum Place {
    One(Box<Client>),
    /// Asked by one at a time, since it remembers which Sentinels answered.
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

/// A connection, whatever is behind it. Clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The parts of a URL with several hosts: `scheme://[user:password@]host[:port],…[/path…][?name=value…]`.
struct Parts<'a> {
    credentials: &'a str,
    hosts: Vec<&'a str>,
    path: Vec<&'a str>,
    query: &'a str,
}

impl Place {
    /// Reads `url`; certificates are trusted that `authority` (PEM) vouches for, without one those that this machine trusts.
    pub(super) fn parse(url: &str, authority: Option<&str>) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.trim().split_once("://").ok_or(InvalidUrl)?;
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: authority.map(|pem| pem.as_bytes().to_vec()),
        };
        let place = match scheme {
            "redis" | "rediss" => one(url.trim(), certificates),
            "redis+sentinel" => sentinel(&Parts::of(rest)?, "redis", certificates),
            "rediss+sentinel" => sentinel(&Parts::of(rest)?, "rediss", certificates),
            "redis+cluster" => cluster(&Parts::of(rest)?, "redis", certificates),
            "rediss+cluster" => cluster(&Parts::of(rest)?, "rediss", certificates),
            _ => None,
        };
        place.ok_or(InvalidUrl)
    }

    /// A new connection. Nothing of it waits for ever: whoever asks gives a deadline.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WRITE_QUEUE);
        match self {
            Self::One(client) => client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .map(Connection::One),
            Self::Sentinel(client) => {
                let mut client = client.lock().await;
                let connection = client.get_async_connection_with_config(&config).await;
                connection.map(Connection::One)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, InvalidUrl> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((_, hosts)) => (&authority[..authority.len() - hosts.len()], hosts),
            None => ("", authority),
        };
        let hosts: Vec<_> = hosts.split(',').map(str::trim).collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err(InvalidUrl);
        }
        let path = path.split('/').filter(|part| !part.is_empty()).collect();
        Ok(Self {
            credentials,
            hosts,
            path,
            query,
        })
    }

    /// Each host as the library reads it, with the credentials.
    fn nodes(&self, scheme: &str, port: u16) -> Option<Vec<ConnectionInfo>> {
        let node = |host: &&str| {
            let has_port = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| !port.ends_with(']'));
            let port = if has_port {
                String::new()
            } else {
                format!(":{port}")
            };
            let url = format!("{scheme}://{}{host}{port}", self.credentials);
            let info = url.into_connection_info().ok()?;
            // Nagle's algorithm would hold a request back until the one before it is answered.
            Some(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
        };
        self.hosts.iter().map(node).collect()
    }
}

fn one(url: &str, certificates: TlsCertificates) -> Option<Place> {
    let info = url.into_connection_info().ok()?;
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let is_secure = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let client = if is_secure {
        Client::build_with_tls(info, certificates)
    } else {
        Client::open(info)
    };
    client.ok().map(|client| Place::One(Box::new(client)))
}

fn sentinel(parts: &Parts<'_>, scheme: &str, certificates: TlsCertificates) -> Option<Place> {
    let (master, database) = match parts.path[..] {
        [master] => (master, 0),
        [master, database] => (master, database.parse().ok()?),
        _ => return None,
    };
    let nodes = parts.nodes(scheme, 26379)?;
    let settings = nodes.first()?.redis_settings().clone();
    let addresses = nodes.into_iter().map(|node| node.addr().clone());
    let nodelay = || TcpSettings::default().set_nodelay(true);
    let mut builder =
        SentinelClientBuilder::new(addresses, master, SentinelServerType::Master).ok()?;
    builder = builder
        .set_client_to_redis_db(database)
        .set_client_to_redis_tcp_settings(nodelay())
        .set_client_to_sentinel_tcp_settings(nodelay());
    if let Some(username) = settings.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    // Sentinels have a password of their own, or none.
    for (name, value) in form_urlencoded::parse(parts.query.as_bytes()) {
        builder = match &*name {
            "sentinel_username" => builder.set_client_to_sentinel_username(value),
            "sentinel_password" => builder.set_client_to_sentinel_password(value),
            _ => return None,
        };
    }
    if scheme == "rediss" {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    let client = builder.build().ok()?;
    Some(Place::Sentinel(Box::new(Mutex::new(client))))
}

fn cluster(parts: &Parts<'_>, scheme: &str, certificates: TlsCertificates) -> Option<Place> {
    // A cluster has the database 0 alone.
    if !matches!(parts.path[..], [] | ["0"]) || !parts.query.is_empty() {
        return None;
    }
    let mut builder = ClusterClient::builder(parts.nodes(scheme, 6379)?)
        .retries(CLUSTER_RETRIES)
        .tcp_settings(TcpSettings::default().set_nodelay(true));
    if scheme == "rediss" {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder
        .build()
        .ok()
        .map(|client| Place::Cluster(Box::new(client)))
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
