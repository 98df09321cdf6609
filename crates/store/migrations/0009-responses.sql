CREATE TABLE responses (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    deployment TEXT NOT NULL,
    input TEXT,
    response TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX responses_by_expiry ON responses (expires_at);
