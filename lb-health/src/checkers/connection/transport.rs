//! How a conversation is come to: from where, and over TLS or in clear.

use super::conversation::Conversation;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::checkers::Tcp;
use crate::{CheckError, Target};

/// What the checkers that converse have in common.
#[derive(Clone, Debug, Default)]
pub(in crate::checkers) struct Transport {
    pub(in crate::checkers) connector: Tcp,
    #[cfg(feature = "tls")]
    pub(in crate::checkers) tls: Option<Tls>,
}

impl Transport {
    /// Whether the conversation has to go over TLS.
    pub(in crate::checkers) const fn is_secured(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Goes on over TLS, if it has to.
    pub(in crate::checkers) async fn secure(
        &self,
        talk: &mut Conversation,
        target: Target,
    ) -> Result<(), CheckError> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return talk.encrypt(tls, target).await;
        }
        let _ = (talk, target);
        Ok(())
    }
}

/// Makes a checker of a type that has a `transport` and an `async fn talk(&self, &mut Conversation,
/// Target) -> Result<(), CheckError>`, which is one whole run over it; or else, told so, an `async fn
/// run(self, Target) -> Result<Report, Failure>`.
macro_rules! conversing {
    ($checker:ident) => {
        impl $checker {
            async fn run(self, target: $crate::Target) -> Result<$crate::Report, $crate::Failure> {
                let connector = &self.transport.connector;
                let talk = async |talk: &mut _| self.talk(talk, target).await;
                $crate::checkers::connection::conversation::Conversation::hold(
                    connector, target, talk,
                )
                .await
            }
        }

        conversing!($checker, run);
    };
    ($checker:ident, run) => {
        impl $checker {
            /// This checker, connecting by `connector`.
            #[must_use]
            pub fn with_connector(mut self, connector: $crate::checkers::Tcp) -> Self {
                self.transport.connector = connector;
                self
            }
        }

        $crate::checkers::service::checker!($checker);
    };
}

/// Makes `with_tls` of a checker that has a `transport`; `details` end the sentence on it.
#[allow(unused_macros, reason = "steps of send and expect begin TLS themselves")]
macro_rules! securing {
    ($checker:ident, $details:literal) => {
        #[cfg(feature = "tls")]
        impl $checker {
            #[doc = concat!("This checker, talking TLS", $details, ".")]
            #[must_use]
            pub fn with_tls(mut self, tls: $crate::checkers::Tls) -> Self {
                self.transport.tls = Some(tls);
                self
            }
        }
    };
}

pub(in crate::checkers) use conversing;
#[allow(unused_imports, reason = "each checker uses its own part")]
pub(in crate::checkers) use securing;
