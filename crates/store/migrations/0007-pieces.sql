ALTER TABLE entries ADD COLUMN search_units BIGINT;
ALTER TABLE entries ADD COLUMN images BIGINT;
ALTER TABLE entries ADD COLUMN audio_millis BIGINT;
ALTER TABLE entries ADD COLUMN characters BIGINT;
