ALTER TABLE audit ADD COLUMN written BIGINT;
ALTER TABLE audit ALTER COLUMN written SET DEFAULT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT);
CREATE INDEX audit_written ON audit (written) WHERE written IS NOT NULL;
