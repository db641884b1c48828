-- Digests and sealed keys only: nothing here opens anything by itself.
CREATE TABLE gate_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL,
    -- 1 after `panic`.
    closed BIGINT NOT NULL
);
INSERT INTO gate_state (id, revision, closed) VALUES (1, 0, 0);

-- A number is never given twice, not even after its row is gone.
CREATE SEQUENCE gate_client_ids AS BIGINT MAXVALUE 4294967294;
CREATE SEQUENCE gate_rollout_ids AS BIGINT;

CREATE TABLE gate_clients (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    reach TEXT NOT NULL,
    sources TEXT NOT NULL,
    ports TEXT NOT NULL,
    scope TEXT NOT NULL,
    upstream TEXT,
    key TEXT,
    rps BIGINT NOT NULL,
    concurrency BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    ended BIGINT,
    revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX gate_live_clients ON gate_clients (name) WHERE ended IS NULL;

CREATE TABLE gate_rollouts (
    serial BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    client BIGINT NOT NULL,
    sources TEXT NOT NULL,
    scope TEXT NOT NULL,
    upstream TEXT,
    key TEXT,
    phase TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    ended BIGINT,
    revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX gate_live_rollouts ON gate_rollouts (id) WHERE ended IS NULL;
CREATE INDEX gate_live_rollouts_of ON gate_rollouts (client) WHERE ended IS NULL;

-- Rows go when their owner ends; `rollout` is null for a client's own.
CREATE TABLE gate_tokens (
    id BIGINT PRIMARY KEY,
    digest BYTEA NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    client BIGINT NOT NULL,
    rollout BIGINT,
    key TEXT,
    created BIGINT NOT NULL,
    expires BIGINT
);
CREATE INDEX gate_tokens_of_client ON gate_tokens (client) WHERE rollout IS NULL;
CREATE INDEX gate_tokens_of_rollout ON gate_tokens (rollout) WHERE rollout IS NOT NULL;

-- The feed that other hosts follow, and the audit trail. Append-only.
CREATE TABLE gate_changes (
    revision BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    host TEXT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    entity TEXT NOT NULL,
    entity_id BIGINT NOT NULL,
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (revision, seq)
);
CREATE INDEX gate_changes_at ON gate_changes (at);

-- Times by the server's clock, in milliseconds.
CREATE TABLE gate_hosts (
    host TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    staleness BIGINT
);
