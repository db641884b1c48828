//! `gatectl env`: what a sandbox is told, in the syntax of whoever starts it.
//!
//! Prints base URLs, the gate token and the SDK timeouts; never an upstream key. A token is known
//! only at its creation, so it comes back in on stdin.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    call::Gate,
    fault::Fault,
    parse::{EnvArgs, EnvFormat, With},
    print::{self, Answer, Block, Output, Paper},
    rollout, say, secret_input,
};
use crate::{
    admin::wire::{self, Door, Secret},
    ident::RolloutId,
};

/// The tokens of one rollout, by what they are good for.
#[derive(Debug, Default)]
struct Tokens {
    model: Option<Secret>,
    state: Option<Secret>,
}

pub(super) async fn run(gate: &Gate, paper: Paper, args: EnvArgs) -> Result<Answer, Fault> {
    let format = format(&args, paper)?;
    // First, because whoever pipes the token in may still be opening the rollout.
    let tokens = if args.token_stdin {
        read_tokens(&args.id)?
    } else {
        say::note(&format!(
            "the token is known only at creation, so it is not here; pass it in: `{} --token-stdin < TOKEN`",
            gate.command()
        ));
        Tokens::default()
    };
    let json = rollout::fetch(gate, &args.id).await?;
    let rollout: wire::RolloutView = print::read(&json)?;
    let base = base_url(&args, &rollout.door, gate.command())?;
    let variables = variables(&base, &rollout.door.path, &tokens, &args.with);
    let text = written(&variables, format)?;
    let json = serde_json::to_value(&variables).expect("names and texts are JSON");
    Ok(Answer::new(json, vec![Block::Exact(text)]))
}

fn format(args: &EnvArgs, paper: Paper) -> Result<EnvFormat, Fault> {
    match (args.format, paper.output) {
        (None | Some(EnvFormat::Json), Output::Json) => Ok(EnvFormat::Json),
        (Some(EnvFormat::Shell | EnvFormat::Docker), Output::Json) => Err(Fault::usage(
            "`--output json` and another `--format` contradict each other",
        )
        .hint("leave `--output json` out")),
        (Some(format), Output::Table | Output::Token) => Ok(format),
        (None, Output::Table | Output::Token) => Ok(EnvFormat::Shell),
    }
}

/// What was said, what the gate knows, or the only one it can be.
fn base_url(args: &EnvArgs, door: &Door, command: &str) -> Result<String, Fault> {
    if let Some(said) = &args.base_url {
        return parse_base_url(said);
    }
    if let Some(known) = &door.base_url {
        return parse_base_url(known);
    }
    match door.candidates.as_slice() {
        [only] => parse_base_url(only),
        [] => Err(
            Fault::refused("the address that the sandbox would use is not known")
                .hint(format!("say it: `{command} --base-url http://HOST:PORT`")),
        ),
        [first, ..] => Err(Fault::refused(format!(
            "the address that the sandbox would use is not known; it could be {}",
            door.candidates.join(", ")
        ))
        .hint(format!("choose one: `{command} --base-url {first}`"))),
    }
}

fn parse_base_url(text: &str) -> Result<String, Fault> {
    let bad = || {
        Fault::usage(format!("`{text}` is not a base URL"))
            .hint("it looks like `http://10.0.0.1:8765`")
    };
    let uri: http::Uri = text.parse().map_err(|_bad: http::uri::InvalidUri| bad())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_host = uri
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if is_web && has_host && uri.query().is_none() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(bad())
    }
}

fn read_tokens(id: &RolloutId) -> Result<Tokens, Fault> {
    let text = secret_input::text_from_stdin("token")?;
    if text.reveal().starts_with('{') {
        let value = secret_input::json_from(text.reveal(), "the opened rollout", "stdin")?;
        tokens_of(&value, id)
    } else if text.reveal().chars().any(char::is_whitespace) {
        Err(Fault::refused("stdin holds more than one token"))
    } else {
        Ok(Tokens {
            model: Some(text),
            state: None,
        })
    }
}

/// The tokens in what `rollout open --output json` printed, for one or for many.
fn tokens_of(value: &Value, id: &RolloutId) -> Result<Tokens, Fault> {
    let is_it = |one: &&Value| one.get("rollout").and_then(Value::as_str) == Some(id.as_str());
    let one = match value.get("rollouts").and_then(Value::as_array) {
        Some(many) => many.iter().find(is_it),
        None => Some(value).filter(is_it),
    }
    .ok_or_else(|| Fault::refused(format!("stdin holds no token of rollout `{id}`")))?;
    let secret = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .map(|text| Secret::new(text.to_owned()))
    };
    let kinds = one.get("tokens");
    let of_kind = |kind| secret(kinds.and_then(|kinds| kinds.get(kind)));
    let whole = secret(one.get("token")).or_else(|| of_kind("rollout"));
    let tokens = Tokens {
        model: of_kind("model").or(whole),
        state: of_kind("state"),
    };
    if tokens.model.is_none() && tokens.state.is_none() {
        return Err(Fault::refused(format!(
            "stdin holds no token of rollout `{id}`"
        )));
    }
    Ok(tokens)
}

fn variables(base: &str, path: &str, tokens: &Tokens, with: &[With]) -> BTreeMap<String, Secret> {
    let mut variables = wire::variables(Some(base), path, tokens.model.as_ref());
    if let Some(state) = &tokens.state {
        variables.insert("GATE_STATE_TOKEN".to_owned(), state.clone());
    }
    for route in with {
        let name = format!("GATE_{}_BASE_URL", route.name);
        variables.insert(name, Secret::new(format!("{base}{}", route.prefix)));
    }
    variables
}

fn written(variables: &BTreeMap<String, Secret>, format: EnvFormat) -> Result<String, Fault> {
    // A line end in a value would become a variable of its own in `--env-file`.
    if let Some((name, _)) = variables
        .iter()
        .find(|(_, value)| value.reveal().chars().any(char::is_control))
    {
        return Err(Fault::refused(format!(
            "the value of {name} has control characters"
        )));
    }
    let lines = |line: &dyn Fn(&str, &str) -> String| {
        variables
            .iter()
            .map(|(name, value)| line(name, value.reveal()))
            .collect()
    };
    Ok(match format {
        EnvFormat::Shell => {
            lines(&|name, value| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
        }
        EnvFormat::Docker => lines(&|name, value| format!("{name}={value}\n")),
        EnvFormat::Json => {
            let value = serde_json::to_value(variables).expect("names and texts are JSON");
            format!("{value:#}\n")
        }
    })
}

#[cfg(test)]
mod tests;
