//! Tokens of the admin API for other machines. They open nothing on the gated port.

use std::sync::Arc;

use serde_json::json;

use super::{Actor, Control, Refused, answer::Minted, writer::Writer};
use crate::{
    client::Kind,
    ident::{OperatorName, Revision},
    operator::{Operator, Operators, Role},
    secret::NewToken,
    store::{Change, Note, Rejection, StoreError, Write},
};

impl Control {
    /// Those who may use the admin API from other machines.
    pub fn operators(&self) -> Arc<Operators> {
        self.desk.operators.load_full()
    }

    /// A token for a new operator, shown once.
    pub async fn add_operator(
        &self,
        actor: Actor,
        name: OperatorName,
        role: Role,
    ) -> Result<(Minted, Revision), Refused> {
        self.change(move |writer| {
            Box::pin(async move { writer.add_operator(actor, name, role).await })
        })
        .await
    }

    /// Ends an operator's token, on every host.
    pub async fn end_operator(
        &self,
        actor: Actor,
        name: OperatorName,
    ) -> Result<Revision, Refused> {
        self.change(move |writer| Box::pin(async move { writer.end_operator(actor, name).await }))
            .await
    }
}

impl Writer {
    async fn add_operator(
        &mut self,
        actor: Actor,
        name: OperatorName,
        role: Role,
    ) -> Result<(Minted, Revision), Refused> {
        let now: Vec<Operator> = self.desk.operators.load().iter().cloned().collect();
        if now.iter().any(|operator| operator.name == name) {
            return Err(Refused::OperatorExists(name));
        }
        let token = NewToken::mint()?;
        let operator = Operator {
            name: name.clone(),
            token: token.id,
            digest: token.digest,
            role,
            created: self.now(),
        };
        let change = Change {
            write: Write::AddOperator(Box::new(operator.clone())),
            note: note("operator.add", &name, json!({"role": role})),
        };
        let revision = self.commit(actor, vec![change]).await.map_err(|why| {
            let faster = Rejection::OperatorTaken;
            // On another host.
            if matches!(why, StoreError::Rejected { why, .. } if why == faster) {
                Refused::OperatorExists(name.clone())
            } else {
                why.into()
            }
        })?;
        self.put_operators(now.into_iter().chain([operator]).collect());
        self.reach(revision);
        Ok((Minted::new(token, Kind::Client), revision))
    }

    /// In effect at once here, as every ending.
    async fn end_operator(
        &mut self,
        actor: Actor,
        name: OperatorName,
    ) -> Result<Revision, Refused> {
        let now: Vec<Operator> = self.desk.operators.load().iter().cloned().collect();
        let (gone, left): (Vec<_>, Vec<_>) =
            now.into_iter().partition(|operator| operator.name == name);
        if gone.is_empty() {
            return Err(Refused::NoOperator(name));
        }
        self.put_operators(left);
        let change = Change {
            write: Write::EndOperator(name.clone()),
            note: note("operator.revoke", &name, json!({})),
        };
        let written = self.commit_ending(actor, vec![change]).await;
        let revision = self.revision_of(&written);
        self.reach(revision);
        written.map_err(|why| {
            tracing::error!(error = %why, "an operator has ended here and nowhere else yet");
            Refused::NotWritten(format!("operator `{name}`"))
        })
    }

    pub(super) fn put_operators(&self, now: Vec<Operator>) {
        self.desk.operators.store(Arc::new(Operators::of(now)));
    }
}

fn note(kind: &'static str, name: &OperatorName, detail: serde_json::Value) -> Note {
    Note {
        kind,
        subject: format!("operator {name}"),
        client: String::new(),
        detail,
    }
}
