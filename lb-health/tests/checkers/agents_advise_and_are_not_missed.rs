//! Agents: what they say is done, and that they say nothing is nothing.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_core::Weight;
use lb_core::health::Admin;
use lb_health::advice::Advice;
use lb_health::checkers::Agent;
use lb_health::{CheckError, Failure, Report};

use self::support::check;
use self::support::talk::{MISBEHAVIOUR, Then, lines, misbehaving, playing};

async fn saying(text: &str) -> Result<Report, Failure> {
    check(Agent::new(), playing(lines(&[("", text)]), Then::Close).await).await
}

#[tokio::test]
async fn what_an_agent_says_is_reported() {
    let report = saying("up 75% maxconn:30 ready # fine\n").await.unwrap();
    let ready = Some(Admin::Ready);
    let advice = Advice { admin: ready, max_connections: Some(30), percent: Some(75) };
    assert_eq!((report.advice, report.weight), (advice, None));
    assert_eq!(report.trace.evidence().received.as_str(), "up 75% maxconn:30 ready # fine");

    // What is not understood counts for nothing, as in HAProxy.
    let report = saying("up ok=yes 30%\n").await.unwrap();
    assert_eq!(report.advice, Advice { percent: Some(30), ..Advice::NONE });

    // Old agents end the connection and not the line.
    let report = saying("weight:7,drain").await.unwrap();
    assert_eq!(report.weight, Some(Weight::new(7)));
    assert_eq!(report.advice, Advice { admin: Some(Admin::Drain), ..Advice::NONE });

    let address = playing(lines(&[("backend-3\n", "maint\n")]), Then::Hold).await;
    let report = check(Agent::new().with_send("backend-3\n"), address).await.unwrap();
    assert_eq!(report.advice.admin, Some(Admin::Maintenance));
}

#[tokio::test]
async fn an_agent_that_says_down_is_believed() {
    for word in ["down", "fail", "stopped"] {
        let failure = saying(&format!("{word} 50% #disk full\n")).await.unwrap_err();
        assert_eq!((failure.cause(), failure.is_local()), ("rejected", false));
        let told = r#"the agent says that it is down: "disk full""#;
        assert_eq!(failure.to_string(), told);
    }
}

#[tokio::test]
async fn an_agent_that_is_not_understood_or_not_there_is_neutral() {
    for text in ["", "\n", "HTTP/1.1 200 OK\r\n", "200%%\n", "weight:x\n"] {
        let failure = saying(text).await.unwrap_err();
        assert!(matches!(failure.error, CheckError::Agent { .. }), "{text:?}: {failure}");
        assert!(failure.is_local(), "{text:?}");
    }
    assert_eq!(misbehaving(Agent::new(), "up 75%\n").await, MISBEHAVIOUR);
}
