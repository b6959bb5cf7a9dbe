-- From user_version 1 to 2, in one transaction; the result is that of schema.sql. The columns cost
-- nothing, whatever the number of rows; the indexes read each table once.

ALTER TABLE recipient ADD COLUMN lane TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN attempt TEXT;
ALTER TABLE recipient ADD COLUMN delay_told INTEGER NOT NULL DEFAULT 0;

DROP INDEX recipient_due;
CREATE INDEX recipient_due ON recipient (lane, due, state) WHERE due IS NOT NULL;
CREATE INDEX recipient_held ON recipient (message, lane) WHERE state = 3;
CREATE INDEX message_list
    ON message (serial, received, reverse_path, identity, message_id, size, id);

CREATE TABLE lane (
    name         TEXT NOT NULL PRIMARY KEY,
    due          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO lane (name, due)
    SELECT lane, min(due) FROM recipient WHERE due IS NOT NULL GROUP BY lane;

CREATE TRIGGER recipient_comes AFTER INSERT ON recipient WHEN NEW.due IS NOT NULL
BEGIN
    INSERT INTO lane (name, due) VALUES (NEW.lane, NEW.due)
    ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE excluded.due < due;
END;

CREATE TRIGGER recipient_moves AFTER UPDATE OF lane, due ON recipient WHEN NEW.due IS NOT NULL
BEGIN
    INSERT INTO lane (name, due) VALUES (NEW.lane, NEW.due)
    ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE excluded.due < due;
END;

CREATE TABLE notice (
    message      INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    kind         INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    due          INTEGER,
    attempt      TEXT NOT NULL,
    PRIMARY KEY (message, ordinal, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX notice_due ON notice (due) WHERE due IS NOT NULL;

CREATE TABLE trouble (
    lane         TEXT NOT NULL PRIMARY KEY,
    kind         INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    attempt      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    number       INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    id           TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    identity     TEXT,
    mailbox      TEXT NOT NULL,
    ended        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    delay        INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    last_reply   TEXT,
    attempt      TEXT
) STRICT;

CREATE INDEX history_at ON history (at);
CREATE INDEX history_id ON history (id);
