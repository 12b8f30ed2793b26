//! How a user is let in: what the server may want to know, and how the password is proved.

use std::sync::Arc;

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{
    AuthenticationSaslBody, AuthenticationSaslContinueBody, AuthenticationSaslFinalBody, Message,
};
use postgres_protocol::message::frontend;
use tokio::task::spawn_blocking;

use super::{Postgres, message, refused, send, unexpected};
use crate::CheckError;
use crate::checkers::connection::conversation::Conversation;
use crate::trace::Phase;

/// A login that is under way.
pub(super) struct Login<'a> {
    checker: &'a Postgres,
    talk: &'a mut Conversation,
    /// The proof by SCRAM, once that has begun.
    scram: Option<ScramSha256>,
}

impl<'a> Login<'a> {
    /// The proof by SCRAM is three messages of the server, and it has some twenty settings to tell.
    const MOST_MESSAGES: usize = 100;

    pub(super) fn new(checker: &'a Postgres, talk: &'a mut Conversation) -> Self {
        Self { checker, talk, scram: None }
    }

    /// Presents the user, and answers whatever the server wants to know until it is ready.
    pub(super) async fn run(mut self) -> Result<(), CheckError> {
        let user = &*self.checker.user;
        let database = self.checker.request.database.as_deref().unwrap_or(user);
        let parameters =
            [("user", user), ("database", database), ("application_name", "lb-health")];
        send(self.talk, |buffer| frontend::startup_message(parameters, buffer)).await?;
        for _ in 0..Self::MOST_MESSAGES {
            match self.talk.message(message::parse).await? {
                Message::ReadyForQuery(_) => return Ok(()),
                message => self.answer(message).await?,
            }
        }
        Err(CheckError::protocol("the login has no end"))
    }

    async fn answer(&mut self, message: Message) -> Result<(), CheckError> {
        match message {
            Message::AuthenticationCleartextPassword => self.show_password().await,
            Message::AuthenticationMd5Password(body) => self.prove_by_md5(body.salt()).await,
            Message::AuthenticationSasl(body) => self.begin_scram(body).await,
            Message::AuthenticationSaslContinue(body) => self.prove_by_scram(body).await,
            Message::AuthenticationSaslFinal(body) => self.end_scram(&body),
            Message::ParameterStatus(body) => {
                if let (Ok("server_version"), Ok(version)) = (body.name(), body.value()) {
                    let text = format!("PostgreSQL {version}");
                    self.talk.attempt().trace.evidence_mut().received(text);
                }
                Ok(())
            }
            Message::AuthenticationOk | Message::BackendKeyData(_) | Message::NoticeResponse(_) => {
                Ok(())
            }
            Message::ErrorResponse(body) => Err(refused(self.talk, body.fields())),
            Message::AuthenticationGss
            | Message::AuthenticationKerberosV5
            | Message::AuthenticationScmCredential
            | Message::AuthenticationSspi => {
                let text = "the server wants to authenticate the user in a way unknown here";
                Err(CheckError::rejected(text))
            }
            _ => Err(unexpected()),
        }
    }

    async fn show_password(&mut self) -> Result<(), CheckError> {
        if !self.checker.transport.is_secured() {
            let what = "the server wants the password in clear, which takes TLS";
            return Err(CheckError::rejected(what));
        }
        let password = self.password()?;
        send(self.talk, |buffer| frontend::password_message(password, buffer)).await
    }

    async fn prove_by_md5(&mut self, salt: [u8; 4]) -> Result<(), CheckError> {
        let proof = md5_hash(self.checker.user.as_bytes(), self.password()?, salt);
        send(self.talk, |buffer| frontend::password_message(proof.as_bytes(), buffer)).await
    }

    async fn begin_scram(&mut self, body: AuthenticationSaslBody) -> Result<(), CheckError> {
        let known = body.mechanisms().any(|name| Ok(name == SCRAM_SHA_256));
        if !known.map_err(CheckError::protocol)? {
            return Err(CheckError::rejected("the server knows no SCRAM-SHA-256"));
        }
        let begun = ScramSha256::new(self.password()?, ChannelBinding::unsupported());
        let first = self.scram.insert(begun).message();
        send(self.talk, |buffer| frontend::sasl_initial_response(SCRAM_SHA_256, first, buffer))
            .await
    }

    /// Goes on after the server's challenge.
    async fn prove_by_scram(
        &mut self,
        challenge: AuthenticationSaslContinueBody,
    ) -> Result<(), CheckError> {
        let begun = self.scram.take().ok_or_else(unexpected)?;
        let proving = prove(begun, challenge);
        let proven = self.talk.attempt().step(Phase::Response, proving).await?;
        let proof = self.scram.insert(proven).message();
        send(self.talk, |buffer| frontend::sasl_response(proof, buffer)).await
    }

    /// The server proves that it knows the password, too.
    fn end_scram(&mut self, body: &AuthenticationSaslFinalBody) -> Result<(), CheckError> {
        let scram = self.scram.as_mut().ok_or_else(unexpected)?;
        scram.finish(body.data()).map_err(CheckError::protocol)
    }

    fn password(&self) -> Result<&'a [u8], CheckError> {
        let missing = || CheckError::rejected("the server wants a password, and none is set");
        let password = self.checker.password.as_ref().ok_or_else(missing)?;
        Ok(password.expose().as_bytes())
    }
}

/// Takes the server's challenge, elsewhere: the proof is meant to take long.
async fn prove(
    mut scram: ScramSha256,
    challenge: AuthenticationSaslContinueBody,
) -> Result<ScramSha256, CheckError> {
    let proving = spawn_blocking(move || scram.update(challenge.data()).map(|()| scram));
    let proven = proving.await.map_err(|error| CheckError::Local {
        operation: "prove to know the password",
        source: Arc::new(error.into()),
    })?;
    proven.map_err(CheckError::protocol)
}
