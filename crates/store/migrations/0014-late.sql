CREATE INDEX entries_late ON entries (call) WHERE substr(attempt, 1, 5) <> substr(call, 1, 5);
DROP INDEX entries_call;
