-- The master key that seals new rows, once one was chosen; until then each start's first.
ALTER TABLE gate_state ADD COLUMN master TEXT;

-- A token that another system made looks like a stranger's once it has ended.
ALTER TABLE gate_tokens ADD COLUMN adopted BIGINT NOT NULL DEFAULT 0;
CREATE TABLE gate_ended (
    digest BYTEA PRIMARY KEY,
    ended BIGINT NOT NULL
);

-- Which master keys each host holds.
ALTER TABLE gate_hosts ADD COLUMN keys TEXT NOT NULL DEFAULT '';
