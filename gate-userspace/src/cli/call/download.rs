//! An answer that is a file: piece by piece, never whole in memory.

use bytes::Bytes;
use http::header;
use http_body_util::BodyExt as _;

use super::Call;
use crate::cli::fault::Fault;

/// An open answer; dropping it hangs up.
pub(in crate::cli) struct Download(Call);

impl Download {
    pub(super) fn new(call: Call) -> Self {
        Self(call)
    }

    /// As announced.
    pub(in crate::cli) fn length(&self) -> Option<u64> {
        let length = self.0.response.headers().get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }

    /// The next piece; `None` at the end.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            match self.0.response.body_mut().frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(cause)) => {
                    return Err(Fault::unreachable("the answer broke off").because(cause));
                }
            }
        }
    }
}
