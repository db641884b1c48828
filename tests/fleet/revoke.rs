//! What is opened on one host is used on another, and what is revoked on one ends on all.

use harness::gatectl::text;
use harness::probe::Syn;
use harness::sse::Event;

use crate::site::fleet;

/// Acceptance 104 and 168: opened on one host for another one's sandbox, cut from the first.
#[tokio::test]
async fn revocation_on_one_host_cuts_a_stream_on_another() {
    let Some(fleet) = fleet().await else { return };
    let [first, second, third] = &fleet.hosts[..] else {
        unreachable!("three hosts")
    };
    let open = format!(
        "rollout open r-1 --client trainer --host {} --source {}",
        second.name(),
        second.source()
    );
    let opened = first.ctl().json(&open).await.unwrap();
    let token = text(&opened, "/token").unwrap();
    second.reaches(&opened["revision"]).await;
    third.reaches(&opened["revision"]).await;
    // A source opens the kernel of its own host, and of no other.
    assert_eq!(second.knock().await, Syn::Answered);
    assert_eq!(third.knock().await, Syn::Silent);
    let mut running = second.stream("r-1", &token).await;
    let ended = first
        .ctl()
        .json("client revoke trainer --yes --wait 30s")
        .await
        .unwrap();
    for host in ended["hosts"].as_array().unwrap() {
        assert_eq!(host["state"], "done", "{ended}");
    }
    let (rest, _end) = running.rest().await;
    assert!(rest.last().is_some_and(Event::is_error), "{rest:?}");
    assert!(!rest.iter().any(|event| event.data == "[DONE]"), "{rest:?}");
    assert_eq!(second.knock().await, Syn::Silent);
    let hosts = third.ctl().json("hosts").await.unwrap();
    let names = hosts["hosts"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!(names, ["h1", "h2", "h3"]);
    // Three for a gate's questions and one for its ear.
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gated'";
    let count = fleet.postgres.query("postgres", count).unwrap();
    assert!(count.parse::<usize>().unwrap() <= 3 * 4, "{count}");
}

/// An operator's token is the fleet's, and so is its end.
#[tokio::test]
async fn operator_of_one_host_is_one_on_all_until_it_ends() {
    let Some(fleet) = fleet().await else { return };
    let [first, second, third] = &fleet.hosts[..] else {
        unreachable!("three hosts")
    };
    let add = "admin token add trainer-7 --role provision";
    let added = first.ctl().json(add).await.unwrap();
    let token = text(&added, "/token").unwrap();
    second.reaches(&added["revision"]).await;
    let far = second.operator(&token);
    let opened = far.json("rollout open r-1 --client trainer --source lo");
    let opened = opened.await.unwrap();
    third.reaches(&opened["revision"]).await;
    assert_eq!(third.rollouts().await, ["r-1"]);
    let revoke = "admin token revoke trainer-7 --yes";
    let ended = third.ctl().json(revoke).await.unwrap();
    second.reaches(&ended["revision"]).await;
    let refused = far.run("rollout list", "").await.unwrap();
    assert_eq!(refused.status, Some(1), "{refused:?}");
}
