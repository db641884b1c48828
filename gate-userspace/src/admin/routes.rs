//! Every path of the API in one table: how it is asked, who may ask from another machine, and who
//! answers. Both listeners are made of it, so a path that is not here is nowhere.

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    Api, backup, clients, events, kernel, keys, metrics, openapi, operators, peer::Signed,
    refusal::Refusal, rollouts, status, wire,
};
use crate::operator::Role;

/// From where something may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// At the admin socket of the host that it is about.
    Here,
    /// From another machine too, by operators of this role and those above it.
    From(Role),
}

pub(super) struct Route {
    pub(super) method: Method,
    /// As axum and `OpenAPI` both write it.
    pub(super) path: &'static str,
    pub(super) reach: Reach,
    pub(super) says: &'static str,
    pub(super) asks: Option<Describe>,
    pub(super) queries: Option<Describe>,
    pub(super) gives: Option<Describe>,
    /// Makes tokens, and answers an `Idempotency-Key` once.
    pub(super) mints: bool,
    handler: MethodRouter<Api>,
}

/// The schema of a wire type.
pub(super) type Describe = fn(&mut SchemaGenerator) -> Schema;

const READ: Reach = Reach::From(Role::Read);
const PROVISION: Reach = Reach::From(Role::Provision);
const ADMIN: Reach = Reach::From(Role::Admin);

#[expect(clippy::too_many_lines, reason = "a table reads best in one piece")]
pub(super) fn all() -> Vec<Route> {
    vec![
        post("/v1/clients", PROVISION, clients::add)
            .mints()
            .says("Add a client, and make its first token")
            .asks::<wire::ClientAdd>()
            .gives::<wire::ClientAdded>(),
        get("/v1/clients", READ, clients::list)
            .says("List the clients")
            .gives::<wire::ClientList>(),
        get("/v1/clients/{name}", READ, clients::show)
            .says("Show a client")
            .gives::<wire::ClientView>(),
        patch("/v1/clients/{name}", PROVISION, clients::patch)
            .says("Add and remove sources of a client")
            .asks::<wire::SourcesPatch>()
            .gives::<wire::SourcesChanged>(),
        delete("/v1/clients/{name}", PROVISION, clients::revoke)
            .says("End a client: its tokens, rollouts, streams and kernel entries")
            .queries::<wire::Wait>()
            .gives::<wire::Ended>(),
        post("/v1/clients/{name}/rotate", PROVISION, clients::rotate)
            .mints()
            .says("Give a client a new token")
            .asks::<wire::Rotate>()
            .gives::<wire::Rotated>(),
        post("/v1/clients/{name}/renew", PROVISION, clients::renew)
            .says("Move the end of a client")
            .asks::<wire::Renew>()
            .gives::<wire::Renewed>(),
        post("/v1/clients/{name}/disable", PROVISION, clients::disable)
            .says("Shut a client out until it is enabled")
            .queries::<wire::Wait>()
            .gives::<wire::Ended>(),
        post("/v1/clients/{name}/enable", PROVISION, clients::enable)
            .says("Let a disabled client in again")
            .gives::<wire::Changed>(),
        put("/v1/clients/{name}/key", PROVISION, clients::set_key)
            .says("Set the key that is presented upstream for a client")
            .asks::<wire::KeySet>()
            .gives::<wire::Changed>(),
        post("/v1/rollouts", PROVISION, rollouts::open)
            .mints()
            .says("Open a rollout, or many at once")
            .asks::<wire::RolloutAsk>()
            .gives::<wire::RolloutAnswer>(),
        get("/v1/rollouts", READ, rollouts::list)
            .says("List the rollouts")
            .queries::<wire::RolloutQuery>()
            .gives::<wire::RolloutList>(),
        delete("/v1/rollouts", PROVISION, rollouts::close_many)
            .says("Close many rollouts, or all of a client")
            .queries::<wire::Wait>()
            .asks::<wire::RolloutClose>()
            .gives::<wire::Ended>(),
        get("/v1/rollouts/{id}", READ, rollouts::show)
            .says("Show a rollout")
            .gives::<wire::RolloutView>(),
        delete("/v1/rollouts/{id}", PROVISION, rollouts::close_one)
            .says("Close a rollout: its tokens, streams and kernel entries")
            .queries::<wire::Wait>()
            .gives::<wire::Ended>(),
        post("/v1/rollouts/{id}/renew", PROVISION, rollouts::renew)
            .says("Move the end of a rollout")
            .asks::<wire::Renew>()
            .gives::<wire::Renewed>(),
        post("/v1/rollouts/{id}/rotate", PROVISION, rollouts::rotate)
            .mints()
            .says("Give a rollout a new token")
            .asks::<wire::Rotate>()
            .gives::<wire::Rotated>(),
        post("/v1/rollouts/{id}/drain", PROVISION, rollouts::drain)
            .says("Let running calls end, and refuse new ones")
            .gives::<wire::Changed>(),
        get("/v1/status", READ, status::status)
            .says("How the three rings stand")
            .gives::<wire::Status>(),
        get("/v1/verify", READ, status::verify)
            .says("Compare store, keys and kernel, and repair the kernel")
            .gives::<wire::Verified>(),
        get("/v1/hosts", READ, status::hosts)
            .says("The hosts of the fleet, and what each enforces")
            .gives::<wire::Hosts>(),
        get("/v1/audit", READ, status::audit)
            .says("What was changed, by whom")
            .queries::<wire::AuditQuery>()
            .gives::<wire::Audit>(),
        post("/v1/explain", READ, status::explain)
            .says("What would happen to a packet and a request")
            .asks::<wire::Explain>()
            .gives::<wire::Explained>(),
        get("/v1/events", READ, events::events)
            .says("Refusals and changes as they happen: server-sent events, an `Event` each"),
        get("/healthz", READ, status::health).says("The process answers"),
        get("/readyz", READ, status::ready).says("The rings stand and the store is fresh"),
        get("/metrics", READ, metrics::metrics).says("Numbers, in the Prometheus text format"),
        get("/openapi.json", READ, openapi::document).says("This document"),
        post("/v1/panic", ADMIN, kernel::panic)
            .says("Shut every ring at once")
            .gives::<wire::ModeChanged>(),
        post("/v1/keys/seal", ADMIN, keys::seal)
            .says("Seal a key in the published form")
            .asks::<wire::KeySeal>()
            .gives::<wire::SealedKey>(),
        get("/v1/keys/export/{name}", ADMIN, keys::export)
            .says("A client's upstream key as ciphertext")
            .queries::<wire::KeyExport>()
            .gives::<wire::SealedKey>(),
        post("/v1/import", ADMIN, keys::import)
            .says("Take up clients of another system")
            .asks::<wire::ImportClients>()
            .gives::<wire::ClientsImported>(),
        // What relaxes the kernel half, holds the master key, holds all digests, or makes operators.
        post("/v1/open", Reach::Here, kernel::open)
            .says("End a panic")
            .gives::<wire::ModeChanged>(),
        post("/v1/unload", Reach::Here, kernel::unload)
            .says("Take the packet ring out of the kernel")
            .gives::<wire::Unloaded>(),
        post("/v1/interface", Reach::Here, kernel::set_interface)
            .says("Choose the kernel hook of an interface")
            .asks::<wire::InterfaceSet>()
            .gives::<wire::InterfaceView>(),
        post("/v1/keys/reseal", Reach::Here, keys::reseal)
            .says("Seal stored keys anew, a step")
            .gives::<wire::Resealed>(),
        post("/v1/keys/rotate-master", Reach::Here, keys::rotate_master)
            .says("Seal with a newer master key from now on")
            .gives::<wire::MasterRotated>(),
        get("/v1/store/backup", Reach::Here, backup::backup).says("The whole store as one file"),
        get("/v1/admin/tokens", Reach::Here, operators::list)
            .says("Who may use this API from other machines")
            .gives::<wire::OperatorList>(),
        post("/v1/admin/tokens", Reach::Here, operators::add)
            .says("Make a token for another machine")
            .asks::<wire::OperatorAdd>()
            .gives::<wire::OperatorAdded>(),
        delete("/v1/admin/tokens/{name}", Reach::Here, operators::revoke)
            .says("End such a token")
            .gives::<wire::Changed>(),
    ]
}

/// For whoever sits at the admin socket: the kernel says who that is.
pub(super) fn here() -> Router<Api> {
    with_fallbacks(all().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    }))
}

/// For operators on other machines, who have been asked for their token.
pub(super) fn remote() -> Router<Api> {
    with_fallbacks(all().into_iter().fold(Router::new(), |router, route| {
        let handler = match route.reach {
            Reach::From(role) => route
                .handler
                .layer(from_fn(move |request, next| as_role(role, request, next))),
            Reach::Here => on(filter(&route.method), async || Refusal::here_only()),
        };
        router.route(route.path, handler)
    }))
}

async fn as_role(needed: Role, request: Request, next: Next) -> Response {
    match request.extensions().get::<Signed>() {
        Some(signed) if signed.role >= needed => next.run(request).await,
        Some(signed) => Refusal::role(signed.role, needed).into_response(),
        // Nobody was asked for a token: then nobody may do anything.
        None => Refusal::no_token().into_response(),
    }
}

fn with_fallbacks(router: Router<Api>) -> Router<Api> {
    router
        .fallback(async || Refusal::no_path())
        .method_not_allowed_fallback(async || Refusal::no_method())
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("the table has common methods only")
}

fn route<H, T>(method: Method, path: &'static str, reach: Reach, handler: H) -> Route
where
    H: Handler<T, Api>,
    T: 'static,
{
    Route {
        handler: on(filter(&method), handler),
        method,
        path,
        reach,
        says: "",
        asks: None,
        queries: None,
        gives: None,
        mints: false,
    }
}

impl Route {
    fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    fn mints(self) -> Self {
        Self {
            mints: true,
            ..self
        }
    }

    fn asks<T: JsonSchema>(self) -> Self {
        let asks = Some(SchemaGenerator::subschema_for::<T> as Describe);
        Self { asks, ..self }
    }

    fn queries<T: JsonSchema>(self) -> Self {
        let queries = Some(T::json_schema as Describe);
        Self { queries, ..self }
    }

    fn gives<T: JsonSchema>(self) -> Self {
        let gives = Some(SchemaGenerator::subschema_for::<T> as Describe);
        Self { gives, ..self }
    }
}

fn get<H: Handler<T, Api>, T: 'static>(path: &'static str, reach: Reach, handler: H) -> Route {
    route(Method::GET, path, reach, handler)
}

fn post<H: Handler<T, Api>, T: 'static>(path: &'static str, reach: Reach, handler: H) -> Route {
    route(Method::POST, path, reach, handler)
}

fn put<H: Handler<T, Api>, T: 'static>(path: &'static str, reach: Reach, handler: H) -> Route {
    route(Method::PUT, path, reach, handler)
}

fn patch<H: Handler<T, Api>, T: 'static>(path: &'static str, reach: Reach, handler: H) -> Route {
    route(Method::PATCH, path, reach, handler)
}

fn delete<H: Handler<T, Api>, T: 'static>(path: &'static str, reach: Reach, handler: H) -> Route {
    route(Method::DELETE, path, reach, handler)
}
