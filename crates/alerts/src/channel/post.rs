//! JSON that is posted to a webhook.

use std::time::Duration;

use gatewright_transport::{Request, Transport};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;

use super::Failed;

/// Posts it. What comes back beside the status is not read.
pub(super) async fn post(transport: &Transport, uri: &Uri, body: &Value) -> Result<(), Failed> {
    let body = body.to_string().into_bytes();
    let mut request = Request::new(Method::POST, uri.clone(), [body.into()].into_iter().collect());
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The cause names the host at most, and a webhook's secret stands in its path.
    let sent = transport.send(request).await.map_err(|err| Failed::passing(format!("{:?}", err.kind)))?;
    match sent.status {
        status if status.is_success() => Ok(()),
        status => Err(refused(status, &sent.headers)),
    }
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Failed {
    let why = format!("it was refused with the status {}", status.as_u16());
    let passing = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if !passing {
        return Failed::lasting(why);
    }
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
    let wait = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Failed { wait, ..Failed::passing(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_go_well_later_is_tried_again_when_the_receiver_says() {
        for (status, header, again, wait) in [
            (404, None, false, None),
            (400, Some("5"), false, None),
            (500, None, true, None),
            (429, Some("3"), true, Some(Duration::from_secs(3))),
            // Discord tells parts of a second.
            (429, Some("0.5"), true, Some(Duration::from_millis(500))),
            (503, Some("soon"), true, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|value| (RETRY_AFTER, HeaderValue::from_static(value))));
            let failed = refused(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!((failed.again, failed.wait), (again, wait), "{status} {header:?}");
        }
    }
}
