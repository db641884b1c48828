//! What each kind of token is good for, by the path behind the route's prefix.
//!
//! Does not look at rollouts or sources: that is `admit`.

use super::admit::Ask;
use crate::{
    client::{Kind, Reach},
    fault::Denied,
    grants::Grant,
};

/// What a path is about, as far as kinds of token differ on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matter {
    Inference,
    Tool,
    State,
    Task,
    Other,
}

pub(super) fn allow(grant: &Grant, ask: &Ask<'_>) -> Result<(), Denied> {
    let matter = matter(ask.tail());
    let is_allowed = match grant.kind {
        Kind::Rollout => true,
        Kind::Model => matches!(matter, Matter::Inference | Matter::Tool),
        Kind::State => matches!(matter, Matter::State | Matter::Task),
        Kind::Client => match grant.client.peek().reach {
            Reach::Own | Reach::CoversRollouts => true,
            Reach::Service => matter == Matter::State,
        },
    };
    is_allowed.then_some(()).ok_or(Denied::WrongKind)
}

fn matter(tail: &str) -> Matter {
    match tail {
        "/tool" => Matter::Tool,
        "/state" => Matter::State,
        "/task" => Matter::Task,
        "/v1/chat/completions"
        | "/v1/completions"
        | "/v1/responses"
        | "/v1/messages"
        | "/v1/messages/count_tokens"
        | "/v1/embeddings"
        | "/v1/models" => Matter::Inference,
        models if models.starts_with("/v1/models/") => Matter::Inference,
        _ => Matter::Other,
    }
}
