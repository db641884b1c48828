-- Digests and sealed keys only: nothing here opens anything by itself.
CREATE TABLE gate_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    -- 1 after `panic`.
    closed INTEGER NOT NULL
) STRICT;
INSERT INTO gate_state (id, revision, closed) VALUES (1, 0, 0);

-- AUTOINCREMENT: a number is never given twice, not even after its row is gone.
CREATE TABLE gate_clients (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    reach TEXT NOT NULL,
    sources TEXT NOT NULL,
    ports TEXT NOT NULL,
    scope TEXT NOT NULL,
    upstream TEXT,
    key TEXT,
    rps INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    ended INTEGER,
    revision INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX gate_live_clients ON gate_clients (name) WHERE ended IS NULL;

CREATE TABLE gate_rollouts (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    client INTEGER NOT NULL,
    sources TEXT NOT NULL,
    scope TEXT NOT NULL,
    upstream TEXT,
    key TEXT,
    phase TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    ended INTEGER,
    revision INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX gate_live_rollouts ON gate_rollouts (id) WHERE ended IS NULL;
CREATE INDEX gate_live_rollouts_of ON gate_rollouts (client) WHERE ended IS NULL;

-- Rows go when their owner ends; `rollout` is null for a client's own.
CREATE TABLE gate_tokens (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    client INTEGER NOT NULL,
    rollout INTEGER,
    key TEXT,
    created INTEGER NOT NULL,
    expires INTEGER
) STRICT;
CREATE INDEX gate_tokens_of_client ON gate_tokens (client) WHERE rollout IS NULL;
CREATE INDEX gate_tokens_of_rollout ON gate_tokens (rollout) WHERE rollout IS NOT NULL;

-- The feed that other hosts follow, and the audit trail. Append-only.
CREATE TABLE gate_changes (
    revision INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    host TEXT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    entity TEXT NOT NULL,
    entity_id INTEGER NOT NULL,
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (revision, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX gate_changes_at ON gate_changes (at);
