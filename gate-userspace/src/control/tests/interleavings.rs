//! Any order of changes, against a model that is too simple to be wrong.
//!
//! After every step the packet ring holds exactly the union of what live grants list, whatever
//! was refused on the way; and a restart in the end finds the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const IDS: [&str; 4] = ["r0", "r1", "r2", "r3"];
const NETS: [&str; 4] = ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.0/24", "10.1.0.0/16"];
const ROOM: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Add(usize, BTreeSet<usize>, Option<u8>),
    Revoke(usize),
    Disable(usize),
    Enable(usize),
    AddSource(usize, usize),
    RemoveSource(usize, usize),
    Open(usize, usize, BTreeSet<usize>, Option<u8>),
    Close(usize),
    Drain(usize),
    RenewClient(usize, u8),
    RenewRollout(usize, u8),
    Rotate(usize, u8),
    RotateRollout(usize, u8),
    Wait(u8),
}

#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    clients: BTreeMap<usize, ModelClient>,
}

#[derive(Clone, Debug)]
struct ModelClient {
    sources: BTreeSet<usize>,
    disabled: bool,
    until: Option<u64>,
    rollouts: BTreeMap<usize, (BTreeSet<usize>, Option<u64>)>,
}

impl Model {
    fn union(&self) -> BTreeSet<usize> {
        let enabled = self.clients.values().filter(|client| !client.disabled);
        enabled
            .flat_map(|client| {
                let own = client.rollouts.values().map(|(sources, _)| sources);
                own.chain([&client.sources]).flatten().copied()
            })
            .collect()
    }

    fn has_rollout(&self, rollout: usize) -> bool {
        let mut clients = self.clients.values();
        clients.any(|client| client.rollouts.contains_key(&rollout))
    }

    /// Whether the step is allowed; the state after it.
    fn after(&self, step: &Step) -> Option<Self> {
        let mut next = self.clone();
        let until = |ttl: &Option<u8>| ttl.map(|ttl| self.now + u64::from(ttl));
        match step {
            Step::Add(client, sources, ttl) => {
                let fresh = ModelClient {
                    sources: sources.clone(),
                    disabled: false,
                    until: until(ttl),
                    rollouts: BTreeMap::new(),
                };
                if next.clients.insert(*client, fresh).is_some() {
                    return None;
                }
            }
            Step::Revoke(client) => _ = next.clients.remove(client)?,
            Step::Disable(client) => next.clients.get_mut(client)?.disabled = true,
            Step::Enable(client) => next.clients.get_mut(client)?.disabled = false,
            Step::AddSource(client, source) => {
                _ = next.clients.get_mut(client)?.sources.insert(*source);
            }
            Step::RemoveSource(client, source) => {
                let sources = &mut next.clients.get_mut(client)?.sources;
                if !sources.remove(source) || sources.is_empty() {
                    return None;
                }
            }
            Step::Open(rollout, client, sources, ttl) => {
                if self.has_rollout(*rollout) {
                    return None;
                }
                let client = next.clients.get_mut(client)?;
                if client.disabled {
                    return None;
                }
                client
                    .rollouts
                    .insert(*rollout, (sources.clone(), until(ttl)));
            }
            Step::Close(rollout) => {
                if !self.has_rollout(*rollout) {
                    return None;
                }
                for client in next.clients.values_mut() {
                    client.rollouts.remove(rollout);
                }
            }
            Step::Drain(rollout) | Step::RotateRollout(rollout, _) => {
                if !self.has_rollout(*rollout) {
                    return None;
                }
            }
            Step::RenewClient(client, ttl) => {
                next.clients.get_mut(client)?.until = Some(self.now + u64::from(*ttl));
            }
            Step::RenewRollout(rollout, ttl) => {
                let mut rollouts = next.clients.values_mut().flat_map(|c| &mut c.rollouts);
                let (_, (_, until)) = rollouts.find(|(id, _)| *id == rollout)?;
                *until = Some(self.now + u64::from(*ttl));
            }
            Step::Rotate(client, _) => _ = next.clients.get(client)?,
            Step::Wait(seconds) => {
                next.now += u64::from(*seconds);
                let now = next.now;
                let over = |until: &Option<u64>| until.is_some_and(|until| until <= now);
                next.clients.retain(|_, client| !over(&client.until));
                for client in next.clients.values_mut() {
                    client.rollouts.retain(|_, (_, until)| !over(until));
                }
            }
        }
        Some(next)
    }
}

async fn carry_out(gate: &Gate, step: &Step) -> Result<(), Refused> {
    let control = &gate.control;
    let client = |index: &usize| name(NAMES[*index]);
    let rollout = |index: &usize| id(IDS[*index]);
    let nets = |sources: &BTreeSet<usize>| sources.iter().map(|s| NETS[*s]).collect::<Vec<_>>();
    let lasting = |ttl: &Option<u8>| ttl.map(|ttl| Duration::from_secs(ttl.into()));
    match step {
        Step::Add(index, sources, ttl) => {
            let mut ask = new_client(NAMES[*index], &nets(sources));
            ask.ttl = lasting(ttl);
            control.add_client(ACTOR, ask).await.map(drop)
        }
        Step::Revoke(index) => control.revoke(ACTOR, client(index)).await.map(drop),
        Step::Disable(index) => control.disable(ACTOR, client(index)).await.map(drop),
        Step::Enable(index) => control.enable(ACTOR, client(index)).await.map(drop),
        Step::AddSource(index, net) => {
            let edit = SourceEdit {
                add: vec![source(NETS[*net])],
                remove: Vec::new(),
            };
            control
                .edit_sources(ACTOR, client(index), edit)
                .await
                .map(drop)
        }
        Step::RemoveSource(index, net) => {
            let edit = SourceEdit {
                add: Vec::new(),
                remove: vec![source(NETS[*net])],
            };
            control
                .edit_sources(ACTOR, client(index), edit)
                .await
                .map(drop)
        }
        Step::Open(index, owner, sources, ttl) => {
            let mut ask = new_rollout(IDS[*index], NAMES[*owner], &nets(sources));
            ask.ttl = lasting(ttl);
            control.open_rollouts(ACTOR, vec![ask]).await.map(drop)
        }
        Step::Close(index) => {
            let closing = Closing::Ids(vec![rollout(index)]);
            control.close(ACTOR, closing).await.map(drop)
        }
        Step::Drain(index) => control.drain(ACTOR, rollout(index)).await.map(drop),
        Step::RenewClient(index, ttl) => {
            let ttl = Duration::from_secs((*ttl).into());
            let owner = Owner::Client(client(index));
            control.renew(ACTOR, owner, ttl).await.map(drop)
        }
        Step::RenewRollout(index, ttl) => {
            let ttl = Duration::from_secs((*ttl).into());
            let owner = Owner::Rollout(rollout(index));
            control.renew(ACTOR, owner, ttl).await.map(drop)
        }
        Step::Rotate(index, grace) => {
            let owner = Owner::Client(client(index));
            control
                .rotate(ACTOR, owner, turnover((*grace).into()))
                .await
                .map(drop)
        }
        Step::RotateRollout(index, grace) => {
            let owner = Owner::Rollout(rollout(index));
            control
                .rotate(ACTOR, owner, turnover((*grace).into()))
                .await
                .map(drop)
        }
        Step::Wait(seconds) => {
            gate.clock.advance(Duration::from_secs((*seconds).into()));
            control.sweep().await.map(drop)
        }
    }
}

async fn play(steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let model = act(&gate, steps).await;
    let clock = gate.clock.clone();
    drop(gate);
    let gate = Gate::with(folder.path(), clock).await;
    check(&gate, &model, &"a restart");
}

/// A second host follows, and has in the end what the first has.
async fn play_in_fleet(steps: &[Step]) {
    let Some(fleet) = fleet::Fleet::start().await else {
        return;
    };
    act(&fleet.a, steps).await;
    // Then both at once: which one is refused does not matter, only that they agree.
    for pair in steps.chunks(2) {
        match pair {
            [one, two] => {
                let both = tokio::join!(carry_out(&fleet.a, one), carry_out(&fleet.b, two));
                for done in [both.0, both.1] {
                    let is_fine = done.is_ok()
                        || done.is_err_and(|why| why.status() < 500 || why.status() == 507);
                    assert!(is_fine, "{pair:?}");
                }
            }
            _ => _ = carry_out(&fleet.b, &pair[0]).await,
        }
    }
    for gate in [&fleet.a, &fleet.b] {
        gate.control.sweep().await.unwrap();
    }
    let (a, b) = (fleet.a.control.grants(), fleet.b.control.grants());
    let newest = a.revision().max(b.revision());
    fleet::until(&fleet.a, newest).await;
    fleet::until(&fleet.b, newest).await;
    assert_eq!(fleet::shown(&fleet.a), fleet::shown(&fleet.b));
    assert_eq!(fleet.a.rings.state().entries, a.openings());
    assert_eq!(fleet.b.rings.state().entries, b.openings());
}

async fn act(gate: &Gate, steps: &[Step]) -> Model {
    gate.rings.state().room = Some(ROOM);
    let mut model = Model::default();
    for step in steps {
        let done = carry_out(gate, step).await;
        let fits = |next: &Model| next.union().len() <= ROOM;
        match model.after(step) {
            Some(next) if fits(&next) => {
                assert!(done.is_ok(), "{step:?}: {done:?}");
                model = next;
            }
            Some(_) => assert_eq!(done.unwrap_err().status(), 507, "{step:?}"),
            None => assert!(done.is_err(), "{step:?}"),
        }
        check(gate, &model, step);
    }
    model
}

fn check(gate: &Gate, model: &Model, step: &dyn std::fmt::Debug) {
    let want: BTreeSet<String> = model
        .union()
        .iter()
        .map(|net| NETS[*net].to_owned())
        .collect();
    assert_eq!(
        entries(gate).into_iter().collect::<BTreeSet<_>>(),
        want,
        "{step:?}"
    );
    let openings = gate.control.grants().openings();
    assert_eq!(gate.rings.state().entries, openings, "{step:?}");
    let rollouts = model.clients.values().map(|client| client.rollouts.len());
    let counts = (model.clients.len(), rollouts.sum());
    assert_eq!(gate.control.grants().counts(), counts, "{step:?}");
}

fn step() -> impl Strategy<Value = Step> {
    let (client, rollout, net) = (0..NAMES.len(), 0..IDS.len(), 0..NETS.len());
    let nets = proptest::collection::btree_set(net.clone(), 0..3);
    let ttl = proptest::option::of(1u8..20);
    prop_oneof![
        3 => (client.clone(), nets.clone(), ttl.clone()).prop_map(|(c, n, t)| Step::Add(c, n, t)),
        1 => client.clone().prop_map(Step::Revoke),
        1 => client.clone().prop_map(Step::Disable),
        1 => client.clone().prop_map(Step::Enable),
        2 => (client.clone(), net.clone()).prop_map(|(c, n)| Step::AddSource(c, n)),
        2 => (client.clone(), net).prop_map(|(c, n)| Step::RemoveSource(c, n)),
        4 => (rollout.clone(), client.clone(), nets, ttl)
            .prop_map(|(r, c, n, t)| Step::Open(r, c, n, t)),
        2 => rollout.clone().prop_map(Step::Close),
        1 => rollout.clone().prop_map(Step::Drain),
        1 => (client.clone(), 1u8..20).prop_map(|(c, t)| Step::RenewClient(c, t)),
        1 => (rollout.clone(), 0u8..10).prop_map(|(r, g)| Step::RotateRollout(r, g)),
        1 => (rollout, 1u8..20).prop_map(|(r, t)| Step::RenewRollout(r, t)),
        1 => (client, 0u8..10).prop_map(|(c, g)| Step::Rotate(c, g)),
        2 => (1u8..10).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() })]
    #[test]
    fn a_second_host_ends_with_the_same_state(
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play_in_fleet(&steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]
    #[test]
    fn the_ring_holds_the_union_of_live_sources(
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(&steps));
    }
}
