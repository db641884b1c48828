-- When a token was last admitted. Written late; the last seconds before a crash are lost.
CREATE TABLE gate_uses (
    token INTEGER PRIMARY KEY,
    used INTEGER NOT NULL
) STRICT;
