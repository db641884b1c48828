//! The statements that both stores share.
//!
//! Every number is 64 bits wide, and every list one text. Parameters are `$n`, and each first appears in ascending order: Postgres reads the number,
//! `SQLite` numbers the names as it meets them.

pub(super) const STATE: &str = "SELECT revision, closed, master FROM gate_state WHERE id = 1";

/// Takes the one lock that puts all writers in a row, so that revisions appear in order.
pub(super) const BUMP: &str =
    "UPDATE gate_state SET revision = revision + 1 WHERE id = 1 RETURNING revision";

pub(super) const SET_MASTER: &str = "UPDATE gate_state SET master = $1 WHERE id = 1";

pub(super) const OPERATORS: &str = "SELECT name, token, digest, role, created FROM gate_operators";

pub(super) const ADD_OPERATOR: &str = "INSERT INTO gate_operators (name, token, digest, role, \
     created) VALUES ($1, $2, $3, $4, $5)";

pub(super) const END_OPERATOR: &str = "DELETE FROM gate_operators WHERE name = $1";

pub(super) const SET_CLOSED: &str = "UPDATE gate_state SET closed = $1 WHERE id = 1";

pub(super) const CLIENTS: &str = "SELECT id, name, enabled, reach, sources, ports, scope, \
     upstream, key, rps, concurrency, created, expires FROM gate_clients WHERE ended IS NULL";

pub(super) const CLIENT: &str = "SELECT id, name, enabled, reach, sources, ports, scope, \
     upstream, key, rps, concurrency, created, expires FROM gate_clients \
     WHERE ended IS NULL AND id = $1";

pub(super) const ROLLOUTS: &str = "SELECT serial, id, client, sources, scope, upstream, key, \
     phase, created, expires FROM gate_rollouts WHERE ended IS NULL";

pub(super) const ROLLOUT: &str = "SELECT serial, id, client, sources, scope, upstream, key, \
     phase, created, expires FROM gate_rollouts WHERE ended IS NULL AND serial = $1";

pub(super) const TOKENS: &str = "SELECT id, digest, kind, client, rollout, key, created, expires, \
     adopted FROM gate_tokens";

pub(super) const TOKENS_OF_CLIENT: &str = "SELECT id, digest, kind, client, rollout, key, \
     created, expires, adopted FROM gate_tokens WHERE rollout IS NULL AND client = $1";

pub(super) const TOKENS_OF_ROLLOUT: &str = "SELECT id, digest, kind, client, rollout, key, \
     created, expires, adopted FROM gate_tokens WHERE rollout = $1";

pub(super) const ADD_CLIENT: &str = "INSERT INTO gate_clients (id, name, enabled, reach, sources, \
     ports, scope, upstream, key, rps, concurrency, created, expires, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// Only over what the writer has seen: somebody else's later change makes this miss.
pub(super) const PUT_CLIENT: &str = "UPDATE gate_clients SET name = $1, enabled = $2, reach = $3, \
     sources = $4, ports = $5, scope = $6, upstream = $7, key = $8, rps = $9, \
     concurrency = $10, expires = $11, revision = $12 \
     WHERE id = $13 AND ended IS NULL AND revision <= $14";

pub(super) const END_CLIENT: &str = "UPDATE gate_clients SET ended = $1, key = NULL, revision = $2 \
     WHERE id = $3 AND ended IS NULL";

pub(super) const END_ROLLOUTS_OF: &str = "UPDATE gate_rollouts SET ended = $1, phase = 'closed', \
     key = NULL, revision = $2 WHERE client = $3 AND ended IS NULL RETURNING serial, id";

/// Adds nothing when its client has ended meanwhile.
pub(super) const ADD_ROLLOUT: &str = "INSERT INTO gate_rollouts (serial, id, client, sources, scope, \
     upstream, key, phase, created, expires, revision) \
     SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), \
     CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT), \
     CAST($9 AS BIGINT), CAST($10 AS BIGINT), CAST($11 AS BIGINT) \
     WHERE EXISTS (SELECT 1 FROM gate_clients WHERE id = $12 AND ended IS NULL)";

pub(super) const PUT_ROLLOUT: &str = "UPDATE gate_rollouts SET sources = $1, scope = $2, \
     upstream = $3, key = $4, phase = $5, expires = $6, revision = $7 \
     WHERE serial = $8 AND ended IS NULL AND revision <= $9";

pub(super) const END_ROLLOUT: &str = "UPDATE gate_rollouts SET ended = $1, phase = 'closed', \
     key = NULL, revision = $2 WHERE serial = $3 AND ended IS NULL";

pub(super) const ADD_TOKEN: &str = "INSERT INTO gate_tokens (id, digest, kind, client, rollout, key, \
     created, expires, adopted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Before the tokens themselves go.
pub(super) const KEEP_ENDED_OF_CLIENT: &str = "INSERT INTO gate_ended (digest, ended) \
     SELECT digest, CAST($1 AS BIGINT) FROM gate_tokens \
     WHERE adopted = 1 AND rollout IS NULL AND client = $2 ON CONFLICT (digest) DO NOTHING";

pub(super) const KEEP_ENDED_OF_ROLLOUT: &str = "INSERT INTO gate_ended (digest, ended) \
     SELECT digest, CAST($1 AS BIGINT) FROM gate_tokens \
     WHERE adopted = 1 AND rollout = $2 ON CONFLICT (digest) DO NOTHING";

/// One that was kept, or is adopted once more.
pub(super) const LIVES_AGAIN: &str = "DELETE FROM gate_ended WHERE digest = $1";

pub(super) const ENDED: &str = "SELECT digest FROM gate_ended";

pub(super) const FORGET_ENDED: &str = "DELETE FROM gate_ended WHERE ended < $1";

pub(super) const DROP_TOKENS_OF_CLIENT: &str =
    "DELETE FROM gate_tokens WHERE rollout IS NULL AND client = $1";

pub(super) const DROP_TOKENS_OF_ROLLOUT: &str = "DELETE FROM gate_tokens WHERE rollout = $1";

pub(super) const ADD_CHANGE: &str = "INSERT INTO gate_changes (revision, seq, at, host, actor, kind, \
     entity, entity_id, subject, client, detail) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

pub(super) const CHANGED_SINCE: &str =
    "SELECT DISTINCT entity, entity_id FROM gate_changes WHERE revision > $1";

/// Every commit has a line, so the next one is missing only when it was forgotten.
pub(super) const NEXT_IS_THERE: &str =
    "SELECT EXISTS (SELECT 1 FROM gate_changes WHERE revision = $1)";

pub(super) const AUDIT: &str = "SELECT revision, seq, at, host, actor, kind, subject, detail \
     FROM gate_changes WHERE at >= $1 AND revision > $2 AND ($3 = '' OR client = $4) \
     ORDER BY revision DESC, seq DESC LIMIT $5";

pub(super) const FORGET_CHANGES: &str = "DELETE FROM gate_changes WHERE at < $1";
pub(super) const FORGET_ROLLOUTS: &str = "DELETE FROM gate_rollouts WHERE ended < $1";
pub(super) const FORGET_CLIENTS: &str = "DELETE FROM gate_clients WHERE ended < $1";

pub(super) const USES: &str = "SELECT token, used FROM gate_uses";

/// Another host may know of a later use.
pub(super) const NOTE_USE: &str = "INSERT INTO gate_uses (token, used) VALUES ($1, $2) \
     ON CONFLICT (token) DO UPDATE SET used = EXCLUDED.used WHERE EXCLUDED.used > gate_uses.used";

/// A token that has ended is not asked for again.
pub(super) const FORGET_USES: &str = "DELETE FROM gate_uses WHERE used < $1 \
     AND NOT EXISTS (SELECT 1 FROM gate_tokens WHERE gate_tokens.id = gate_uses.token)";
