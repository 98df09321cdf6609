CREATE TABLE claims (
    name TEXT PRIMARY KEY,
    ends_at BIGINT NOT NULL
);
CREATE INDEX claims_by_end ON claims (ends_at);
