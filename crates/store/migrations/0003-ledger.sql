CREATE TABLE names (
    id {serial},
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE entries (
    attempt {uuid} PRIMARY KEY,
    call {uuid} NOT NULL,
    started INTEGER NOT NULL,
    caller INTEGER NOT NULL,
    model_group INTEGER NOT NULL,
    deployment INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    model INTEGER NOT NULL,
    team INTEGER,
    user_name INTEGER,
    organization INTEGER,
    project INTEGER,
    customer INTEGER,
    tags INTEGER,
    error INTEGER,
    status INTEGER,
    ending SMALLINT NOT NULL,
    estimated BOOLEAN NOT NULL,
    cache_in_input BOOLEAN NOT NULL,
    first_content INTEGER,
    duration INTEGER,
    input INTEGER,
    output INTEGER,
    cost BIGINT NOT NULL,
    bound BIGINT,
    cache_read BIGINT,
    cache_write_5m BIGINT,
    cache_write_1h BIGINT,
    reasoning BIGINT,
    audio_input BIGINT,
    audio_output BIGINT,
    image_input BIGINT,
    image_output BIGINT,
    web_searches BIGINT,
    reported_cost BIGINT,
    trace TEXT,
    response TEXT
){rowless};
CREATE INDEX entries_call ON entries (call);
CREATE TABLE balances (
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    period TEXT NOT NULL,
    starts_at BIGINT,
    ends_at BIGINT,
    spent BIGINT NOT NULL DEFAULT 0,
    ahead BIGINT NOT NULL DEFAULT 0,
    total BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, id, period)
){rowless};
CREATE INDEX balances_ends ON balances (ends_at) WHERE ends_at IS NOT NULL;
CREATE TABLE rollups (
    day INTEGER NOT NULL,
    caller INTEGER NOT NULL,
    team INTEGER NOT NULL,
    user_name INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    project INTEGER NOT NULL,
    customer INTEGER NOT NULL,
    tags INTEGER NOT NULL,
    model_group INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    model INTEGER NOT NULL,
    succeeded BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    input BIGINT NOT NULL,
    output BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    PRIMARY KEY (day, caller, team, user_name, organization, project, customer, tags, model_group, provider, model)
){rowless};
CREATE TABLE positions (
    instance {uuid} PRIMARY KEY,
    whole_segment BIGINT NOT NULL,
    whole_offset BIGINT NOT NULL,
    read_segment BIGINT NOT NULL,
    read_offset BIGINT NOT NULL,
    applied_at BIGINT NOT NULL
){rowless};
