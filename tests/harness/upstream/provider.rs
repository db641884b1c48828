//! A plausible model provider: three dialects, whole and streamed, close enough for real SDKs.
//!
//! Does not check credentials or bodies. How long a stream is, the caller says with its own
//! dialect's token limit; a call without one streams until somebody ends it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::journal::Seen;
use super::reply::{Reply, Step};

/// A model that answers the second retry only: the caller must count.
const FLAKY: &str = "flaky";

/// A model that sends a head and then nothing.
const SILENT: &str = "silent";

/// A model whose streams are as long as its whole answers, however much the caller allows.
const BRIEF: &str = "brief";

/// Tokens of a whole (unstreamed) answer.
const WHOLE: usize = 4;

#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Time between two tokens of a stream.
    pub pace: Duration,
}

#[derive(Clone, Copy)]
enum Dialect {
    Chat,
    Responses,
    Messages,
}

impl Provider {
    /// Any prefix before the dialect's path is accepted: an upstream may keep the rollout's.
    pub fn answer(self, seen: &Seen) -> Reply {
        let path = seen.path();
        if let Some(status) = path
            .rsplit_once("/status/")
            .and_then(|(_, code)| code.parse().ok())
        {
            let error = json!({"message": "as asked", "type": "scripted", "code": status});
            return Reply::json(status, &json!({ "error": error }));
        }
        let dialects = [
            ("/v1/chat/completions", Dialect::Chat),
            ("/v1/responses", Dialect::Responses),
            ("/v1/messages", Dialect::Messages),
        ];
        let dialect = dialects
            .into_iter()
            .find(|(ending, _)| path.ends_with(ending));
        if dialect.is_some()
            && let Some(reply) = mood(seen)
        {
            return reply;
        }
        match (dialect, path) {
            (Some((_, dialect)), _) if seen.json()["stream"] == json!(true) => {
                self.stream(dialect, &seen.json())
            }
            (Some((_, dialect)), _) => Reply::json(200, &dialect.whole(&seen.json())),
            (None, path) if path.ends_with("/v1/models") => Reply::json(200, &models()),
            (None, path) if path.ends_with("/echo") => Reply::json(200, &echo(seen)),
            (None, path) => Reply::json(404, &json!({"error": {"message": format!("no {path}")}})),
        }
    }

    fn stream(self, dialect: Dialect, asked: &Value) -> Reply {
        let limits = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        let limit = if asked["model"] == BRIEF {
            Some(WHOLE as u64)
        } else {
            limits.iter().find_map(|name| asked[*name].as_u64())
        };
        let (mut sent, mut over) = (0, false);
        Reply::paced(self.pace, move || {
            if over {
                return None;
            }
            let opening = if sent == 0 {
                dialect.opening()
            } else {
                String::new()
            };
            over = limit == Some(sent);
            let rest = if over {
                dialect.closing(sent)
            } else {
                dialect.token(sent)
            };
            sent += 1;
            Some(Step::Send(format!("{opening}{rest}").into()))
        })
    }
}

/// What a model with a mood of its own answers, if it is one.
fn mood(seen: &Seen) -> Option<Reply> {
    let overloaded =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "later"}});
    match seen.json()["model"].as_str()? {
        FLAKY if seen.header("x-stainless-retry-count") != Some("2") => {
            Some(Reply::json(503, &overloaded).header("retry-after-ms", "1"))
        }
        SILENT => {
            let hour = Duration::from_hours(1);
            Some(Reply::paced(hour, || Some(Step::Send(Bytes::new()))))
        }
        _ => None,
    }
}

impl Dialect {
    /// Calls the first tool on offer.
    fn called(self, asked: &Value) -> Option<Value> {
        let tool = asked["tools"].get(0)?;
        let mut answer = self.whole(&json!({"model": asked["model"]}));
        match self {
            Self::Chat => {
                let called = json!({"name": tool["function"]["name"], "arguments": "{\"n\":1}"});
                let call = json!({"id": "call_1", "type": "function", "function": called});
                let choice = &mut answer["choices"][0];
                choice["finish_reason"] = json!("tool_calls");
                choice["message"] =
                    json!({"role": "assistant", "content": null, "tool_calls": [call]});
            }
            Self::Messages => {
                let name = &tool["name"];
                answer["stop_reason"] = json!("tool_use");
                answer["content"] =
                    json!([{"type": "tool_use", "id": "call_1", "name": name, "input": {"n": 1}}]);
            }
            Self::Responses => return None,
        }
        Some(answer)
    }

    fn whole(self, asked: &Value) -> Value {
        if let Some(called) = self.called(asked) {
            return called;
        }
        let model = &asked["model"];
        let text: String = (0..WHOLE as u64).map(word).collect();
        match self {
            Self::Chat => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{
                    "index": 0, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                }],
                "usage": {"prompt_tokens": 1, "completion_tokens": WHOLE, "total_tokens": WHOLE + 1},
            }),
            Self::Responses => json!({
                "id": "resp_1", "object": "response", "created_at": 1, "model": model,
                "status": "completed",
                "output": [output_message("completed", Some(&text))],
            }),
            Self::Messages => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": model,
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 1, "output_tokens": WHOLE},
            }),
        }
    }

    fn opening(self) -> String {
        match self {
            Self::Chat => chat_chunk(&json!({"role": "assistant", "content": ""}), &Value::Null),
            Self::Responses => [
                json!({"type": "response.created", "response": {
                    "id": "resp_1", "object": "response", "status": "in_progress", "output": []}}),
                json!({"type": "response.output_item.added", "output_index": 0,
                    "item": output_message("in_progress", None)}),
                json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "part": output_text("")}),
            ]
            .iter()
            .map(named)
            .collect(),
            Self::Messages => [
                json!({"type": "message_start", "message": {
                    "id": "msg_1", "type": "message", "role": "assistant", "model": "scripted",
                    "content": [], "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 1, "output_tokens": 0},
                }}),
                json!({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}}),
            ]
            .iter()
            .map(named)
            .collect(),
        }
    }

    fn token(self, number: u64) -> String {
        let text = word(number);
        match self {
            Self::Chat => chat_chunk(&json!({ "content": text }), &Value::Null),
            Self::Responses => named(&json!({
                "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "delta": text,
            })),
            Self::Messages => named(&json!({
                "type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": text},
            })),
        }
    }

    /// What ends a stream of `tokens` words.
    fn closing(self, tokens: u64) -> String {
        match self {
            Self::Chat => chat_chunk(&json!({}), &json!("stop")) + "data: [DONE]\n\n",
            Self::Responses => {
                let said: String = (0..tokens).map(word).collect();
                let item = output_message("completed", Some(&said));
                let usage = json!({"input_tokens": 1, "output_tokens": tokens,
                    "total_tokens": tokens + 1});
                [
                    json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
                    json!({"type": "response.completed", "response": {
                        "id": "resp_1", "object": "response", "status": "completed",
                        "output": [item], "usage": usage}}),
                ]
                .iter()
                .map(named)
                .collect()
            }
            Self::Messages => [
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn",
                    "stop_sequence": null}, "usage": {"output_tokens": WHOLE}}),
                json!({"type": "message_stop"}),
            ]
            .iter()
            .map(named)
            .collect(),
        }
    }
}

/// The one item of a response, with what it says so far.
fn output_message(status: &str, said: Option<&str>) -> Value {
    let content: Vec<_> = said.map(output_text).into_iter().collect();
    json!({"id": "msg_1", "type": "message", "role": "assistant", "status": status,
        "content": content})
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn word(number: u64) -> String {
    format!("t{number} ")
}

fn chat_chunk(delta: &Value, finish_reason: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": [choice],
    });
    format!("data: {chunk}\n\n")
}

/// An event named after the `type` of its data, as two of the dialects do.
fn named(data: &Value) -> String {
    let name = data["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

fn models() -> Value {
    json!({"object": "list", "data": [{"id": "scripted", "object": "model", "owned_by": "gate"}]})
}

fn echo(seen: &Seen) -> Value {
    let headers = seen.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| json!([name, String::from_utf8_lossy(value)]))
        .collect();
    json!({
        "method": seen.method, "target": seen.target, "headers": headers,
        "body": String::from_utf8_lossy(&seen.body),
    })
}
