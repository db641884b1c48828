//! What the database lets this gate do: provision, or only follow and tell how far it is.
//!
//! The grants of a host are written here and nowhere else: `gatectl store host-role` prints them.

use deadpool_postgres::Client;

use crate::store::StoreError;

/// A role that may not change the revision may not change anything that has one.
const IS_READER: &str = "SELECT NOT has_table_privilege('gate_state', 'UPDATE')";

pub(super) async fn is_reader(client: &Client) -> Result<bool, StoreError> {
    Ok(client.query_one(IS_READER, &[]).await?.get(0))
}

/// The statements that make a role one of a host, to be run by the owner of the tables.
pub(in crate::store) fn grants(role: &str) -> String {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    format!(
        "-- A host of the fleet: reads who may come in, tells how far it is, changes nothing else.\n\
         GRANT SELECT ON gate_schema, gate_state, gate_clients, gate_rollouts, gate_tokens, \
         gate_ended, gate_changes, gate_operators TO {role};\n\
         GRANT SELECT, INSERT, UPDATE, DELETE ON gate_hosts TO {role};\n\
         GRANT SELECT, INSERT, UPDATE ON gate_uses TO {role};\n"
    )
}
