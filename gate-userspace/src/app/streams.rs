//! The live calls as `control` sees them. Only translates.

use std::sync::Arc;

use crate::{
    control::{CutCount, Streams, Why, Work},
    ident::{HostName, TokenId},
    proxy::live::{Cut, Ended, Live},
};

pub(super) struct LiveStreams {
    pub(super) live: Arc<Live>,
    pub(super) host: HostName,
}

impl Streams for LiveStreams {
    fn cut(&self, tokens: Vec<TokenId>, why: Why) -> Work<'_, CutCount> {
        Box::pin(async move { count(self.live.cut(&tokens, cause(why)).await) })
    }

    fn narrow(&self, tokens: Vec<TokenId>) -> Work<'_, CutCount> {
        Box::pin(async move { count(self.live.narrow(&tokens, &self.host).await) })
    }

    fn cut_all(&self, why: Why) -> Work<'_, CutCount> {
        Box::pin(async move { count(self.live.cut_all(cause(why)).await) })
    }
}

fn cause(why: Why) -> Cut {
    match why {
        Why::Revoked => Cut::Revoked,
        Why::Closed => Cut::Closed,
        Why::LeaseOver => Cut::LeaseOver,
        Why::Panic => Cut::Panic,
    }
}

fn count(ended: Ended) -> CutCount {
    CutCount {
        streams: ended.streams,
        connections: ended.connections,
    }
}
