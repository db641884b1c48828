//! What the demo shows, in the order it is shown, and what has to hold for each line.
//!
//! Does not stop at a line that fails: what follows may still hold. Times are measured and
//! printed, never judged.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use harness::client::{Call, Complete};
use harness::probe::{Syn, syn};
use harness::sse::{End, Event, Events};
use serde_json::Value;
use tokio::time::timeout;

use crate::report::Report;
use crate::scene::{Sandbox, Scene, Site};

/// Ends a line that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tokens that a stream shows before and after something is done to it.
const SOME: usize = 10;

pub(crate) async fn all(scene: &mut Scene, report: &mut Report) -> anyhow::Result<()> {
    macro_rules! line {
        ($name:expr, $check:expr) => {
            report.enter($name, bounded($check).await)?
        };
    }
    line!(
        "a stranger's SYN is not answered, and counted",
        stranger_is_counted(scene)
    );
    line!(
        "A with its token gets a streamed answer",
        stream_is_served(&scene.a)
    );
    line!(
        "A's token on B's path is refused",
        token_on_foreign_path(scene)
    );
    line!(
        "A's token from B's address is refused",
        token_from_foreign_address(scene)
    );
    line!("a bad token is refused", bad_token(scene));
    let [of_a, of_b] = match bounded(close_one(scene)).await {
        Ok(both) => both,
        Err(cause) => [Err(cause), Err(anyhow!("A's stream was never closed"))],
    };
    report.enter("closing A ends its running stream with an error", of_a)?;
    report.enter("B's stream goes on", of_b)?;
    line!("A's next SYN is not answered", silent(&scene.a.site));
    line!(
        "after kill -9 of gated the stranger stays shut out",
        killed_gate_stays_shut(scene)
    );
    line!(
        "after a restart B's token is still valid",
        restart_keeps_grants(scene)
    );
    line!(
        "the upstream's own port is out of every sandbox's reach",
        upstream_is_guarded(scene)
    );
    Ok(())
}

async fn bounded<T>(check: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(PATIENCE, check).await.context("it hangs")?
}

async fn stranger_is_counted(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.gated.ctl().drops().await?;
    silent(&scene.stranger).await?;
    let after = scene.gated.ctl().drops().await?;
    ensure!(
        after > before,
        "silence, but the drop counter stays at {before}"
    );
    Ok(format!("silence, drop counter {before} -> {after}"))
}

async fn stream_is_served(sandbox: &Sandbox) -> anyhow::Result<String> {
    let begun = Instant::now();
    let (events, end) = stream(sandbox, Some(5)).await?.rest().await;
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        bail!("no event came")
    };
    ensure!(
        last.data == "[DONE]" && end == End::Clean,
        "ends with {last:?}, {end:?}"
    );
    let since = |event: &Event| milliseconds(event.at.duration_since(begun));
    let (first, last) = (since(first), since(last));
    Ok(format!(
        "{} events, first after {first}, last after {last}",
        events.len()
    ))
}

async fn token_on_foreign_path(scene: &Scene) -> anyhow::Result<String> {
    refused(&scene.a.site, &scene.b.base(), &scene.a.token).await
}

async fn token_from_foreign_address(scene: &Scene) -> anyhow::Result<String> {
    refused(&scene.b.site, &scene.a.base(), &scene.a.token).await
}

async fn bad_token(scene: &Scene) -> anyhow::Result<String> {
    refused(&scene.a.site, &scene.a.base(), "intercepted").await
}

/// What became of A's stream, and of B's that ran beside it.
async fn close_one(scene: &Scene) -> anyhow::Result<[anyhow::Result<String>; 2]> {
    let mut of_a = stream(&scene.a, None).await?;
    let mut of_b = stream(&scene.b, None).await?;
    take(&mut of_a, SOME).await.context("A's stream")?;
    take(&mut of_b, SOME).await.context("B's stream")?;
    let called = Instant::now();
    let ctl = scene.gated.ctl();
    let close = format!("rollout close {}", scene.a.rollout);
    let (answer, (rest, _end)) = tokio::join!(ctl.json(&close), of_a.rest());
    let cut = of_a.last_byte();
    let after = milliseconds(cut.saturating_duration_since(called));
    Ok([
        ended(&answer?, &rest, &after),
        undisturbed(&mut of_b, cut).await,
    ])
}

fn ended(answer: &Value, rest: &[Event], after: &str) -> anyhow::Result<String> {
    let last = rest.last().context("it ends without a word")?;
    ensure!(last.is_error(), "it ends with {}", last.data);
    ensure!(
        !rest.iter().any(|event| event.data == "[DONE]"),
        "it pretends to be complete"
    );
    let inside = answer["elapsed_us"]
        .as_u64()
        .context("no elapsed_us in the answer")?;
    let (kind, message) = (
        &last.json()["error"]["type"],
        &last.json()["error"]["message"],
    );
    Ok(format!(
        "last byte {after} after the call ({inside} us in gated): {kind} {message}"
    ))
}

async fn undisturbed(of_b: &mut Events, cut: Instant) -> anyhow::Result<String> {
    let more = take(of_b, SOME).await?;
    let since = more.iter().filter(|event| event.at > cut).count();
    ensure!(since > 0, "not a token since A's stream ended");
    let gaps = more
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at));
    let longest = milliseconds(gaps.max().unwrap_or_default());
    Ok(format!("{since} tokens since, at most {longest} apart"))
}

async fn killed_gate_stays_shut(scene: &mut Scene) -> anyhow::Result<String> {
    scene.gated.kill()?;
    silent(&scene.stranger).await?;
    // B is listed, so the host answers for the closed port: the silence above is the gate's.
    let of_b = syn(&scene.b.site.place, scene.b.site.gate()).await;
    ensure!(
        of_b == Syn::Refused,
        "no gated runs, but B's SYN is {of_b:?}"
    );
    Ok("silence; B, still listed, is told by the host that nobody listens".to_owned())
}

async fn restart_keeps_grants(scene: &mut Scene) -> anyhow::Result<String> {
    let begun = Instant::now();
    scene.gated.restart().await?;
    let ready = milliseconds(begun.elapsed());
    let served = stream_is_served(&scene.b).await?;
    silent(&scene.stranger).await?;
    Ok(format!("ready after {ready}; {served}"))
}

async fn upstream_is_guarded(scene: &Scene) -> anyhow::Result<String> {
    for site in [&scene.a.site, &scene.b.site, &scene.stranger] {
        let answer = syn(&site.place, site.provider()).await;
        ensure!(answer == Syn::Silent, "from {}: {answer:?}", site.place);
    }
    let inside = syn(&scene.host, scene.upstream.address()).await;
    ensure!(inside == Syn::Answered, "the host itself gets {inside:?}");
    Ok(format!(
        "silence from A, B and the stranger; bound to {}",
        scene.upstream.address()
    ))
}

async fn silent(site: &Site) -> anyhow::Result<String> {
    let answer = syn(&site.place, site.gate()).await;
    ensure!(answer == Syn::Silent, "{answer:?}");
    Ok("silence".to_owned())
}

/// A streamed chat completion of the sandbox's own rollout, its head being 200.
async fn stream(sandbox: &Sandbox, tokens: Option<u32>) -> anyhow::Result<Events> {
    let call = Call::chat(&sandbox.base(), tokens).bearer(&sandbox.token);
    let answer = call.send(&sandbox.site.place, sandbox.site.gate()).await?;
    if answer.status != 200 {
        bail!("{}", shape(&answer.complete().await?));
    }
    Ok(answer.events())
}

/// The next `count` events, none of which is an error.
async fn take(events: &mut Events, count: usize) -> anyhow::Result<Vec<Event>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let event = events.next().await.context("it ended")?;
        ensure!(!event.is_error(), "it failed: {}", event.data);
        taken.push(event);
    }
    Ok(taken)
}

async fn refused(from: &Site, base: &str, token: &str) -> anyhow::Result<String> {
    let call = Call::chat(base, Some(1)).bearer(token);
    let answer = call.complete(&from.place, from.gate()).await?;
    ensure!(answer.status == 401, "{}", shape(&answer));
    Ok(shape(&answer))
}

fn shape(answer: &Complete) -> String {
    let kind = answer.header("x-gate-error").unwrap_or("not from the gate");
    format!("{} {kind} {}", answer.status.as_u16(), answer.text().trim())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
