//! Passes when a MySQL or MariaDB server lets a user in, and answers.

mod login;
mod packet;
mod password;

use self::login::User;
use self::packet::{Greeting, Malformed, Packet, Reply, command};
use super::connection::conversation::Conversation;
use super::connection::transport::{Transport, conversing, securing};
use super::database::{Request, requesting};
use crate::trace::Excerpt;
use crate::{CheckError, Target};

/// Passes when a MySQL or MariaDB server lets a user in, and answers: to a ping, to a
/// [query](Self::with_query), or that it is [writable](Self::with_writable).
///
/// The user needs no privilege at all (`CREATE USER check IDENTIFIED BY …`). It is authenticated by
/// `mysql_native_password` or `caching_sha2_password`. The latter wants the password itself while
/// the server has nobody of that name in its cache (after a restart, a new password, `FLUSH
/// PRIVILEGES`): that is done [over TLS](Self::with_tls), and without it fails. Every run that
/// was let in takes its leave, so that the server counts no aborted connection.
///
/// **Without a [user](Self::with_user)** only the greeting is awaited, and TLS begun if that is asked
/// for. The server counts that as a
/// failed handshake, and after `max_connect_errors` of them (100, if no login is between them)
/// blocks the host that the checks come from, which is the director with all its traffic.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_health::{Target, checkers::Mysql};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let primary = Mysql::new().with_user("check", "secret").with_writable();
/// let report = primary.oneshot(Target::new("192.0.2.1:3306".parse()?, Duration::from_secs(1))).await?;
/// println!("MySQL {}", report.trace.evidence().received.as_str()); // 10.11.6-MariaDB
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Mysql {
    transport: Transport,
    user: Option<User>,
    request: Request,
}

impl Mysql {
    /// The most rows of a result.
    const MOST_ROWS: usize = 1000;
    /// What is there of these must be off, but for the last. `super_read_only` is MySQL's. The list is asked
    /// for and not the variables, because to name one that a server does not have is an error.
    const WRITABLE: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
        ('read_only', 'super_read_only', 'innodb_read_only', 'transaction_read_only', 'wsrep_on', \
        'wsrep_provider')";
    /// Where there is a `wsrep_provider`, and `wsrep_on` is not off, the server is a node of a Galera cluster.
    /// (In Percona XtraDB Cluster 8.0 `wsrep_on` is a session's, and not among the global variables.) A node
    /// takes nothing unless it is ready: not outside of the primary component, nor while it joins. What else
    /// it says is as if all were well.
    const READY: &str = "SHOW GLOBAL STATUS LIKE 'wsrep_ready'";

    /// A checker that awaits the greeting only; mind what is said [above](Self) of that.
    pub fn new() -> Self {
        Self::default()
    }

    /// This checker, logging in; a user without a password has an empty one.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        self.user = Some(User { name: user.into(), password: password.into() });
        self
    }

    async fn talk(&self, talk: &mut Conversation, target: Target) -> Result<(), CheckError> {
        let mut session = Session { talk, sequence: 0 };
        let payload = session.receive().await?;
        if let Ok(Reply::Error { code, message }) = Reply::parse(&payload) {
            return Err(session.refused(code, &message));
        }
        let greeting = Greeting::parse(&payload).map_err(CheckError::protocol)?;
        // MariaDB says that it is 5.5.5, because replicas of MySQL once knew no version 10.
        let version = greeting.version.strip_prefix("5.5.5-").unwrap_or(&greeting.version);
        session.talk.attempt().trace.evidence_mut().received(version);
        let Some(user) = &self.user else {
            if self.transport.is_secured() {
                let needed = packet::capability::PROTOCOL_41;
                self.secure(&mut session, target, &greeting, needed).await?;
            }
            return Ok(());
        };
        self.log_in(&mut session, target, &greeting, user).await?;
        let result = self.ask(&mut session).await;
        let quit = Packet { sequence: 0, payload: vec![command::QUIT] };
        session.talk.close(&quit.emit()).await;
        result
    }

    async fn ask(&self, session: &mut Session<'_>) -> Result<(), CheckError> {
        if let Some(query) = &self.request.query {
            session.query(query).await?;
        }
        if self.request.writable {
            self.ask_whether_writable(session).await?;
        }
        if self.request.query.is_none() && !self.request.writable {
            session.command(command::PING, "").await?;
            match session.reply().await? {
                Reply::Ok => {}
                Reply::Error { code, message } => return Err(session.refused(code, &message)),
                reply => return Err(unexpected(&reply)),
            }
        }
        Ok(())
    }

    async fn ask_whether_writable(&self, session: &mut Session<'_>) -> Result<(), CheckError> {
        let rows = session.query(Self::WRITABLE).await?;
        let (mut known, mut has_provider, mut is_off) = (false, false, false);
        for row in &rows {
            let Some(variable) = Variable::parse(row)? else { continue };
            known |= variable.name == b"read_only";
            match variable.name {
                b"wsrep_on" => is_off = variable.is_off(),
                b"wsrep_provider" => has_provider = !variable.is_none(),
                _ if variable.is_off() => {}
                _ => return Err(session.contradicted("the server is not writable", variable)),
            }
        }
        if !known {
            return Err(CheckError::protocol("the server does not tell whether it is read-only"));
        }
        // Without a cluster MariaDB is never ready for one.
        let is_node = has_provider && !is_off;
        let rows = if is_node { session.query(Self::READY).await? } else { Vec::new() };
        for row in &rows {
            if let Some(ready) = Variable::parse(row)?.filter(|ready| ready.is_off()) {
                return Err(session.contradicted("the node is not ready in its cluster", ready));
            }
        }
        Ok(())
    }
}

/// What is in a row of `SHOW VARIABLES`, and the like.
#[derive(Clone, Copy)]
struct Variable<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Variable<'a> {
    fn parse(row: &'a [u8]) -> Result<Option<Self>, CheckError> {
        let values = packet::row(row).map_err(CheckError::protocol)?;
        let [Some(name), Some(value)] = values[..] else { return Ok(None) };
        Ok(Some(Self { name, value }))
    }

    fn is_off(self) -> bool {
        matches!(self.value, b"OFF" | b"0")
    }

    /// Whether it names no library (`WSREP_NONE`).
    const fn is_none(self) -> bool {
        matches!(self.value, b"" | b"none")
    }
}

conversing!(Mysql);
securing!(Mysql, "; a server that does not offer it fails");
requesting!(
    Mysql,
    ". It takes effect with a user",
    "at most a thousand rows. It takes effect with a user",
    "`read_only`, `super_read_only`, `innodb_read_only` and `transaction_read_only` are off, so it is no \
     replica; and, of a node of a Galera cluster, `wsrep_ready` is on. It takes effect with a user"
);

/// A talk in packets that are counted.
struct Session<'a> {
    talk: &'a mut Conversation,
    /// The number of the next packet.
    sequence: u8,
}

impl Session<'_> {
    async fn send(&mut self, payload: Vec<u8>) -> Result<(), CheckError> {
        let packet = Packet { sequence: self.sequence, payload };
        self.sequence = self.sequence.wrapping_add(1);
        self.talk.send(&packet.emit()).await
    }

    async fn receive(&mut self) -> Result<Vec<u8>, CheckError> {
        let Packet { sequence: got, payload } = self.talk.message(Packet::parse).await?;
        // Who is refused before the handshake may be told so under any number.
        if got != self.sequence && payload.first() != Some(&0xff) {
            let wanted = self.sequence;
            return Err(CheckError::protocol(Malformed::Sequence { got, wanted }));
        }
        self.sequence = got.wrapping_add(1);
        Ok(payload)
    }

    async fn reply(&mut self) -> Result<Reply, CheckError> {
        let payload = self.receive().await?;
        Reply::parse(&payload).map_err(CheckError::protocol)
    }

    async fn command(&mut self, command: u8, argument: &str) -> Result<(), CheckError> {
        self.sequence = 0;
        self.send([&[command], argument.as_bytes()].concat()).await
    }

    /// Runs a query; answers the rows of its result, if it has one.
    async fn query(&mut self, query: &str) -> Result<Vec<Vec<u8>>, CheckError> {
        self.command(command::QUERY, query).await?;
        let first = self.receive().await?;
        if first.first() == Some(&0) {
            return Ok(Vec::new());
        }
        if let Some(ending) = Reply::ending(&first).map_err(CheckError::protocol)? {
            return Err(self.unless_end(ending).err().unwrap_or_else(|| unexpected(&Reply::Eof)));
        }
        // The columns' definitions, which say nothing to a check.
        self.until_end().await?;
        self.until_end().await
    }

    async fn until_end(&mut self) -> Result<Vec<Vec<u8>>, CheckError> {
        let mut packets = Vec::new();
        while packets.len() < Mysql::MOST_ROWS {
            let payload = self.receive().await?;
            match Reply::ending(&payload).map_err(CheckError::protocol)? {
                None => packets.push(payload),
                Some(ending) => return self.unless_end(ending).map(|()| packets),
            }
        }
        Err(CheckError::protocol(format!("the result has {} rows and more", Mysql::MOST_ROWS)))
    }

    fn unless_end(&mut self, ending: Reply) -> Result<(), CheckError> {
        match ending {
            Reply::Error { code, message } => Err(self.refused(code, &message)),
            _ => Ok(()),
        }
    }

    fn refused(&mut self, code: u16, message: &str) -> CheckError {
        self.rejected(&format!("error {code}"), message)
    }

    /// That a variable has a value that speaks against the server.
    fn contradicted(&mut self, what: &str, by: Variable<'_>) -> CheckError {
        let text = [by.name, b" is ", by.value].concat();
        self.rejected(what, &String::from_utf8_lossy(&text))
    }

    /// The server's word against itself, which is evidence.
    fn rejected(&mut self, what: &str, message: &str) -> CheckError {
        let said = Excerpt::new(message.as_bytes());
        self.talk.attempt().trace.evidence_mut().received = said.clone();
        CheckError::rejected(format!("{what}{said}"))
    }
}

fn unexpected(reply: &Reply) -> CheckError {
    CheckError::protocol(format!("{reply} where it has no place"))
}
