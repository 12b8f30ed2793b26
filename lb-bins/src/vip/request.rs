//! What the keeper can be asked, and the handle to ask it with.

use tokio::sync::{mpsc, oneshot};

use super::balancer::Balancer;
use super::error::StartError;
use super::status::Status;
use super::watch::Looked;
use crate::config::{Config, Daemon, Door};
use crate::control::Decision;
use crate::process::Governed;
use crate::requests::Requests;

/// One request, with the way back for its answer.
#[derive(Debug)]
pub(super) enum Request {
    Order {
        instance: String,
        order: Order,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    /// Where it is administered.
    Door {
        reply: oneshot::Sender<Option<Door>>,
    },
    Ping {
        reply: oneshot::Sender<()>,
    },
    Reconfigure {
        config: Box<Config>,
        looked: Box<Looked>,
        /// Told when whoever has to leave for it has left.
        left: oneshot::Sender<Go>,
        reply: oneshot::Sender<Result<(), StartError>>,
    },
    Status {
        reply: oneshot::Sender<Status>,
    },
    Stop,
}

/// Has the keeper take over what it has left everything else for; dropped, nothing has changed.
pub(super) type Go = oneshot::Sender<()>;

/// What an administrator wants of an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// Give the addresses to whoever is next.
    Switchover,
    /// Want them again, after that.
    Preempt,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It gives them away already.
    #[error("`{instance}` is giving its addresses away already")]
    Leaving {
        /// The instance.
        instance: String,
    },
    /// Only a master has something to give away.
    #[error("`{instance}` is not master but {role}")]
    NotMaster {
        /// The instance.
        instance: String,
        /// What it is.
        role: &'static str,
    },
    /// The process is about to end.
    #[error("the process is stopping")]
    Stopping,
    /// There is no such instance.
    #[error("there is no VRRP instance `{name}`; there are: {known}")]
    UnknownInstance {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// Asks the keeper from anywhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: Requests<Request>,
    balancer: Balancer,
}

impl Handle {
    pub(super) fn new(balancer: Balancer) -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = Requests::new();
        (Self { requests, balancer }, receiver)
    }

    pub(super) const fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    /// Whether the keeper still takes up what it is asked, and the balancer, if there is one.
    pub async fn decides(&self) -> bool {
        self.keeps().await
            && match self.balancer.control() {
                Some(control) => control.decides().await,
                None => true,
            }
    }

    async fn keeps(&self) -> bool {
        self.requests.ask(|reply| Request::Ping { reply }).await.is_ok()
    }

    /// What everything is like now; `None` once the keeper has ended.
    pub async fn status(&self) -> Option<Status> {
        let mut status = self.requests.ask(|reply| Request::Status { reply }).await.ok()?;
        if let Some(control) = self.balancer.control() {
            let balancer = control.status().await?;
            (status.virtual_servers, status.checks) = (balancer.virtual_servers, balancer.checks);
        }
        Some(status)
    }

    /// Has an instance, and its sync group with it, give the addresses to whoever is next; it does
    /// not take them back from a living master until it was master again or is told to
    /// [preempt](Self::preempt).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn switchover(&self, instance: String) -> Result<(), Refusal> {
        self.order(instance, Order::Switchover).await
    }

    /// Undoes what a [switchover](Self::switchover) did to preemption.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn preempt(&self, instance: String) -> Result<(), Refusal> {
        self.order(instance, Order::Preempt).await
    }

    async fn order(&self, instance: String, order: Order) -> Result<(), Refusal> {
        let request = |reply| Request::Order { instance, order, reply };
        self.requests.ask(request).await.unwrap_or(Err(Refusal::Stopping))
    }
}

impl Governed for Handle {
    const DAEMON: Daemon = Daemon::VipKeeper;
    type Refusal = StartError;

    /// The virtual routers and the virtual servers, or neither. Whoever leaves takes the time that it
    /// takes; the balancer goes on deciding until both have only to say yes.
    async fn reconfigure(&self, config: Config) -> Result<(), StartError> {
        let door = self.requests.ask(|reply| Request::Door { reply }).await;
        let looked = Looked::at(&config, door.unwrap_or_default()).await?;
        // Nobody leaves for what would be refused afterwards.
        drop(self.balancer.prepare(&config).await?);
        let (left, has_left) = oneshot::channel();
        let (reply, answer) = oneshot::channel();
        let (looked, theirs) = (Box::new(looked), Box::new(config.clone()));
        let request = Request::Reconfigure { config: theirs, looked, left, reply };
        self.requests.send(request).await.map_err(|_| StartError::Stopping)?;
        let mut decision = None;
        // Else it is refused, and the answer says why.
        if let Ok(go) = has_left.await {
            decision = self.balancer.prepare(&config).await?;
            // Gone, it does not answer either.
            let _ = go.send(());
        }
        answer.await.unwrap_or(Err(StartError::Stopping))?;
        decision.into_iter().for_each(Decision::take_over);
        Ok(())
    }

    async fn stop(&self) {
        // It has ended already: what else could be asked.
        let _ = self.requests.send(Request::Stop).await;
        self.balancer.hear_of_stop().await;
    }

    async fn is_well(&self) -> bool {
        self.keeps().await
            && match self.balancer.control() {
                Some(control) => control.is_well().await,
                None => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::*;
    use crate::control;

    /// Of a keeper that answers, beside a balancer whose checks are so late.
    fn handle(late: Option<Duration>) -> Handle {
        let (balancer, _news) = Balancer::new(tokio::runtime::Handle::current(), NonZeroUsize::MIN);
        if let Some(late) = late {
            balancer.be(control::Handle::late(late));
        }
        let (handle, mut requests) = Handle::new(balancer);
        tokio::spawn(async move {
            while let Some(Request::Ping { reply }) = requests.recv().await {
                let _ = reply.send(());
            }
        });
        handle
    }

    #[tokio::test]
    async fn checks_that_stop_are_no_sign_of_life() {
        for (late, is_well) in [(None, true), (Some(0), true), (Some(29), true), (Some(30), false)]
        {
            let handle = handle(late.map(Duration::from_secs));
            assert!(handle.decides().await, "{late:?}");
            assert_eq!(handle.is_well().await, is_well, "{late:?}");
        }
    }
}
