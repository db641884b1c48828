-- Who may use the admin API from other machines. Digests only.
CREATE TABLE gate_operators (
    name TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
