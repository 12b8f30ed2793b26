//! Orders to backends: `POST /virtual_servers/NAME/backends/ADDRESS/WHAT`.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use lb_core::Weight;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::{Answer, REQUEST_TIMEOUT, Via, guard, text};
use crate::config::Address;
use crate::control::{Handle, Order, Refusal};

/// A weight has at most five digits.
const LONGEST_BODY: usize = 64;

/// Why an order is not understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
enum Misunderstanding {
    #[error("`{address}` is no address or name with a port")]
    Address { address: String },
    #[error(
        "POST to /virtual_servers/NAME/backends/ADDRESS/ and then drain, disable, enable or weight"
    )]
    Path,
    #[error("the weight is the body: a number from 0 to 65535, not `{body}`")]
    Weight { body: String },
}

/// Carries out the order that `path`, behind `/virtual_servers/`, asks for.
pub(super) async fn post(
    path: &str,
    request: Request<Incoming>,
    via: Via,
    control: &Handle,
) -> Answer {
    if let Err(suspicion) = guard::check(via, request.uri(), request.headers()) {
        return text(StatusCode::FORBIDDEN, format!("{suspicion}\n"));
    }
    let body = Limited::new(request.into_body(), LONGEST_BODY).collect();
    let body = match timeout(REQUEST_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n"),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body does not come\n"),
    };
    let (virtual_server, backend, order) = match parse(path, &String::from_utf8_lossy(&body)) {
        Ok(order) => order,
        Err(misunderstanding) => {
            return text(StatusCode::BAD_REQUEST, format!("{misunderstanding}\n"));
        }
    };
    match control.administer(virtual_server, backend, order).await {
        Ok(()) => text(StatusCode::OK, "done\n"),
        Err(refusal @ Refusal::Stopping) => {
            text(StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n"))
        }
        Err(refusal) => text(StatusCode::NOT_FOUND, format!("{refusal}\n")),
    }
}

fn parse(path: &str, body: &str) -> Result<(String, Address, Order), Misunderstanding> {
    let parts: Vec<_> = path
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let [virtual_server, backends, address, what] = &parts[..] else {
        return Err(Misunderstanding::Path);
    };
    if backends != "backends" {
        return Err(Misunderstanding::Path);
    }
    let backend =
        address.parse().map_err(|_| Misunderstanding::Address { address: address.clone() })?;
    let order = match what.as_str() {
        "disable" => Order::Disable,
        "drain" => Order::Drain,
        "enable" => Order::Enable,
        "weight" => {
            let weight = body.trim().parse().map(Weight::new);
            Order::Weight(weight.map_err(|_| Misunderstanding::Weight { body: body.to_owned() })?)
        }
        _ => return Err(Misunderstanding::Path),
    };
    Ok((virtual_server.clone(), backend, order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_from_the_path() {
        let address = "127.0.0.1:9001".parse().unwrap();
        let parsed = parse("web/backends/127.0.0.1:9001/drain", "");
        assert_eq!(parsed, Ok(("web".to_owned(), address, Order::Drain)));
        let parsed = parse("a%5Bb/backends/%5B::1%5D:80/weight", " 7\n").unwrap();
        assert_eq!(parsed.0, "a[b");
        assert_eq!(parsed.2, Order::Weight(Weight::new(7)));
        for (path, body) in [
            ("web/backends/127.0.0.1:9001/weight", "65536"),
            ("web/backends/127.0.0.1:9001/weight", ""),
            ("web/backends/127.0.0.1/drain", ""),
            ("web/backends/db.example.org/drain", ""),
            ("web/backends/127.0.0.1:9001/explode", ""),
            ("web/backends/127.0.0.1:9001/drain/", ""),
            ("web", ""),
        ] {
            assert!(parse(path, body).is_err(), "{path} {body}");
        }
    }
}
