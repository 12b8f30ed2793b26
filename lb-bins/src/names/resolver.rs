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
pub(super) struct Resolver(Result<TokioResolver, Arc<str>>);

impl Resolver {
    /// By these servers, or else by those of `/etc/resolv.conf`; `/etc/hosts` stands above them.
    pub(super) fn of(servers: &[SocketAddr]) -> Self {
        let mut builder = if servers.is_empty() {
            match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                Err(error) => return Self(Err(format!("/etc/resolv.conf: {error}").into())),
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
        Self(builder.build().map_err(|error| error.to_string().into()))
    }

    /// The addresses of a host, and until when they are good.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) async fn lookup(&self, host: &str) -> Result<(Vec<IpAddr>, Instant), Arc<str>> {
        let resolver = self.0.as_ref().map_err(Arc::clone)?;
        match resolver.lookup_ip(host).await {
            Ok(answer) => Ok((answer.iter().collect(), answer.valid_until().into())),
            Err(error) if error.is_nx_domain() => Err("there is no such name".into()),
            Err(error) if error.is_no_records_found() => Err("it has no address".into()),
            Err(error) => Err(error.to_string().into()),
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
