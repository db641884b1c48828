//! `gatectl import apollo`: the clients of another system, their credentials unchanged.

use super::{
    call::{Gate, Question},
    exit::Exit,
    fault::Fault,
    parse::{ImportApollo, ImportCommand},
    print::{self, Answer, Block},
    secret_input,
    settle::{self, APOLLO_KEY, APOLLO_URLS},
    store,
};
use crate::{
    admin::wire::{self, Secret},
    ident::ClientName,
    store::offline::{self, ApolloClient, Place},
};

pub(super) async fn run(gate: &Gate, command: ImportCommand) -> Result<Answer, Fault> {
    match command {
        ImportCommand::Apollo(args) => apollo(gate, &args).await,
    }
}

async fn apollo(gate: &Gate, args: &ImportApollo) -> Result<Answer, Fault> {
    let place = database(args)?;
    let found = offline::apollo_clients(&place).await.map_err(|why| {
        Fault::refused(format!("cannot read the clients of {place}"))
            .because(why)
            .hint("is it apollo's database, with a table `lightning_clients`?")
    })?;
    let names: Vec<String> = found.iter().map(|client| client.name.clone()).collect();
    let master_key = settle::process_env(APOLLO_KEY).filter(|text| !text.trim().is_empty());
    let question = wire::ImportClients {
        clients: found.into_iter().map(asked).collect::<Result<_, _>>()?,
        master_key: master_key.map(Secret::new),
        dry_run: args.dry_run,
    };
    let json = gate
        .ask(Question::post("/v1/import").json(&question))
        .await?;
    let imported: wire::ClientsImported = print::read(&json)?;
    let is_done = |state: &str| matches!(state, "added" | "unchanged");
    let whole = imported.clients.iter().all(|one| is_done(&one.state));
    let rows = imported.clients.iter().zip(names).map(|(one, name)| {
        let state = match one.state.as_str() {
            "added" if imported.dry_run => "would be added".to_owned(),
            other => other.replace('_', " "),
        };
        vec![name, one.client.clone(), state, one.reason.clone()]
    });
    let view = vec![Block::Rows {
        head: vec!["APOLLO", "CLIENT", "STATE", "WHY"],
        rows: rows.collect(),
    }];
    let exit = if whole { Exit::Ok } else { Exit::Refused };
    Ok(Answer::new(json, view).exit(exit))
}

fn database(args: &ImportApollo) -> Result<Place, Fault> {
    if let Some(url) = &args.postgres {
        return store::place(url, true);
    }
    if let Some(name) = &args.postgres_env {
        let url = secret_input::from_env("URL of the database", name)?;
        return store::place(url.reveal(), false);
    }
    let mut urls = APOLLO_URLS.into_iter();
    let url = urls.find_map(|name| settle::process_env(name).filter(|url| !url.is_empty()));
    let url = url.ok_or_else(|| {
        let [first, second] = APOLLO_URLS;
        Fault::usage("it is not said where apollo's database is")
            .hint(format!("`--postgres URL`, or set ${first} or ${second}"))
    })?;
    store::place(&url, false)
}

fn asked(client: ApolloClient) -> Result<wire::ImportClient, Fault> {
    let fitting = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = client.name.trim().chars().map(fitting).take(64).collect();
    let name: ClientName = name.parse().map_err(|why| {
        Fault::refused(format!("client `{}` has no usable name", client.name)).because(why)
    })?;
    Ok(wire::ImportClient {
        client: name,
        token_sha256: client.token_sha256.to_ascii_lowercase(),
        stored_key: client.key.map(Secret::from),
    })
}
