-- The state of one Rollbook. Times are Unix seconds. Words are stored as the program writes them, so
-- that `sqlite3 rollbook.db` reads like a report.

-- ── The mirror: what the directories hold ──────────────────────────────────────────────────────

CREATE TABLE directory (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    checkpoint   TEXT,                 -- opaque, written by the source; never ahead of the mirror
    read_at      INTEGER,              -- the last read of any kind that was absorbed
    full_read_at INTEGER               -- the last full read that was proven complete
);

-- Everything that has a name in a directory: people, groups, and names that groups mention and
-- nobody has (yet). Memberships refer to these ids, so that a rename moves nobody.
CREATE TABLE entry (
    id        INTEGER PRIMARY KEY,
    directory INTEGER NOT NULL,
    name      TEXT NOT NULL,           -- a DN in normal form, or ':login:…'
    stable_id TEXT,                    -- NULL: only a name so far. Kept when the entry leaves
    kind      TEXT NOT NULL,           -- 'name', 'person' or 'group': what it is, or last was
    version   TEXT,                    -- the directory's own mark of its present state
    UNIQUE (directory, name),
    UNIQUE (directory, stable_id)
);

CREATE TABLE person (
    id         INTEGER PRIMARY KEY,    -- entry.id
    user_id    TEXT NOT NULL,          -- as the directory writes it, transformed
    user_key   TEXT NOT NULL,          -- folded: two people with one key are one for Kaltura
    login      TEXT,
    first_name TEXT,
    last_name  TEXT,
    mail       TEXT,
    enabled    INTEGER NOT NULL
);
CREATE INDEX person_by_user ON person (user_key);
CREATE INDEX person_by_login ON person (login) WHERE login IS NOT NULL;

CREATE TABLE grp (
    id        INTEGER PRIMARY KEY,     -- entry.id
    group_id  TEXT NOT NULL,
    name      TEXT,
    digest    BLOB,                    -- of the members as last read; NULL: look again
    complete  INTEGER NOT NULL         -- 0: some members could not be read; it may gain, not lose
);
CREATE INDEX grp_by_group_id ON grp (group_id);

CREATE TABLE role (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE membership (
    group_id  INTEGER NOT NULL,        -- entry.id of the group
    role      INTEGER NOT NULL,
    member_id INTEGER NOT NULL,        -- entry.id of whoever is in it
    PRIMARY KEY (group_id, role, member_id)
) WITHOUT ROWID;
CREATE INDEX membership_by_member ON membership (member_id);

-- Group IDs that were there and are not any more: deleted, renamed, or outside the filter.
CREATE TABLE vanished_group (
    directory INTEGER NOT NULL,
    group_id  TEXT NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (directory, group_id)
) WITHOUT ROWID;

-- Entries that are there and cannot be used.
CREATE TABLE problem (
    directory INTEGER NOT NULL,
    subject   TEXT NOT NULL,           -- the entry's name as the directory writes it
    kind      TEXT NOT NULL,
    text      TEXT NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (directory, subject, kind, text)
) WITHOUT ROWID;

-- ── Where to look: marks left by absorbing, cleared by a verdict ───────────────────────────────

CREATE TABLE dirty (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,         -- 'everything', 'group', 'person', 'membership', 'category', 'entitlement'
    group_id    TEXT NOT NULL DEFAULT '',
    user_id     TEXT NOT NULL DEFAULT '',
    category_id INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, group_id, user_id, category_id) ON CONFLICT REPLACE
);

-- ── Kaltura's side ─────────────────────────────────────────────────────────────────────────────

CREATE TABLE category (
    id            INTEGER PRIMARY KEY,
    reference_id  TEXT,
    full_name     TEXT NOT NULL,
    owner         TEXT,
    inherits_from INTEGER,
    members_count INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
);
CREATE INDEX category_by_reference ON category (reference_id);

-- What this program last did to, or adopted of, each membership in Kaltura.
CREATE TABLE ledger (
    category_id INTEGER NOT NULL,
    user_key    TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    state       TEXT NOT NULL,         -- 'active', 'deactivated' or 'removed'
    level       TEXT NOT NULL,
    via         TEXT,                  -- the group that granted it
    run         INTEGER NOT NULL,
    PRIMARY KEY (category_id, user_key)
) WITHOUT ROWID;
CREATE INDEX ledger_by_user ON ledger (user_key);

-- ── Runs ───────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE run (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    command    TEXT NOT NULL,
    outcome    TEXT,                   -- NULL: it did not end
    report     TEXT                    -- JSON
);

-- One row for each action, written before the call and closed after it.
CREATE TABLE journal (
    id          INTEGER PRIMARY KEY,
    run         INTEGER NOT NULL,
    category_id INTEGER NOT NULL,
    user_id     TEXT NOT NULL,
    action      TEXT NOT NULL,         -- JSON: the decision
    before      TEXT,                  -- JSON: the membership as it was
    via         TEXT,
    state       TEXT NOT NULL,         -- 'sent', 'done', 'refused', 'passing', 'changed' or 'unknown'
    answer      TEXT,                  -- Kaltura's code, where it refused
    at          INTEGER NOT NULL
);
CREATE INDEX journal_by_run ON journal (run);
CREATE INDEX journal_open ON journal (id) WHERE state = 'sent';

-- Actions that failed for their own reason, and when to try them again.
CREATE TABLE set_aside (
    category_id INTEGER NOT NULL,
    user_key    TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    tries       INTEGER NOT NULL,
    since       INTEGER NOT NULL,
    retry_at    INTEGER NOT NULL,
    PRIMARY KEY (category_id, user_key)
) WITHOUT ROWID;

-- Plans that the gate holds. A category's part is released only while it is what was approved.
CREATE TABLE held (
    digest      TEXT PRIMARY KEY,
    run         INTEGER NOT NULL,
    held_at     INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    summary     TEXT NOT NULL,         -- JSON: counts
    approved_at INTEGER,
    approved_by TEXT
);
CREATE TABLE held_category (
    plan        TEXT NOT NULL,         -- held.digest
    category_id INTEGER NOT NULL,
    digest      TEXT NOT NULL,         -- of this category's part
    PRIMARY KEY (plan, category_id)
) WITHOUT ROWID;

-- One run at a time. The fence grows with every holder, so that a sleeper that wakes up is known.
CREATE TABLE lease (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    holder  TEXT NOT NULL,
    fence   INTEGER NOT NULL,
    seen_at INTEGER NOT NULL           -- 0: free
);

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
