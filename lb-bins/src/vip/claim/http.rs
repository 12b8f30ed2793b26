//! Claims by HTTP: who has it is asked first, and it is assigned only if that is somebody else.

use std::path::Path;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use lb_health::checkers::Tls;
use serde_json::Value;
use tracing::debug;

use super::Outcome;
use super::client::{Answer, ask};
use crate::config::{Call, Holder, HttpClaim};

/// An API that gives addresses away.
#[derive(Debug)]
pub(super) struct Api {
    config: HttpClaim,
    /// For each call.
    limit: Duration,
}

/// What a call is about.
#[derive(Clone, Copy)]
struct About<'a> {
    instance: &'a str,
    address: &'a str,
    generation: u64,
}

impl About<'_> {
    fn fill(&self, text: &str) -> String {
        text.replace("{address}", self.address)
            .replace("{instance}", self.instance)
            .replace("{generation}", &self.generation.to_string())
    }
}

/// Why a call did not do what it should.
type Failure = (String, Option<Duration>);

fn plainly(why: impl ToString) -> Failure {
    (why.to_string(), None)
}

impl Api {
    pub(super) const fn new(config: HttpClaim, limit: Duration) -> Self {
        Self { config, limit }
    }

    pub(super) const fn is_to_release(&self) -> bool {
        self.config.release.is_some()
    }

    /// One attempt to have all of them.
    pub(super) async fn claim(
        &self,
        instance: &str,
        addresses: &[String],
        generation: u64,
    ) -> Outcome {
        let each = self.each(addresses);
        if each.is_empty() {
            let why = "the instance has no addresses, for which `{address}` could stand".to_owned();
            return Outcome::Failed { why, patience: None };
        }
        let mut whole = Outcome::Held;
        for address in each {
            let about = About { instance, address, generation };
            match self.claim_one(about).await {
                Ok(true) => {}
                Ok(false) if matches!(whole, Outcome::Held) => whole = Outcome::Pending,
                Ok(false) => {}
                Err((why, patience)) => {
                    // One that does not want to be asked is asked for no other address.
                    let is_over = patience.is_some();
                    whole = Outcome::Failed { why: format!("{address}: {why}"), patience };
                    if is_over {
                        break;
                    }
                }
            }
        }
        whole
    }

    /// Gives back what is still ours.
    pub(super) async fn release(
        &self,
        instance: &str,
        addresses: &[String],
        generation: u64,
    ) -> Result<(), String> {
        let Some(release) = &self.config.release else { return Ok(()) };
        for address in self.each(addresses) {
            let about = About { instance, address, generation };
            let is_ours = match &self.config.holder {
                Some(holder) => self.is_ours(holder, about).await,
                None => Ok(true),
            };
            let released = match is_ours {
                Ok(true) => self.call(release, about).await.map(|_| ()),
                Ok(false) => Ok(()),
                Err(failure) => Err(failure),
            };
            released.map_err(|(why, _)| format!("{address}: {why}"))?;
        }
        Ok(())
    }

    /// Each address that there is a call for. If that is one, the first stands for all: an API may know
    /// what it is about by another name, so that there need not even be one.
    fn each<'a>(&self, addresses: &'a [String]) -> Vec<&'a str> {
        match self.config.is_for_each_address() {
            true => addresses.iter().map(String::as_str).collect(),
            false => vec![addresses.first().map_or("", String::as_str)],
        }
    }

    /// Whether it is ours now.
    async fn claim_one(&self, about: About<'_>) -> Result<bool, Failure> {
        let Some(holder) = &self.config.holder else {
            self.call(&self.config.assign, about).await?;
            return Ok(true);
        };
        if self.is_ours(holder, about).await? {
            return Ok(true);
        }
        self.call(&self.config.assign, about).await?;
        // An answer says that it will be done, and not that it is.
        Ok(false)
    }

    async fn is_ours(&self, holder: &Holder, about: About<'_>) -> Result<bool, Failure> {
        let url = about.fill(&holder.url);
        let answer = self.ask(&Method::GET, &url, None, about).await?;
        if !answer.status.is_success() {
            return Err(refused(&url, &answer));
        }
        let said = serde_json::from_slice::<Value>(&answer.body);
        let said = said.map_err(|error| plainly(format_args!("{url}: {error}")))?;
        let who = match said.pointer(&holder.pointer) {
            None | Some(Value::Null) => None,
            Some(Value::String(who)) => Some(who.clone()),
            Some(other) => Some(other.to_string()),
        };
        debug!(instance = about.instance, address = about.address, holder = who, "asked");
        Ok(who.is_some_and(|who| who == holder.value))
    }

    async fn call(&self, call: &Call, about: About<'_>) -> Result<Answer, Failure> {
        let url = about.fill(&call.url);
        let method = Method::from_bytes(call.method.as_bytes()).map_err(plainly)?;
        let body = call.body.as_deref().map(|body| about.fill(body));
        let answer = self.ask(&method, &url, body, about).await?;
        let status = answer.status.as_u16();
        let is_expected = call.status.iter().any(|it| (it.first..=it.last).contains(&status));
        if is_expected { Ok(answer) } else { Err(refused(&url, &answer)) }
    }

    async fn ask(
        &self,
        method: &Method,
        url: &str,
        body: Option<String>,
        about: About<'_>,
    ) -> Result<Answer, Failure> {
        let body = Bytes::from(body.unwrap_or_default());
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in &self.config.headers {
            request = request.header(name.as_str(), about.fill(value));
        }
        let mut request = request.body(Full::new(body)).map_err(plainly)?;
        if let Some(file) = &self.config.token_file {
            let token = token(file).await?;
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let agent = HeaderName::from_static("user-agent");
        request.headers_mut().entry(agent).or_insert(HeaderValue::from_static("vip-keeper"));
        let tls = match request.uri().scheme_str() {
            Some("https") => Some(self.tls().await?),
            _ => None,
        };
        let answer = ask(request, tls.as_ref(), self.limit).await;
        answer.map_err(|error| plainly(format_args!("{url}: {error}")))
    }

    /// Read again for each call: authorities and tokens are changed while this runs.
    async fn tls(&self) -> Result<Tls, Failure> {
        let tls = match (&self.config.ca, self.config.verify) {
            (_, false) => Tls::unverified(),
            (None, true) => Tls::new(),
            (Some(file), true) => Tls::trusting(&read(file).await?),
        };
        tls.map_err(plainly)
    }
}

fn refused(url: &str, answer: &Answer) -> Failure {
    const LONGEST: usize = 200;
    let said: String = String::from_utf8_lossy(&answer.body).chars().take(LONGEST).collect();
    (format!("{url}: {}: {}", answer.status, said.trim()), answer.patience)
}

async fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let read = tokio::fs::read(file).await;
    read.map_err(|error| plainly(format_args!("{}: {error}", file.display())))
}

async fn token(file: &Path) -> Result<HeaderValue, Failure> {
    let token = String::from_utf8(read(file).await?).unwrap_or_default();
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| plainly(format_args!("{}: this is no token", file.display())))?;
    header.set_sensitive(true);
    Ok(header)
}
