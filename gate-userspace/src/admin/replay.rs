//! `Idempotency-Key`: a trainer that asks again after a broken connection gets the same token.
//!
//! So the work goes on when the connection breaks, in a task of its own, and its answer is kept.
//! Threat: the kept answers hold tokens in the clear. So they live in memory only, are wiped when
//! they go, belong to the asking user and path, and go after ten minutes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::{Api, refusal::Refusal};
use crate::{clock::Stamp, control::Refused};

const KEPT_FOR: Duration = Duration::from_mins(10);
const LONGEST_KEY: usize = 255;
/// More than this, and the oldest answer goes early.
const MOST: usize = 4096;
/// The same for what they hold together: an answer to thousands is large.
const LARGEST: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Replays {
    kept: Mutex<BTreeMap<Name, Kept>>,
    /// Work that somebody may ask for again.
    tasks: TaskTracker,
}

/// Who asked what under which key.
type Name = (String, String, String);

/// Empty until the first who asked has one.
type Answer = Arc<tokio::sync::Mutex<Option<Zeroizing<Vec<u8>>>>>;

/// One question's slot: whoever asks the same while it is worked on waits for its answer.
struct Kept {
    until: Stamp,
    question: [u8; 32],
    answer: Answer,
}

impl Kept {
    /// One that is still worked on has none.
    fn size(&self) -> usize {
        let answer = self.answer.try_lock();
        answer.map_or(0, |answer| answer.as_ref().map_or(0, |text| text.len()))
    }
}

impl Api {
    /// Answers once for each key: works it out the first time and repeats it after that. A
    /// refusal is not kept, because it changed nothing.
    pub(super) async fn once<T: Serialize + 'static>(
        &self,
        who: String,
        headers: &HeaderMap,
        path: &str,
        question: &[u8],
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let Some(key) = headers.get("idempotency-key") else {
            return Ok(json(&work.await?));
        };
        let key = key.to_str().ok().filter(|key| key.len() <= LONGEST_KEY);
        let key = key.ok_or_else(|| Refusal::invalid("the Idempotency-Key is too odd or long"))?;
        let name = (who, path.to_owned(), key.to_owned());
        let now = self.control.clock().now();
        let slot = self.replays.slot(name, question, now)?;
        let task = self.replays.tasks.spawn(async move {
            let mut slot = slot.lock().await;
            match &*slot {
                Some(kept) => Ok(kept.clone()),
                None => work
                    .await
                    .map(|answer| slot.insert(Zeroizing::new(text(&answer))).clone()),
            }
        });
        match task.await {
            Ok(answer) => Ok(respond(answer?.to_vec())),
            Err(why) => match why.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(Refused::Stopping.into()),
            },
        }
    }
}

impl Replays {
    /// Waits for the work that nobody may be waiting for.
    pub(super) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn slot(&self, name: Name, question: &[u8], now: Stamp) -> Result<Answer, Refusal> {
        let question = Sha256::digest(question).into();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.until > now);
        if !kept.contains_key(&name) {
            let mut held: usize = kept.values().map(Kept::size).sum();
            while kept.len() >= MOST || held > LARGEST {
                let oldest = kept.iter().min_by_key(|(_, kept)| kept.until);
                let Some(name) = oldest.map(|(name, _)| name.clone()) else {
                    break;
                };
                let gone = kept.remove(&name).map_or(0, |kept| kept.size());
                held = held.saturating_sub(gone);
            }
        }
        let kept = kept.entry(name).or_insert_with(|| Kept {
            until: now.after(KEPT_FOR),
            question,
            answer: Arc::default(),
        });
        if kept.question == question {
            Ok(Arc::clone(&kept.answer))
        } else {
            Err(Refusal::key_reused())
        }
    }
}

pub(super) fn json<T: Serialize>(answer: &T) -> Response {
    respond(text(answer))
}

fn text<T: Serialize>(answer: &T) -> Vec<u8> {
    serde_json::to_vec(answer).expect("answers are maps with text keys")
}

fn respond(body: Vec<u8>) -> Response {
    let json = HeaderValue::from_static("application/json");
    (StatusCode::OK, [(CONTENT_TYPE, json)], Body::from(body)).into_response()
}
