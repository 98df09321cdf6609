CREATE TABLE archive (
    id {uuid} PRIMARY KEY,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    archived_at BIGINT NOT NULL,
    archived_by TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX archive_object ON archive (kind, object_id);
CREATE TABLE audit (
    id {uuid} PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    before TEXT,
    after TEXT
);
CREATE INDEX audit_object ON audit (kind, object_id, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE UNIQUE INDEX keys_unique_alias ON keys (alias) WHERE alias IS NOT NULL;
