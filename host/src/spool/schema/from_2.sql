-- From user_version 2 to 3, in one transaction; the result is that of schema.sql. The columns cost
-- nothing, whatever the number of rows, and the indexes are empty: version 2 offered none of the
-- extensions that they are for.

ALTER TABLE recipient ADD COLUMN hold_until INTEGER;
ALTER TABLE recipient ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN deadline INTEGER;

CREATE INDEX recipient_priority ON recipient (lane, priority, due)
    WHERE priority <> 0 AND due IS NOT NULL;
CREATE INDEX recipient_deadline ON recipient (deadline) WHERE deadline IS NOT NULL;
