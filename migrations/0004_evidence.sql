-- How much is known: what a directory's server has shown, what is missing of a group, and who is not
-- proven to have left.

-- Reads of a directory are counted, so that it is known what was seen before what.
ALTER TABLE directory ADD COLUMN looks INTEGER NOT NULL DEFAULT 0;      -- reads so far
ALTER TABLE directory ADD COLUMN full_look INTEGER NOT NULL DEFAULT 0;  -- the last complete one
ALTER TABLE directory ADD COLUMN seen TEXT;      -- opaque, written by the source: the newest state of each server seen
ALTER TABLE directory ADD COLUMN listed_at INTEGER;  -- when the ids of all entries were last listed
ALTER TABLE directory ADD COLUMN behind TEXT;    -- JSON: entries that were older than when last read
ALTER TABLE directory ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0; -- 1: a person said that what it shows is right

-- `kind` may be 'other', too: an entry that is neither a person nor a group of ours.
-- The read in which a name was first seen; of an entry that was read, the last one that changed it.
ALTER TABLE entry ADD COLUMN look INTEGER NOT NULL DEFAULT 0;
-- When a name that no entry has was first seen, and when it was last looked up.
ALTER TABLE entry ADD COLUMN since INTEGER;
ALTER TABLE entry ADD COLUMN looked_up_at INTEGER;
CREATE INDEX entry_names ON entry (directory, looked_up_at) WHERE kind = 'name';

-- What is missing of a group's members. The column `complete` said only that something is.
ALTER TABLE grp ADD COLUMN evidence TEXT;        -- JSON; NULL: known in full
UPDATE grp SET evidence = '{"known":"part","reasons":["value_not_understood"]}', digest = NULL
    WHERE NOT complete;
ALTER TABLE grp DROP COLUMN complete;
ALTER TABLE grp ADD COLUMN primary_key TEXT;     -- what people write who have it as their primary group
CREATE INDEX grp_by_primary_key ON grp (primary_key) WHERE primary_key IS NOT NULL;

ALTER TABLE person ADD COLUMN primary_group TEXT;
CREATE INDEX person_by_primary_group ON person (primary_group) WHERE primary_group IS NOT NULL;
ALTER TABLE person ADD COLUMN join_key TEXT;     -- the same person's entry in another directory has it, too

-- Names that entries had before. They lead to the entry until another one has the name.
CREATE TABLE former_name (
    directory INTEGER NOT NULL,
    name      TEXT NOT NULL,
    id        INTEGER NOT NULL,        -- entry.id
    PRIMARY KEY (directory, name)
) WITHOUT ROWID;
CREATE INDEX former_name_by_id ON former_name (id);

-- Former names that groups still list.
CREATE TABLE stale_name (
    group_id  INTEGER NOT NULL,        -- entry.id of the group
    name      TEXT NOT NULL,
    PRIMARY KEY (group_id, name)
) WITHOUT ROWID;

-- User IDs that people had before.
CREATE TABLE former_user (
    id        INTEGER NOT NULL,        -- entry.id
    user_key  TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    PRIMARY KEY (id, user_key)
) WITHOUT ROWID;

-- People whose entries left, while groups may still list them.
CREATE TABLE former_person (
    id        INTEGER PRIMARY KEY,     -- entry.id
    user_id   TEXT NOT NULL,
    user_key  TEXT NOT NULL,
    gone_at   INTEGER NOT NULL,
    look      INTEGER NOT NULL,        -- the last read in which the entry was there
    how       TEXT NOT NULL,           -- 'filter': it is there, and does not match; 'gone': it was not found
    looked_up_at INTEGER               -- when it was last looked for by itself
);
CREATE INDEX former_person_by_user ON former_person (user_key);

-- Members that groups do not list any more, as long as their departure is not proven.
CREATE TABLE departure (
    group_id  INTEGER NOT NULL,        -- entry.id of the group
    role      INTEGER NOT NULL,
    member_id INTEGER NOT NULL,        -- entry.id of whoever was in it
    since     INTEGER NOT NULL,
    look      INTEGER NOT NULL,        -- the read in which it was first seen
    reason    TEXT NOT NULL,           -- why it is not proven
    source    TEXT,                    -- the state of the source in which it was first seen
    hidden    INTEGER NOT NULL DEFAULT 0, -- 1: the server says that the group has the value all the same
    own       INTEGER NOT NULL DEFAULT 0, -- 1: the member's own entry said it, by the primary group
    PRIMARY KEY (group_id, role, member_id)
) WITHOUT ROWID;

CREATE INDEX departure_by_member ON departure (member_id);
CREATE INDEX former_user_by_user ON former_user (user_key);
CREATE INDEX stale_name_by_name ON stale_name (name);

-- Group IDs that entries may have which cannot be used.
CREATE TABLE unusable_group (
    directory INTEGER NOT NULL,
    id        INTEGER NOT NULL,        -- entry.id
    group_id  TEXT NOT NULL,
    PRIMARY KEY (directory, id, group_id)
) WITHOUT ROWID;
