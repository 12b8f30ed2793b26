//! How a user is let in: what is agreed upon, and how the password is proved.

use std::sync::Arc;

use super::packet::{Greeting, Login, Reply, capability};
use super::password::Plugin;
use super::{Mysql, Session, unexpected};
use crate::checkers::connection::secret::Secret;
use crate::{CheckError, Target};

/// Who logs in.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: Arc<str>,
    pub(super) password: Secret,
}

impl Mysql {
    /// Logs in, over TLS if that is asked for.
    pub(super) async fn log_in(
        &self,
        session: &mut Session<'_>,
        target: Target,
        greeting: &Greeting,
        user: &User,
    ) -> Result<(), CheckError> {
        let needed =
            capability::PROTOCOL_41 | capability::SECURE_CONNECTION | capability::PLUGIN_AUTH;
        let capabilities = self.secure(session, target, greeting, needed).await?;
        // A server whose default is not known here may have another for the user.
        let plugin = Plugin::named(&greeting.plugin).unwrap_or(Plugin::Native);
        let login = Login {
            capabilities,
            user: &user.name,
            response: &plugin.response(user.password.expose(), &greeting.salt),
            database: self.request.database.as_deref(),
            plugin: plugin.name(),
        };
        session.send(login.emit()).await?;
        self.authenticate(session, plugin, user.password.expose()).await
    }

    /// Begins TLS if that is asked for, which takes no user; answers what is asked of the server, which
    /// must have the `needed` capabilities.
    pub(super) async fn secure(
        &self,
        session: &mut Session<'_>,
        target: Target,
        greeting: &Greeting,
        needed: u32,
    ) -> Result<u32, CheckError> {
        let capabilities = self.agree(greeting, needed)?;
        if self.transport.is_secured() {
            session.send(Login::tls_request(capabilities)).await?;
            self.transport.secure(session.talk, target).await?;
        }
        Ok(capabilities)
    }

    /// The capabilities that are asked of the server, if it offers them.
    fn agree(&self, greeting: &Greeting, needed: u32) -> Result<u32, CheckError> {
        if greeting.capabilities & needed != needed {
            let what = format!("version {:?} is too old to log in to", greeting.version);
            return Err(CheckError::rejected(what));
        }
        let mut capabilities = needed;
        if self.request.database.is_some() {
            capabilities |= capability::CONNECT_WITH_DB;
        }
        if self.transport.is_secured() {
            if greeting.capabilities & capability::SSL == 0 {
                return Err(CheckError::rejected("the server offers no TLS"));
            }
            capabilities |= capability::SSL;
        }
        Ok(capabilities)
    }

    /// Proves the password, by `plugin` or by another that the server prefers, until it lets the user
    /// in.
    async fn authenticate(
        &self,
        session: &mut Session<'_>,
        mut plugin: Plugin,
        password: &str,
    ) -> Result<(), CheckError> {
        // To switch, to hear of a cached password and to send it are four replies.
        for _ in 0..4 {
            match session.reply().await? {
                Reply::Ok => return Ok(()),
                Reply::Error { code, message } => return Err(session.refused(code, &message)),
                Reply::Switch { plugin: name, salt } => {
                    plugin = Plugin::named(&name).ok_or_else(|| {
                        CheckError::rejected(format!("the user is to authenticate by {name:?}"))
                    })?;
                    session.send(plugin.response(password, &salt)).await?;
                }
                // The server remembers the password; an OK follows.
                Reply::More(step) if plugin == Plugin::CachingSha2 && step == [3] => {}
                // It does not: it wants to see it.
                Reply::More(step) if plugin == Plugin::CachingSha2 && step == [4] => {
                    if !self.transport.is_secured() {
                        let what = "the server wants the password in clear, which takes TLS";
                        return Err(CheckError::rejected(what));
                    }
                    session.send([password.as_bytes(), &[0]].concat()).await?;
                }
                reply @ (Reply::Eof | Reply::More(_)) => return Err(unexpected(&reply)),
            }
        }
        Err(CheckError::protocol("the authentication has no end"))
    }
}
