CREATE TABLE {table} (
    id TEXT PRIMARY KEY,
    alias TEXT,
    organization_id TEXT,
    team_id TEXT,
    user_id TEXT,
    project_id TEXT,
    budget_id TEXT,
    blocked BOOLEAN NOT NULL DEFAULT FALSE,
    expires_at BIGINT,
    fields TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
CREATE INDEX {table}_alias ON {table} (alias) WHERE alias IS NOT NULL;
CREATE INDEX {table}_organization ON {table} (organization_id, id) WHERE organization_id IS NOT NULL;
CREATE INDEX {table}_team ON {table} (team_id, id) WHERE team_id IS NOT NULL;
CREATE INDEX {table}_user ON {table} (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX {table}_project ON {table} (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX {table}_budget ON {table} (budget_id, id) WHERE budget_id IS NOT NULL;
CREATE INDEX {table}_expires ON {table} (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX {table}_created ON {table} (created_at, id);
