//! [`Discovery`]: backends that come and go as a [`Discover`] says.

mod members;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;
use tower::discover::{Change, Discover};

use super::clock::{Alarm, Clock};
use crate::director::Director;
use crate::env::Env;
use crate::flow::ClientKey;
use crate::virtual_server::{
    Action, BackendConfig, ConfigError, Event, VirtualServer, VirtualServerConfig,
};
use members::Members;

/// How many changes one round takes up at most, so that a discovery which is always ready neither
/// keeps its thread to itself nor delays the publication for ever.
const BATCH: usize = 1024;

pin_project! {
    /// Keeps a [`Director`] to what a [`Discover`] finds: the place of `tower::balance` and of
    /// tonic's `balance_channel`, for any scheduler, any weights and any number of tasks.
    ///
    /// It does nothing by itself: poll it ([`next`](Self::next), in a task of yours), and it takes
    /// up every change that is ready, publishes them together, and gives back what you may want to
    /// know: events of the quorum (the first backend was found, the last one went), and errors.
    ///
    /// | the discovery says | what becomes of the backend |
    /// |---|---|
    /// | `Insert`, unknown key | new, with an identity and counters of its own |
    /// | `Insert`, known key | another endpoint, and another weight if it says so; identity, counters, health and the administrator's word stay, flows that are under way end where they are |
    /// | `Remove` | gone; its flows end where they are |
    /// | `Remove`, then `Insert` before that was published | as if it had never gone |
    /// | an error | all stay, and the discovery is asked again |
    /// | the end | all stay |
    ///
    /// One backend that lives is enough, and nothing takes time, unless a [configuration of
    /// yours](Self::with_config) says otherwise: quorum, sorry server, slow start, panic and draining are
    /// those of a [`VirtualServer`].
    ///
    /// Schedulers see the backends in the order of their names, so that instances which heard of
    /// them in different orders agree. Nothing is published before the discovery said something: a
    /// pool that the director has already serves until then.
    ///
    /// A director whose `Discovery` is dropped keeps the pool it has. Another `Discovery` for it
    /// would issue identities anew, and with them counters and persisted clients: give one that
    /// must be begun again to the same `Discovery`, as one stream.
    ///
    /// # Cost
    ///
    /// At most one publication each time it is polled, of at most 1024 changes. A publication
    /// clones every endpoint, and costs what [`Pool::new`](crate::Pool::new) does. While what it
    /// told is not taken, it takes up nothing more.
    ///
    /// ```
    /// use std::{convert::Infallible, sync::Arc};
    /// use lb_core::service::{Balance, Discovery};
    /// use lb_core::{Algorithm, Director, Pool};
    /// use tower::{Service, ServiceExt, discover::Change, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (changes, discover) = futures::channel::mpsc::unbounded(); // or whatever finds yours
    /// let director = Arc::new(Director::new(Pool::empty(&*Algorithm::Wlc.scheduler())));
    /// let mut discovery = Discovery::new(discover, Arc::clone(&director));
    /// let driver = tokio::spawn(async move {
    ///     while let Some(told) = discovery.next().await {
    ///         println!("{told:?}");
    ///     }
    /// });
    ///
    /// let upstream = service_fn(|path: String| async move { Ok::<_, Infallible>(path + " from a") });
    /// changes.unbounded_send(Ok::<_, Infallible>(Change::Insert("a", upstream)))?;
    /// # drop(changes);
    /// # driver.await?;
    /// let mut balance = Balance::over_services(director, |_: &String| ());
    /// assert_eq!(balance.ready().await?.call("/".to_owned()).await?, "/ from a");
    /// # Ok(()) }
    /// ```
    #[must_use = "a discovery does nothing unless polled"]
    pub struct Discovery<D, K, E, F>
    where
        D: Discover,
    {
        #[pin]
        discover: D,
        config: F,
        director: Arc<Director<K, E>>,
        // Everything but the backends.
        template: VirtualServerConfig<E>,
        server: VirtualServer<E>,
        members: Members<D::Key, E>,
        told: VecDeque<Result<Event, DiscoveryError<D::Error>>>,
        ended: bool,
        time: Option<Time>,
    }
}

/// The time, and what wakes when it has come.
struct Time {
    clock: Clock,
    alarm: Option<Alarm>,
}

/// How the backends of a plain [`Discovery`] are configured.
type Plainly<Key, S> = fn(&Key, S) -> BackendConfig<S>;

impl<D, K> Discovery<D, K, D::Service, Plainly<D::Key, D::Service>>
where
    D: Discover,
    D::Key: fmt::Display + Hash,
    K: ClientKey,
{
    /// Publishes what `discover` finds to `director`, scheduled as the director's pool is. Backends
    /// are named by their keys, weigh 1, and take flows at once.
    pub fn new(discover: D, director: Arc<Director<K, D::Service>>) -> Self {
        Self::configured_by(discover, director, |key, service| {
            BackendConfig::new(key.to_string(), service).initially_up()
        })
    }
}

impl<D, K, E, F> Discovery<D, K, E, F>
where
    D: Discover,
    D::Key: Hash,
    K: ClientKey,
    F: FnMut(&D::Key, D::Service) -> BackendConfig<E>,
{
    /// The same with names, weights and endpoints as `config` makes them of what is found.
    ///
    /// Say [`initially_up`](BackendConfig::initially_up) for each backend that nobody checks: one
    /// that is not takes flows only after a verdict ([`server_mut`](Self::server_mut)).
    ///
    /// ```
    /// # use std::{convert::Infallible, sync::Arc};
    /// # use lb_core::service::Discovery;
    /// # use lb_core::virtual_server::BackendConfig;
    /// # use lb_core::{Algorithm, Director, Pool};
    /// # use tower::discover::Change;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let found = [Ok::<_, Infallible>(Change::Insert(("eu", 7), (3, "10.0.0.7:80")))];
    /// # let discover = futures::stream::iter(found);
    /// # let director = Arc::new(Director::<(), _>::new(Pool::empty(&*Algorithm::Wrr.scheduler())));
    /// // Found are `(region, number)` keys with a weight and an address.
    /// let mut discovery = Discovery::configured_by(discover, director, |key: &(_, u8), found| {
    ///     let ((region, number), (weight, address)) = (key, found);
    ///     BackendConfig::new(format!("{region}-{number}"), address).weighing(weight).initially_up()
    /// });
    /// # while discovery.next().await.is_some() {}
    /// # let backend = discovery.server().backends().next().unwrap();
    /// # assert_eq!((backend.name, backend.weight.value()), ("eu-7", 3));
    /// # }
    /// ```
    pub fn configured_by(discover: D, director: Arc<Director<K, E>>, config: F) -> Self {
        let scheduler = Arc::clone(director.pool().scheduler());
        let mut server = VirtualServer::new(VirtualServerConfig::of([]), scheduler)
            .expect("a configuration without backends contradicts nothing");
        // What a server without backends would publish is not what was found.
        while server.poll_action().is_some() {}
        Self {
            discover,
            config,
            director,
            template: VirtualServerConfig::of([]),
            server,
            members: Members::default(),
            told: VecDeque::new(),
            ended: false,
            time: None,
        }
    }

    /// The same with the quorum, the sorry server, the slow start and all else that `template` says: its
    /// own backends are not looked at, whatever is found is in their place. To be called before the
    /// first backend is found.
    ///
    /// A quorum that cannot be reached by the backends that were found so far is not reached. Who is
    /// found first has all of its share at once, and who is found beside others begins slowly, if that is
    /// configured. Time and alarms are those of `env`. **One that cannot wake anybody, such as
    /// [`SystemEnv`](crate::env::SystemEnv), is for templates in which nothing takes time**: it leaves
    /// those on their way where they are until something else happens.
    ///
    /// ```
    /// use std::{convert::Infallible, sync::Arc};
    /// use lb_core::env::SystemEnv;
    /// use lb_core::quorum::QuorumRule;
    /// use lb_core::service::Discovery;
    /// use lb_core::virtual_server::{BackendConfig, SorryMode, SorryServer, VirtualServerConfig};
    /// use lb_core::{Algorithm, Director, Pool};
    /// use tower::discover::Change;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sorry = BackendConfig::new("sorry", "10.0.0.99:80");
    /// let template = VirtualServerConfig::of([])
    ///     .with_quorum(QuorumRule::new(2, 0)?)
    ///     .with_sorry(SorryServer::new(sorry, SorryMode::QuorumLost));
    /// let director = Arc::new(Director::<(), _>::new(Pool::empty(&*Algorithm::Wlc.scheduler())));
    /// let discover = futures::stream::iter([Ok::<_, Infallible>(Change::Insert("a", "10.0.0.1:80"))]);
    /// let mut discovery = Discovery::new(discover, Arc::clone(&director))
    ///     .with_config(template, SystemEnv)?; // `TokioEnv` for a slow start or a drain timeout
    /// while discovery.next().await.is_some() {}
    /// // One is not enough.
    /// assert_eq!(director.pool().backends()[0].name(), "sorry");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`], if the template contradicts itself.
    pub fn with_config<V>(
        self,
        template: VirtualServerConfig<E>,
        env: V,
    ) -> Result<Self, ConfigError>
    where
        V: Env + Send + Sync + 'static,
        V::Sleep: Send + 'static,
        E: Clone,
    {
        let template = VirtualServerConfig { backends: Vec::new(), ..template };
        template.validate()?;
        let mut this = Self { time: Some(Time { clock: Clock::of(env), alarm: None }), ..self };
        this.template = template;
        this.server.take_over(this.members.config(&this.template));
        // Still nobody was found.
        while this.server.poll_action().is_some() {}
        Ok(this)
    }

    /// Waits for the next thing to tell, and meanwhile publishes what is found; `None` once the
    /// discovery has ended, and nobody is on the way to anything.
    ///
    /// Dropping the future at any point loses nothing: it can stand in a `select`. What is not
    /// [`Unpin`] has to be boxed ([`Box::pin`]).
    ///
    /// # Errors
    /// [`DiscoveryError`]. None ends the discovery: go on polling.
    pub async fn next(&mut self) -> Option<Result<Event, DiscoveryError<D::Error>>>
    where
        D: Unpin,
        E: Clone,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The same for tasks that poll by hand.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, DiscoveryError<D::Error>>>>
    where
        E: Clone,
    {
        if self.told.is_empty() {
            self.as_mut().take_up(cx);
        }
        let this = self.project();
        match this.told.pop_front() {
            Some(told) => Poll::Ready(Some(told)),
            None if *this.ended
                && (this.time.is_none() || this.server.next_deadline().is_none()) =>
            {
                Poll::Ready(None)
            }
            None => Poll::Pending,
        }
    }

    /// One round: everything that is ready, and then one publication.
    fn take_up(self: Pin<&mut Self>, cx: &mut Context<'_>)
    where
        E: Clone,
    {
        let mut this = self.project();
        let mut changed = false;
        let mut left = BATCH;
        while !*this.ended {
            if left == 0 {
                cx.waker().wake_by_ref();
                break;
            }
            left -= 1;
            match this.discover.as_mut().poll_discover(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => *this.ended = true,
                Poll::Ready(Some(Ok(Change::Insert(key, service)))) => {
                    let backend = (this.config)(&key, service);
                    match this.members.insert(key, backend) {
                        Ok(()) => changed = true,
                        Err(twin) => this.told.push_back(Err(twin.into())),
                    }
                }
                Poll::Ready(Some(Ok(Change::Remove(key)))) => changed |= this.members.remove(&key),
                Poll::Ready(Some(Err(error))) => {
                    this.told.push_back(Err(DiscoveryError::Discover(error)));
                    break;
                }
            }
        }
        if changed {
            this.server.take_over(this.members.config(this.template));
        }
        if let Some(time) = this.time.as_ref() {
            this.server.handle_timeout(time.clock.now());
        }
        while let Some(action) = this.server.poll_action() {
            match action {
                Action::Notify(event) => this.told.push_back(Ok(event)),
                Action::Publish(pool) => this.director.publish(pool),
            }
        }
        if let Some(time) = this.time {
            time.sleep(this.server.next_deadline(), cx);
        }
    }
}

impl Time {
    /// Has `cx` woken at the deadline, if there is one.
    fn sleep(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) {
        if self.alarm.as_ref().map(Alarm::at) != deadline {
            self.alarm = deadline.map(|at| self.clock.alarm(at));
        }
        // What has come meanwhile is the next round's.
        if self.alarm.as_mut().is_some_and(|alarm| alarm.poll(cx).is_ready()) {
            self.alarm = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl<D, K, E, F> Discovery<D, K, E, F>
where
    D: Discover,
{
    /// Who was found, and in which state.
    pub const fn server(&self) -> &VirtualServer<E> {
        &self.server
    }

    /// The same, to be told verdicts of checks and the administrator's word. What follows from it
    /// is published when the discovery is polled next, even after its end.
    ///
    /// The discovery reconfigures the server with every change: what is to outlast that is said
    /// [beforehand](Self::with_config).
    pub const fn server_mut(&mut self) -> &mut VirtualServer<E> {
        &mut self.server
    }

    /// Where it publishes.
    pub const fn director(&self) -> &Arc<Director<K, E>> {
        &self.director
    }
}

impl<D, K, E, F> fmt::Debug for Discovery<D, K, E, F>
where
    D: Discover,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("server", &self.server)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What a discovery could not do. Whoever was found before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError<E> {
    /// Two keys under one name: the second is left out until the discovery inserts it again.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The discovery itself failed.
    #[error("the discovery failed: {0}")]
    Discover(E),
}
