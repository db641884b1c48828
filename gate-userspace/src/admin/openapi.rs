//! `GET /openapi.json`: the API as `OpenAPI` 3.1, out of the table of routes and the wire types.

use std::sync::LazyLock;

use axum::{http::header::CONTENT_TYPE, response::IntoResponse};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    routes::{self, Reach, Route},
    wire,
};

pub(super) async fn document() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| build().to_string());
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str())
}

fn build() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let error = schemas.subschema_for::<wire::Error>();
    // Not an answer of its own, but what the stream of events is made of.
    let _event = schemas.subschema_for::<wire::Event>();
    let mut paths = Map::new();
    for route in routes::all() {
        let operation = operation(&route, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "gate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Served at the admin socket, and with `[admin] listen` over TLS to operators.",
        },
        "security": [{}, {"operator": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {"operator": {"type": "http", "scheme": "bearer"}},
            "responses": {"Refused": {
                "description": "The gate answered no: why, and what to do about it",
                "content": {"application/json": {"schema": error}},
            }},
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = named_in(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if let Some(queries) = route.queries {
        let schema = queries(schemas).to_value();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            parameters.push(json!({"name": name, "in": "query", "schema": schema}));
        }
    }
    if route.mints {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
            "description": "Where tokens are made: asked again within 10 minutes, the same answer",
        }));
    }
    let done = match route.gives {
        Some(gives) => json!({
            "description": "Done", "content": {"application/json": {"schema": gives(schemas)}},
        }),
        None => json!({"description": "Done"}),
    };
    let who = match route.reach {
        Reach::Here => "At the admin socket of its host alone.".to_owned(),
        Reach::From(role) => format!("From another machine: role `{role}` or above."),
    };
    let mut operation = json!({
        "summary": route.says,
        "description": who,
        "operationId": id(route),
        "parameters": parameters,
        "responses": {"200": done, "default": {"$ref": "#/components/responses/Refused"}},
    });
    if let Some(asks) = route.asks {
        operation["requestBody"] = json!({
            "required": true, "content": {"application/json": {"schema": asks(schemas)}},
        });
    }
    operation
}

/// The names between braces.
fn named_in(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Such as `post_clients_name_rotate`.
fn id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty() && *word != "v1");
    std::iter::once(route.method.as_str().to_ascii_lowercase())
        .chain(words.map(str::to_owned))
        .collect::<Vec<_>>()
        .join("_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let document = build();
        let mut ids = BTreeSet::new();
        for route in routes::all() {
            let method = route.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][route.path][method];
            assert!(!route.says.is_empty(), "{}", route.path);
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{}",
                route.path
            );
        }
        let mut wanted = Vec::new();
        references(&document, &mut wanted);
        assert!(wanted.len() > 50, "{wanted:?}");
        for reference in wanted {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn a_question_is_as_strict_as_its_reader() {
        let document = build();
        let schema = &document["components"]["schemas"]["RolloutOpen"];
        assert_eq!(schema["additionalProperties"], false);
        let required = schema["required"].as_array().unwrap();
        assert!(required.contains(&json!("rollout")), "{required:?}");
        assert!(!required.contains(&json!("ttl_seconds")), "{required:?}");
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        if let Some(all) = value.as_array() {
            for one in all {
                references(one, found);
            }
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            match value.as_str() {
                Some(reference) if key == "$ref" => found.push(reference.to_owned()),
                Some(_) | None => references(value, found),
            }
        }
    }
}
