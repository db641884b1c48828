-- The master key that seals new rows, once one was chosen; until then each start's first.
ALTER TABLE gate_state ADD COLUMN master TEXT;

-- A token that another system made looks like a stranger's once it has ended.
ALTER TABLE gate_tokens ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;
CREATE TABLE gate_ended (
    digest BLOB PRIMARY KEY,
    ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
