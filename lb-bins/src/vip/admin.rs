//! The admin address of vip-keeper: status, metrics, and orders, over HTTP.

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::metrics;
use super::request::{Handle, Refusal};
use crate::admin::{
    Answer, Answering, Listener, Page, Via, answer_about_backends, guard, method_not_allowed,
    serve, text,
};

/// Answers there until the task is aborted.
pub async fn run(listener: Listener, keeper: Handle) {
    serve(listener, keeper).await;
}

impl Answering for Handle {
    async fn answer(self, request: Request<Incoming>, via: Via) -> Answer {
        if let Some(order) = request.uri().path().strip_prefix("/vrrp_instances/") {
            if request.method() != Method::POST {
                return method_not_allowed("POST");
            }
            if let Err(suspicion) = guard::check(via, request.uri(), request.headers()) {
                return text(StatusCode::FORBIDDEN, format!("{suspicion}\n"));
            }
            return carry_out(&self, order).await;
        }
        let control = self.balancer().control();
        let request = match answer_about_backends(control.as_ref(), request, via).await {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        let page = match Page::asked_for(&request, via) {
            Ok(page) => page,
            Err(answer) => return *answer,
        };
        let status = match page {
            Page::Index => return text(StatusCode::OK, include_str!("index.txt")),
            Page::Health if self.decides().await => return text(StatusCode::OK, "ok\n"),
            Page::Health => None,
            Page::Metrics | Page::Status => self.status().await,
        };
        page.show(status, metrics::encode).await
    }
}

async fn carry_out(keeper: &Handle, order: &str) -> Answer {
    let (name, order) = order.rsplit_once('/').unwrap_or_default();
    let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
    let done = match order {
        "switchover" => keeper.switchover(name).await,
        "preempt" => keeper.preempt(name).await,
        _ => {
            let path = "POST to /vrrp_instances/NAME/ and then switchover or preempt\n";
            return text(StatusCode::BAD_REQUEST, path);
        }
    };
    let status = match done {
        Ok(()) => return text(StatusCode::OK, "done\n"),
        Err(Refusal::Leaving { .. } | Refusal::NotMaster { .. }) => StatusCode::CONFLICT,
        Err(Refusal::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        Err(Refusal::UnknownInstance { .. }) => StatusCode::NOT_FOUND,
    };
    text(status, done.map_or_else(|refusal| format!("{refusal}\n"), |()| String::new()))
}
