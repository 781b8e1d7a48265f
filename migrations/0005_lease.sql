-- Which process holds the lease, so that one that is gone need not be waited for. NULL: not known.
ALTER TABLE lease ADD COLUMN process TEXT;
