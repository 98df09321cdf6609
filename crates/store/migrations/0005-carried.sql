CREATE TABLE carried (
    what TEXT PRIMARY KEY,
    sums TEXT NOT NULL
){rowless};
