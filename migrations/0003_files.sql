-- CSV files on their way to Kaltura. A row of the journal that goes by file knows which, and what stands in
-- the file for it.
CREATE TABLE file (
    id      INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL,
    name    TEXT NOT NULL UNIQUE,      -- as Kaltura knows it
    made_at INTEGER NOT NULL,
    state   TEXT NOT NULL,             -- 'submitted' by us, 'left' where nobody knows what became of it,
                                       -- 'writing' into a folder, 'handed' over to a person
    folder  TEXT,                      -- where it is written, for a person to upload
    job     INTEGER                    -- Kaltura's number, once it is known
);
ALTER TABLE journal ADD COLUMN file INTEGER REFERENCES file (id);
ALTER TABLE journal ADD COLUMN rows TEXT;                             -- JSON: the rows, cell by cell
CREATE INDEX journal_by_file ON journal (file) WHERE file IS NOT NULL;
