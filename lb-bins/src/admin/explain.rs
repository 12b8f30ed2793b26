//! Why a backend is in its state: `GET /explain/NAME/ADDRESS`.

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;

use super::{Answer, JSON, text, with_type};
use crate::control::{Handle, Refusal};

/// For people; for whoever accepts JSON, as that.
pub(super) async fn get(path: &str, headers: &HeaderMap, control: &Handle) -> Answer {
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let Some((Ok(backend), virtual_server)) =
        path.split_once('/').map(|(server, address)| (decoded(address).parse(), decoded(server)))
    else {
        let path = "GET /explain/NAME/ADDRESS: a virtual server, an address and port\n";
        return text(StatusCode::BAD_REQUEST, path);
    };
    let explanation = match control.explain(virtual_server, backend).await {
        Ok(explanation) => explanation,
        Err(refusal @ Refusal::Stopping) => {
            return text(StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n"));
        }
        Err(refusal) => return text(StatusCode::NOT_FOUND, format!("{refusal}\n")),
    };
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    if !accepted.is_some_and(|accepted| accepted.contains(JSON)) {
        return text(StatusCode::OK, explanation.to_string());
    }
    match serde_json::to_string(&explanation) {
        Ok(json) => with_type(StatusCode::OK, JSON, json + "\n"),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written down\n"),
    }
}
