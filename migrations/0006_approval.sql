-- The configuration by which a held plan was made: an approval is for that one only. NULL: not known, of
-- plans that were held before this column.
ALTER TABLE held ADD COLUMN configuration TEXT;
-- The last line of the history when a part was answered: what an approval has done since is not done again.
ALTER TABLE held_category ADD COLUMN answered_after INTEGER;
