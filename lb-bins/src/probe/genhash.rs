//! The words of keepalived's `genhash`, so that whoever knows them need not learn others.

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU64;

use clap::Args;

use super::ProbeError;

#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Genhash {
    /// Print the MD5 digest of a page, whatever its status, as keepalived's genhash does
    #[arg(long, requires_all = ["server", "port", "url"])]
    pub(super) genhash: bool,

    /// For --genhash: the server
    #[arg(short, long, value_name = "ADDRESS", requires = "genhash")]
    server: Option<String>,

    /// For --genhash: its port
    #[arg(short, long, requires = "genhash")]
    port: Option<u16>,

    /// For --genhash: the page, such as /index.html
    #[arg(short, long, value_name = "PATH", requires = "genhash")]
    url: Option<String>,

    /// For --genhash: use TLS, whatever the certificate
    #[arg(short = 'S', long, requires = "genhash")]
    use_ssl: bool,

    /// For --genhash: tell the name of --use-virtualhost in the TLS handshake
    #[arg(short = 'I', long, requires_all = ["use_ssl", "use_virtualhost"])]
    use_sni: bool,

    /// For --genhash: the name of the site
    #[arg(short = 'V', long, value_name = "NAME", requires = "genhash")]
    use_virtualhost: Option<String>,

    /// For --genhash: 1.0, 1.0c or 1.1
    #[arg(short = 'P', long, value_name = "VERSION", requires = "genhash")]
    protocol: Option<String>,

    /// For --genhash: also print the status, how the page begins and how long it took
    #[arg(short, long, requires = "genhash")]
    pub(super) verbose: bool,

    /// For --genhash: the mark of the packets, for rules of routing; takes CAP_NET_ADMIN
    #[arg(short = 'm', long, value_name = "MARK", requires = "genhash")]
    pub(super) fwmark: Option<u32>,

    /// For --genhash: how many seconds it may take; 5 by default
    #[arg(short, long, value_name = "SECONDS", requires = "genhash")]
    timeout: Option<NonZeroU64>,
}

impl Genhash {
    /// The same in our own words.
    pub(super) fn words(&self) -> Result<(String, SocketAddr), ProbeError> {
        let server = self.server.as_deref().unwrap_or_default();
        let unknown = || ProbeError::Address { text: server.to_owned() };
        let named = (server, self.port.unwrap_or(80)).to_socket_addrs();
        let target = named.ok().and_then(|mut found| found.next()).ok_or_else(unknown)?;
        let kind = if self.use_ssl { "https,verify=false" } else { "http" };
        let url = self.url.as_deref().unwrap_or("/");
        let timeout = self.timeout.map_or(5, NonZeroU64::get);
        let version = match self.protocol.as_deref() {
            Some("1.1") => "1.1",
            None | Some("1.0" | "1.0c" | "1.0C") => "1.0",
            Some(_) => return Err(ProbeError::Usage("-P takes 1.0, 1.0c or 1.1")),
        };
        let mut words = format!(
            "{kind},path={url:?},timeout=\"{timeout}s\",version={version:?},status=\"100-599\",\
             headers={{ User-Agent = \"KeepAliveClient\" }},body_limit={longest}",
            // As long as a page may be: it is not waited for within a check.
            longest = 1 << 30,
        );
        if let Some(mark) = self.fwmark.filter(|mark| *mark > 0) {
            words += &format!(",mark={mark}");
        }
        if let Some(name) = &self.use_virtualhost {
            words += &format!(",host={name:?}");
        }
        if self.use_ssl {
            let name = self.use_virtualhost.as_deref().filter(|_| self.use_sni);
            words += &format!(",sni={:?}", name.unwrap_or_default());
        }
        Ok((words, target))
    }
}
