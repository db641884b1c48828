//! What the request path promises for any bytes.

mod credential;
mod line;
mod stream;

pub use credential::present;
pub use line::{framing, head, path};
pub use stream::{sse, upgrade};
