-- A sandbox account, as `rollbook sandbox --data FILE` keeps it. Objects are JSON documents; only
-- memberships, of which there may be a million, have columns.

-- The account itself, and whatever there is little of: tokens, roles, sessions, waiting work.
CREATE TABLE document (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE category (
    id       INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    deleted  INTEGER NOT NULL,
    -- Kaltura's own count of members, which it keeps by adding and subtracting.
    members  INTEGER NOT NULL,
    pending  INTEGER NOT NULL,
    updated  INTEGER NOT NULL
) STRICT;

CREATE TABLE user (
    key      INTEGER PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE membership (
    row      INTEGER PRIMARY KEY,
    category INTEGER NOT NULL,
    user     INTEGER NOT NULL,
    level    INTEGER NOT NULL,
    status   INTEGER NOT NULL,
    method   INTEGER NOT NULL,
    -- permissionNames where they are not those of the level.
    names    TEXT,
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL
) STRICT;
