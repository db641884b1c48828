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

use super::{
    Api, backup, clients, events, kernel, keys, metrics, operators, peer::Signed, refusal::Refusal,
    rollouts, status,
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
    handler: MethodRouter<Api>,
}

const READ: Reach = Reach::From(Role::Read);
const PROVISION: Reach = Reach::From(Role::Provision);
const ADMIN: Reach = Reach::From(Role::Admin);

pub(super) fn all() -> Vec<Route> {
    vec![
        post("/v1/clients", PROVISION, clients::add),
        get("/v1/clients", READ, clients::list),
        get("/v1/clients/{name}", READ, clients::show),
        patch("/v1/clients/{name}", PROVISION, clients::patch),
        delete("/v1/clients/{name}", PROVISION, clients::revoke),
        post("/v1/clients/{name}/rotate", PROVISION, clients::rotate),
        post("/v1/clients/{name}/renew", PROVISION, clients::renew),
        post("/v1/clients/{name}/disable", PROVISION, clients::disable),
        post("/v1/clients/{name}/enable", PROVISION, clients::enable),
        put("/v1/clients/{name}/key", PROVISION, clients::set_key),
        post("/v1/rollouts", PROVISION, rollouts::open),
        get("/v1/rollouts", READ, rollouts::list),
        delete("/v1/rollouts", PROVISION, rollouts::close_many),
        get("/v1/rollouts/{id}", READ, rollouts::show),
        delete("/v1/rollouts/{id}", PROVISION, rollouts::close_one),
        post("/v1/rollouts/{id}/renew", PROVISION, rollouts::renew),
        post("/v1/rollouts/{id}/rotate", PROVISION, rollouts::rotate),
        post("/v1/rollouts/{id}/drain", PROVISION, rollouts::drain),
        get("/v1/status", READ, status::status),
        get("/v1/verify", READ, status::verify),
        get("/v1/hosts", READ, status::hosts),
        get("/v1/audit", READ, status::audit),
        post("/v1/explain", READ, status::explain),
        get("/v1/events", READ, events::events),
        get("/healthz", READ, status::health),
        get("/readyz", READ, status::ready),
        get("/metrics", READ, metrics::metrics),
        post("/v1/panic", ADMIN, kernel::panic),
        post("/v1/keys/seal", ADMIN, keys::seal),
        get("/v1/keys/export/{name}", ADMIN, keys::export),
        post("/v1/import", ADMIN, keys::import),
        // What relaxes the kernel half, holds the master key, holds all digests, or makes operators.
        post("/v1/open", Reach::Here, kernel::open),
        post("/v1/unload", Reach::Here, kernel::unload),
        post("/v1/interface", Reach::Here, kernel::set_interface),
        post("/v1/keys/reseal", Reach::Here, keys::reseal),
        post("/v1/keys/rotate-master", Reach::Here, keys::rotate_master),
        get("/v1/store/backup", Reach::Here, backup::backup),
        get("/v1/admin/tokens", Reach::Here, operators::list),
        post("/v1/admin/tokens", Reach::Here, operators::add),
        delete("/v1/admin/tokens/{name}", Reach::Here, operators::revoke),
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
