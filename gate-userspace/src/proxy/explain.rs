//! What would the request ring say to this call? Asked by `gatectl explain`.
//!
//! Walks the same checks as a call and stops before limits and the upstream: it registers nothing,
//! counts nothing and opens no key.

use http::{HeaderValue, Method, Request, Uri, header};

use super::{Proxy, admit, admit::Ask, head, identify};
use crate::{fault::Stop, source::Peer};

/// A call as an operator describes it.
#[derive(Debug)]
pub struct Question<'a> {
    pub peer: Peer,
    pub method: &'a str,
    pub path: &'a str,
    /// None = the call comes without a credential.
    pub token: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub passes: bool,
    pub reason: String,
    /// Whose token it is, if it is known.
    pub matched: String,
}

impl Proxy {
    pub fn explain(&self, question: &Question<'_>) -> Verdict {
        let mut matched = String::new();
        match self.walk(question, &mut matched) {
            Ok(()) => Verdict {
                passes: true,
                reason: "admitted".to_owned(),
                matched,
            },
            Err(stop) => Verdict {
                passes: false,
                reason: why(&stop),
                matched,
            },
        }
    }

    fn walk(&self, question: &Question<'_>, whose: &mut String) -> Result<(), Stop> {
        let (head, ()) = head::read(request(question)?)?;
        let plan = self.plan.load_full();
        let matched = plan.routes.find(head.path())?;
        self.is_serving()?;
        let ask = Ask {
            head: &head,
            matched: &matched,
            peer: question.peer,
            now: self.clock.now(),
        };
        let presented = plan.present(&ask, None, None)?;
        let grant = identify::known(self, &presented)?;
        let record = grant.client.record();
        *whose = match &grant.rollout {
            Some(rollout) => format!("token {} of rollout {}", grant.token, rollout.id),
            None => format!("token {} of client {}", grant.token, record.name),
        };
        admit::permit(&self.grants, &grant, presented, &ask)?;
        Ok(())
    }
}

fn why(stop: &Stop) -> String {
    match stop {
        Stop::Denied(denied) => denied.to_string(),
        Stop::Fault(fault) => fault.to_string(),
        Stop::Cut(cut) => cut.as_str().to_owned(),
    }
}

fn request(question: &Question<'_>) -> Result<Request<()>, Stop> {
    let bad = |what| Stop::Fault(crate::fault::Fault::BadRequest(what));
    let uri: Uri = question
        .path
        .parse()
        .map_err(|_why| bad("the path is not one"))?;
    let method: Method = question
        .method
        .parse()
        .map_err(|_why| bad("the method is not one"))?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    if let Some(token) = question.token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_why| bad("the token has bytes that no header takes"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}
