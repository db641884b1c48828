//! What a provider's refusal means, where callers look at the gate's types alone.
//!
//! Only for profiles that ask for it. Reads an error's body to tell a bill from a bad request, up to
//! a small limit; every other answer passes untouched.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;

use super::upstream::Answer;
use crate::fault::Fault;

/// Bytes of an error's body that are looked at.
const LOOKED_AT: usize = 64 << 10;

/// Seconds to wait when the provider does not say.
const RETRY_AFTER: u32 = 60;

pub(crate) async fn judge(mut answer: Answer) -> Result<Answer, Fault> {
    let status = answer.response.status();
    match status {
        StatusCode::UNAUTHORIZED => Err(Fault::ProviderAuth),
        StatusCode::TOO_MANY_REQUESTS => Err(Fault::ProviderRate {
            retry_after: retry_after(answer.response.headers()),
        }),
        StatusCode::PAYMENT_REQUIRED => Err(Fault::ProviderBilling),
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
            answer.read = beginning(&mut answer).await?;
            let text = String::from_utf8_lossy(&answer.read).to_ascii_lowercase();
            if text.contains("billing_error") || text.contains("credit balance") {
                return Err(Fault::ProviderBilling);
            }
            Ok(answer)
        }
        _ => Ok(answer),
    }
}

async fn beginning(answer: &mut Answer) -> Result<Bytes, Fault> {
    let mut read = BytesMut::new();
    while read.len() < LOOKED_AT {
        let Some(frame) = answer.response.body_mut().frame().await else {
            break;
        };
        let frame = frame.map_err(Fault::UpstreamBroken)?;
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

fn retry_after(headers: &HeaderMap) -> u32 {
    let said = headers.get(header::RETRY_AFTER);
    said.and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .unwrap_or(RETRY_AFTER)
}
