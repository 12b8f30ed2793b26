//! Who is asked for names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::time::Instant;

/// How long one server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A resolver, or why there is none.
pub(super) struct Resolver {
    resolver: Result<TokioResolver, Arc<str>>,
    /// Who is asked, in words.
    asked: String,
}

impl Resolver {
    /// By these servers, or else by those of `/etc/resolv.conf`; `/etc/hosts` stands above them.
    pub(super) fn of(servers: &[SocketAddr]) -> Self {
        let asked = match servers {
            [] => "the servers of /etc/resolv.conf".to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let mut builder = if servers.is_empty() {
            match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                Err(error) => {
                    let resolver = Err(format!("/etc/resolv.conf: {error}").into());
                    return Self { resolver, asked };
                }
            }
        } else {
            let servers = servers.iter().map(|&server| name_server(server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = TIMEOUT;
        options.use_hosts_file = ResolveHosts::Always;
        // A balancer that has both reaches a server that has both by either.
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        // Whoever asks knows how long an answer is good for.
        options.cache_size = 0;
        Self { resolver: builder.build().map_err(|error| error.to_string().into()), asked }
    }

    /// The addresses of a host, and until when they are good.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) async fn lookup(&self, host: &str) -> Result<(Vec<IpAddr>, Instant), Arc<str>> {
        let resolver = self.resolver.as_ref().map_err(Arc::clone)?;
        match resolver.lookup_ip(host).await {
            Ok(answer) => Ok((answer.iter().collect(), answer.valid_until().into())),
            Err(error) if error.is_nx_domain() => Err("there is no such name".into()),
            Err(error) if error.is_no_records_found() => Err("it has no address".into()),
            Err(error) => Err(format!("{error}, asking {}", self.asked).into()),
        }
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolver").finish_non_exhaustive()
    }
}
