//! Reads an answer whole: the body of a yes, the words of a no.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};

use super::Call;
use crate::{admin::wire, cli::fault::Fault};

/// An answer larger than this is no answer: a million clients fit.
const LARGEST: usize = 1 << 30;

pub(super) async fn read(call: Call) -> Result<Bytes, Fault> {
    let _open_until_read = call.connection;
    let body = Limited::new(call.response.into_body(), LARGEST);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(cause) => Err(Fault::unreachable("the answer broke off").because(cause)),
    }
}

/// The gate's own words, or the status where it had none.
pub(super) async fn refusal(call: Call) -> Fault {
    let status = call.response.status();
    let body = match read(call).await {
        Ok(body) => body,
        Err(fault) => return fault,
    };
    match serde_json::from_slice::<wire::Error>(&body) {
        Ok(wire::Error { error }) => {
            let fault = Fault::refused(error.message).answered(status);
            if error.hint.is_empty() {
                fault
            } else {
                fault.hint(error.hint)
            }
        }
        Err(_not_ours) => Fault::refused(format!("the gate answered {status}")).answered(status),
    }
}
