-- Who is in which group, and custom metadata: a JSON document each.

CREATE TABLE group_row (
    id       INTEGER PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE metadata (
    id       INTEGER PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;
