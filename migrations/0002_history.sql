-- What happened, for good: each line is chained to the one before it, so that a line that is removed or
-- changed shows. Lines are only ever added, and taken from the front when they are too old.
CREATE TABLE history (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    run         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    category_id INTEGER NOT NULL,
    user_id     TEXT NOT NULL COLLATE NOCASE,
    action      TEXT NOT NULL,         -- JSON: the decision, refusals included
    before      TEXT,                  -- JSON: the membership as it was
    why         TEXT,                  -- JSON: group, groups on the way, binding
    outcome     TEXT NOT NULL,         -- 'done', 'refused', 'passing', 'changed', 'unknown' or 'left'
    answer      TEXT,                  -- Kaltura's code, where it refused
    approved_by TEXT,                  -- who released it, where it was held
    loss        INTEGER NOT NULL,      -- 1: somebody ended with less
    hash        BLOB NOT NULL
);
CREATE INDEX history_by_run ON history (run);
CREATE INDEX history_by_category ON history (category_id);
CREATE INDEX history_by_user ON history (user_id);
CREATE INDEX history_losses ON history (at) WHERE loss AND approved_by IS NULL;

-- What was closed so far, without a chain: nobody can vouch for it.
DROP INDEX journal_by_run;
DELETE FROM journal WHERE state <> 'sent';
ALTER TABLE journal DROP COLUMN answer;
ALTER TABLE journal DROP COLUMN via;
ALTER TABLE journal ADD COLUMN why TEXT;
ALTER TABLE journal ADD COLUMN approved_by TEXT;

-- Refusals that are in force, so that only what is new about them goes into the history.
CREATE TABLE refusal (
    category_id INTEGER NOT NULL,
    user_key    TEXT NOT NULL,
    action      TEXT NOT NULL,         -- JSON: the decision
    PRIMARY KEY (category_id, user_key)
) WITHOUT ROWID;

-- What a person has undone or rejected: the gate asks before it is done.
CREATE TABLE undone (
    category_id INTEGER NOT NULL,
    user_key    TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    run         INTEGER,               -- the run that undid it; NULL: it was rejected
    PRIMARY KEY (category_id, user_key)
) WITHOUT ROWID;

-- A ledger line knows since when it is so: a deactivated membership waits for its end. Of those there are,
-- nobody knows; their time begins now.
ALTER TABLE ledger ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
UPDATE ledger SET since = unixepoch();

-- A held plan is kept as it was, channel by channel, and each channel has its own answer.
ALTER TABLE held DROP COLUMN approved_at;
ALTER TABLE held DROP COLUMN approved_by;
ALTER TABLE held ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;  -- 1: a limit on all channels together holds it
ALTER TABLE held ADD COLUMN command TEXT NOT NULL DEFAULT 'sync';  -- that made it, and does it
ALTER TABLE held_category ADD COLUMN part TEXT NOT NULL DEFAULT '';   -- JSON: what would be done
ALTER TABLE held_category ADD COLUMN answer TEXT;                     -- NULL, 'approved' or 'rejected'
ALTER TABLE held_category ADD COLUMN answered_by TEXT;
ALTER TABLE held_category ADD COLUMN answered_at INTEGER;
ALTER TABLE held_category ADD COLUMN expires_at INTEGER;              -- of an approval
-- Plans held so far were kept by their counts only: the next run holds them anew, whole.
INSERT INTO dirty (kind) SELECT 'everything' WHERE EXISTS (SELECT 1 FROM held);
DELETE FROM held_category;
DELETE FROM held;
