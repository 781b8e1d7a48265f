-- Channels of which everything has been compared, and nothing of whose plan waits for an answer: what is planned for
-- another one is its first plan. Those that a configuration in force had before are none of these.
CREATE TABLE planned_category (
    category_id INTEGER PRIMARY KEY
);
INSERT INTO planned_category
SELECT id FROM category WHERE EXISTS (SELECT 1 FROM setting WHERE name = 'configuration');

-- In which account: its address and number.
ALTER TABLE run ADD COLUMN account TEXT;
