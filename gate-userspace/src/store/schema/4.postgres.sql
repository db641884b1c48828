-- Who may use the admin API from other machines. Digests only.
CREATE TABLE gate_operators (
    name TEXT PRIMARY KEY,
    token BIGINT NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created BIGINT NOT NULL
);
