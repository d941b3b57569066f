//! `REDIS_URL`, read: in which form Redis is there, and how each of its servers is dialled. Nothing is connected here.

use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisResult, TlsCertificates,
};

use super::InvalidUrl;

/// Requests that may wait to be written before callers wait for room; the deadline holds for them too.
const WRITE_QUEUE: usize = 1024;

const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is.
pub(super) enum Place {
    /// One server.
    Server(Dial, Node),
    /// The master that Sentinels know under a name. Sentinels are dialled as the first says, the master as the second.
    Master {
        sentinel: Dial,
        sentinels: Vec<Node>,
        name: String,
        dial: Dial,
    },
    /// A cluster, of which these nodes are known.
    Cluster(Dial, Vec<Node>),
}

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

/// How a server is dialled, wherever it is: user, password, database, certificates.
#[derive(Clone)]
pub(super) struct Dial {
    settings: RedisConnectionInfo,
    certificates: Option<TlsCertificates>,
}

/// The parts of a URL with any number of hosts: `scheme://[user:password@]host[:port],…[/path…][?name=value…]`.
struct Parts<'a> {
    credentials: &'a str,
    hosts: Vec<&'a str>,
    path: Vec<&'a str>,
    query: &'a str,
}

impl Place {
    /// Reads `url`; certificates are trusted that `authority` (PEM) vouches for, without one those that this machine trusts.
    pub(super) fn parse(url: &str, authority: Option<&str>) -> Result<Self, InvalidUrl> {
        let url = url.trim();
        let (scheme, rest) = url
            .split_once("://")
            .ok_or(InvalidUrl("it has no scheme"))?;
        let (secure, form) = scheme.split_once('+').unwrap_or((scheme, ""));
        let is_secure = match secure {
            "redis" => false,
            "rediss" => true,
            _ => return Err(InvalidUrl("its scheme is another one")),
        };
        let parts = Parts::of(rest)?;
        let certificates = certificates(is_secure, authority)?;
        match form {
            "" => parts.server(certificates),
            "sentinel" => parts.master(certificates),
            "cluster" => parts.cluster(certificates),
            _ => Err(InvalidUrl("its scheme is another one")),
        }
    }
}

fn certificates(
    is_secure: bool,
    authority: Option<&str>,
) -> Result<Option<TlsCertificates>, InvalidUrl> {
    match authority {
        Some(_) if !is_secure => Err(InvalidUrl(
            "REDIS_CA stands beside it, but it speaks without TLS; write rediss, or leave REDIS_CA out",
        )),
        Some(pem) if !pem.contains("-----BEGIN CERTIFICATE-----") => Err(AUTHORITY),
        pem => Ok(is_secure.then(|| TlsCertificates {
            client_tls: None,
            root_cert: pem.map(|pem| pem.as_bytes().to_vec()),
        })),
    }
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, InvalidUrl> {
        if rest.contains('#') {
            return Err(InvalidUrl(
                "it holds a #; certificates are always checked, and in a password # is written %23",
            ));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((_, hosts)) => (&authority[..authority.len() - hosts.len()], hosts),
            None => ("", authority),
        };
        Ok(Self {
            credentials,
            hosts: hosts.split(',').map(str::trim).collect(),
            path: path.split('/').filter(|part| !part.is_empty()).collect(),
            query,
        })
    }

    fn server(&self, certificates: Option<TlsCertificates>) -> Result<Place, InvalidUrl> {
        self.without_query()?;
        let database = match self.path[..] {
            [] => 0,
            [database] => number(database)?,
            _ => return Err(InvalidUrl("its path is more than a database")),
        };
        let (nodes, dial) = self.nodes(SERVER_PORT, database, certificates)?;
        match <[Node; 1]>::try_from(nodes) {
            Ok([node]) => Ok(Place::Server(dial, node)),
            Err(_) => Err(InvalidUrl(
                "it names several hosts; write redis+sentinel:// or redis+cluster://",
            )),
        }
    }

    fn master(&self, certificates: Option<TlsCertificates>) -> Result<Place, InvalidUrl> {
        let (name, database) = match self.path[..] {
            [name] => (name, 0),
            [name, database] => (name, number(database)?),
            _ => {
                return Err(InvalidUrl(
                    "its path is not the name under which Sentinels know the master, and at most a database",
                ));
            }
        };
        let (sentinels, dial) = self.nodes(SENTINEL_PORT, database, certificates)?;
        Ok(Place::Master {
            sentinel: self.sentinel(dial.certificates.clone())?,
            sentinels,
            name: name.to_owned(),
            dial,
        })
    }

    fn cluster(&self, certificates: Option<TlsCertificates>) -> Result<Place, InvalidUrl> {
        self.without_query()?;
        if !matches!(self.path[..], [] | ["0"]) {
            return Err(InvalidUrl("a cluster has the database 0 alone"));
        }
        let (nodes, dial) = self.nodes(SERVER_PORT, 0, certificates)?;
        Ok(Place::Cluster(dial, nodes))
    }

    /// Sentinels have a user and a password of their own, or none.
    fn sentinel(&self, certificates: Option<TlsCertificates>) -> Result<Dial, InvalidUrl> {
        let mut settings = RedisConnectionInfo::default();
        for (name, value) in form_urlencoded::parse(self.query.as_bytes()) {
            settings = match &*name {
                "sentinel_username" => settings.set_username(value),
                "sentinel_password" => settings.set_password(value),
                _ => {
                    return Err(InvalidUrl(
                        "after its ? only sentinel_username and sentinel_password may stand",
                    ));
                }
            };
        }
        Ok(Dial {
            settings,
            certificates,
        })
    }

    fn without_query(&self) -> Result<(), InvalidUrl> {
        if self.query.is_empty() {
            return Ok(());
        }
        Err(InvalidUrl("nothing may stand after a ? in this form"))
    }

    /// The hosts, and how the servers are dialled.
    fn nodes(
        &self,
        port: u16,
        database: i64,
        certificates: Option<TlsCertificates>,
    ) -> Result<(Vec<Node>, Dial), InvalidUrl> {
        let nodes = self.hosts.iter().map(|host| Node::parse(host, port));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        let dial = Dial {
            settings: self.settings()?.set_db(database),
            certificates,
        };
        // Certificates that cannot be read are found out here.
        let node = nodes.first().ok_or(NO_HOST)?;
        dial.client(node).map_err(|_| AUTHORITY)?;
        Ok((nodes, dial))
    }

    /// User and password, which the library takes apart.
    fn settings(&self) -> Result<RedisConnectionInfo, InvalidUrl> {
        let url = format!("redis://{}host", self.credentials);
        let info = url.into_connection_info().map_err(|_| CREDENTIALS)?;
        Ok(info.redis_settings().clone())
    }
}

const CREDENTIALS: InvalidUrl = InvalidUrl(
    "its user and password cannot be read; in them / ? # @ and % are written %2F %3F %23 %40 and %25",
);
const PORT: InvalidUrl = InvalidUrl(
    "a port in it is no number; in user and password / ? # @ and % are written %2F %3F %23 %40 and %25",
);
const AUTHORITY: InvalidUrl = InvalidUrl("REDIS_CA, beside it, is no certificate in PEM");
const NO_HOST: InvalidUrl = InvalidUrl("it names no host");

fn number(database: &str) -> Result<i64, InvalidUrl> {
    let database = database.parse::<u16>();
    database.map(i64::from).map_err(|_| {
        InvalidUrl(
            "its database is no number; in user and password / ? # @ and % are written %2F %3F %23 %40 and %25",
        )
    })
}

impl Node {
    fn parse(host: &str, default: u16) -> Result<Self, InvalidUrl> {
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| PORT)?),
            _ => (host, default),
        };
        let host = unbracketed(host);
        if host.is_empty() {
            return Err(NO_HOST);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The server that one at `asked` calls `host`: no host, or `?`, means its own.
    pub(super) fn of(host: &str, port: u16, asked: &Self) -> Option<Self> {
        let host = match host {
            "" | "?" => &asked.host,
            host => host,
        };
        (port > 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The same of an address as `MOVED` and `ASK` name it.
    pub(super) fn told(address: &str, asked: &Self) -> Option<Self> {
        let (host, port) = address.rsplit_once(':')?;
        Self::of(unbracketed(host), port.parse().ok()?, asked)
    }
}

/// The address in `[…]`, which is how IPv6 stands before a port.
fn unbracketed(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Dial {
    /// A connection to the server at `node`. Nothing of it waits for ever only because whoever asks gives a deadline.
    pub(super) async fn connect(&self, node: &Node) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WRITE_QUEUE);
        let client = self.client(node)?;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    fn client(&self, node: &Node) -> RedisResult<Client> {
        let (host, port) = (node.host.clone(), node.port);
        let address = match self.certificates {
            Some(_) => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            None => ConnectionAddr::Tcp(host, port),
        };
        // Nagle's algorithm would hold a request back until the one before it is answered.
        let info = address
            .into_connection_info()?
            .set_redis_settings(self.settings.clone())
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: u16) -> Node {
        Node {
            host: host.to_owned(),
            port,
        }
    }

    fn refused(url: &str) -> &'static str {
        match Place::parse(url, None) {
            Err(InvalidUrl(why)) => why,
            Ok(_) => panic!("{url} is taken"),
        }
    }

    #[test]
    fn a_server_has_a_port_a_database_a_user_and_a_password_unless_they_are_left_out() {
        let Ok(Place::Server(dial, server)) =
            Place::parse("redis://us%2Fer:p%40ss@[::1]:7/3", None)
        else {
            panic!("not taken");
        };
        assert_eq!(
            (&server, server.to_string()),
            (&node("::1", 7), "[::1]:7".into())
        );
        let settings = &dial.settings;
        let read = (settings.username(), settings.password(), settings.db());
        assert_eq!(read, (Some("us/er"), Some("p@ss"), 3));
        let Ok(Place::Server(dial, server)) = Place::parse(" redis://redis\n", None) else {
            panic!("not taken");
        };
        assert_eq!(server, node("redis", 6379));
        assert_eq!((dial.settings.username(), dial.settings.db()), (None, 0));
    }

    #[test]
    fn sentinels_have_credentials_of_their_own() {
        let url = "redis+sentinel://:data@a,b:5/main/2?sentinel_username=u&sentinel_password=p";
        let Ok(Place::Master {
            sentinel,
            sentinels,
            name,
            dial,
        }) = Place::parse(url, None)
        else {
            panic!("not taken");
        };
        assert_eq!(sentinels, [node("a", 26379), node("b", 5)]);
        assert_eq!(name, "main");
        assert_eq!(
            (dial.settings.password(), dial.settings.db()),
            (Some("data"), 2)
        );
        let settings = &sentinel.settings;
        assert_eq!(
            (settings.username(), settings.password()),
            (Some("u"), Some("p"))
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let escapes = " / ? # @ and % are written %2F %3F %23 %40 and %25";
        for (url, why) in [
            ("redis:6379", "it has no scheme"),
            ("http://a", "its scheme is another one"),
            ("redis+ring://a", "its scheme is another one"),
            ("redis://", "it names no host"),
            ("redis+cluster://a,,b", "it names no host"),
            ("redis://a:port", escapes),
            ("redis://user:pa/ss@a", escapes),
            ("redis://a/main", "its database is no number"),
            ("redis://a/1/2", "its path is more than a database"),
            ("redis://a,b", "write redis+sentinel:// or redis+cluster://"),
            ("redis://a?protocol=resp3", "nothing may stand after a ?"),
            ("rediss://a/#insecure", "certificates are always checked"),
            ("redis+sentinel://a", "its path is not the name"),
            (
                "redis+sentinel://a/main?password=x",
                "only sentinel_username and sentinel_password",
            ),
            ("redis+cluster://a/1", "a cluster has the database 0 alone"),
        ] {
            assert!(refused(url).contains(why), "{url}: {}", refused(url));
        }
    }

    #[test]
    fn an_authority_is_refused_where_it_would_not_be_used_or_cannot_be_read() {
        for (url, authority, why) in [
            ("redis://a", "", "write rediss"),
            (
                "rediss://a",
                "not a certificate",
                "is no certificate in PEM",
            ),
            (
                "rediss://a",
                "-----BEGIN CERTIFICATE-----\n",
                "is no certificate in PEM",
            ),
        ] {
            let Err(InvalidUrl(said)) = Place::parse(url, Some(authority)) else {
                panic!("{authority} is taken");
            };
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_node_told_without_a_host_is_where_it_was_asked() {
        let asked = node("asked", 1);
        assert_eq!(Node::told(":7", &asked), Some(node("asked", 7)));
        assert_eq!(Node::told("?:7", &asked), Some(node("asked", 7)));
        assert_eq!(Node::told("::1:7", &asked), Some(node("::1", 7)));
        assert_eq!(Node::told("other:0", &asked), None);
        assert_eq!(Node::told("other", &asked), None);
    }
}
