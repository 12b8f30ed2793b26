//! `--demo`: three backends and a balancer in one process, one of the backends dying now and then.

mod backend;
mod screen;
mod visitor;

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use self::backend::Backend;
use self::screen::Screen;
use self::visitor::{Visitors, Visits};
use crate::config::{Config, ConfigErrors};
use crate::control::{Control, Handle, ReloadError};
use crate::process::Signals;
use crate::status::{BackendReport, Status};
use crate::tcp::{Bound, Workers};

const WEIGHTS: [u16; 3] = [3, 2, 1];
/// The first free one of these is the balancer's.
const PORTS: std::ops::RangeInclusive<u16> = 8000..=8031;
/// How long all live, and then one is dead.
const LIFE: Duration = Duration::from_secs(6);
const DEATH: Duration = Duration::from_secs(5);

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The built-in configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The balancer cannot start.
    #[error(transparent)]
    Control(#[from] ReloadError),
    /// A backend cannot start, or the terminal is gone.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Everything that is shown.
struct Scene<'a> {
    url: &'a str,
    status: &'a Status,
    visits: Visits,
    /// Connections of each backend when somebody last died or came back.
    before: [u64; 3],
    news: &'a str,
}

struct Row<'a> {
    name: char,
    configured_weight: u16,
    report: &'a BackendReport,
    recent: u64,
}

impl Scene<'_> {
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let reports = self.status.virtual_servers.iter().flat_map(|server| &server.backends);
        ('a'..).zip(WEIGHTS).zip(self.before).zip(reports).map(
            |(((name, configured_weight), before), report)| Row {
                name,
                configured_weight,
                report,
                recent: report.connections_total.saturating_sub(before),
            },
        )
    }
}

/// Shows the demo until it is interrupted, or for `length`.
///
/// # Errors
/// [`DemoError`], if it cannot be staged.
pub async fn run(
    workers: Workers,
    signals: Signals,
    length: Option<Duration>,
) -> Result<(), DemoError> {
    let mut backends = Vec::new();
    for name in ('a'..).take(WEIGHTS.len()) {
        backends.push(Backend::start(name).await?);
    }
    let (control, address) = start(&backends, workers)?;
    let handle = control.handle();
    tokio::spawn(signals.obey(handle.clone(), None));
    let play = play(&handle, address, &mut backends, length);
    tokio::select! {
        () = control.run() => Ok(()),
        played = play => played,
    }
}

fn start(backends: &[Backend], workers: Workers) -> Result<(Control, SocketAddr), DemoError> {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    // Somebody may take the port between this look and the start: then the start says so.
    let free = PORTS.map(address).find(|&address| Bound::bind(address, 1, &[]).is_ok());
    let address = free.unwrap_or(address(*PORTS.start()));
    let config = Config::parse("demo.toml", &configuration(address, backends))?;
    Ok((Control::start(config, workers, |_, _| Box::pin(ready(())))?, address))
}

/// The demo's configuration, as a file would have it.
fn configuration(listen: SocketAddr, backends: &[Backend]) -> String {
    let mut text = format!(
        r#"
        [[virtual_server]]
        name = "demo"
        listen = "{listen}"
        scheduler = "wrr"

        [virtual_server.check]
        type = "http"
        interval = "1s"
        fast_interval = "200ms"
        rise = 2
        fall = 2
        "#
    );
    for (backend, weight) in backends.iter().zip(WEIGHTS) {
        text += &format!(
            "\n[[virtual_server.backend]]\naddress = \"{}\"\nweight = {weight}\n",
            backend.address
        );
    }
    text
}

/// Draws, and lets one backend after the other die and come back.
async fn play(
    control: &Handle,
    address: SocketAddr,
    backends: &mut [Backend],
    length: Option<Duration>,
) -> Result<(), DemoError> {
    let url = format!("http://{address}/");
    let visitors = Visitors::start(address);
    let mut screen = Screen::new();
    let mut frames = interval(screen.pace());
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (started, mut turn) = (Instant::now(), 0);
    let mut next_turn = started + LIFE;
    let (mut news, mut before) = ("all backends are alive".to_owned(), [0; 3]);
    while length.is_none_or(|length| started.elapsed() < length) {
        frames.tick().await;
        let Some(status) = control.status().await else { break };
        if Instant::now() >= next_turn {
            let count = backends.len();
            let backend = &mut backends[turn % count];
            if backend.is_alive() {
                backend.kill();
                news = format!("backend {} has been killed", backend.name);
                next_turn = Instant::now() + DEATH;
            } else {
                backend.revive().await?;
                news = format!("backend {} is alive again", backend.name);
                next_turn = Instant::now() + LIFE;
                turn += 1;
            }
            let reports = status.virtual_servers.iter().flat_map(|server| &server.backends);
            before.iter_mut().zip(reports).for_each(|(before, report)| {
                *before = report.connections_total;
            });
        }
        let visits = visitors.visits();
        screen.draw(&Scene { url: &url, status: &status, visits, before, news: &news })?;
    }
    Ok(())
}
