-- The spool of one service. user_version 2.
--
-- A message's row is written once and never changed: what changes is in its recipients' rows, which
-- are small. So neither an attempt nor a retry writes content again.

CREATE TABLE message (
    serial       INTEGER PRIMARY KEY,           -- order of arrival; the cursor of lists
    id           TEXT NOT NULL,
    received     INTEGER NOT NULL,              -- milliseconds since 1970, as all times
    reverse_path TEXT NOT NULL,
    identity     TEXT,
    peer         TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    envelope     TEXT NOT NULL,                 -- JSON
    facts        TEXT NOT NULL,                 -- JSON
    size         INTEGER NOT NULL,              -- octets of the content
    digest       BLOB NOT NULL,                 -- SHA-256 of the content
    content      BLOB                           -- NULL: it is a file. Last: lists do not read it.
) STRICT;

-- A rowid table with an index rather than WITHOUT ROWID: rows as large as these make a poor B-tree
-- when they are sorted by an identifier.
CREATE UNIQUE INDEX message_id ON message (id);

-- For the check at start; inline content costs nothing here.
CREATE INDEX message_file ON message (id) WHERE content IS NULL;

-- All that a list reads and looks for, without the content in between. It grows at its end only.
CREATE INDEX message_list
    ON message (serial, received, reverse_path, identity, message_id, size, id);

CREATE TABLE recipient (
    message      INTEGER NOT NULL,              -- serial
    ordinal      INTEGER NOT NULL,              -- order of the RCPT commands, from 0
    mailbox      TEXT NOT NULL,
    notify       INTEGER,                       -- bits: never, success, failure, delay
    orcpt_type   TEXT,
    orcpt        TEXT,
    state        INTEGER NOT NULL,              -- 0 waiting 1 delivering 2 deferred 3 held
                                                -- 4 delivered 5 failed
    attempts     INTEGER NOT NULL DEFAULT 0,    -- begun, not ended
    due          INTEGER,                       -- next attempt, or end of the lease; NULL: not by itself
    owner        INTEGER,                       -- the process instance that has the lease
    last_reply   TEXT,
    lane         TEXT NOT NULL DEFAULT '',      -- where it queues
    attempt      TEXT,                          -- JSON: what is known of the last one
    delay_told   INTEGER NOT NULL DEFAULT 0,    -- 1: the sender was told, or is about to be
    PRIMARY KEY (message, ordinal)
) STRICT, WITHOUT ROWID;

-- One column for next attempts and leases: whatever is past is due, so a lease that ran out needs
-- nobody to notice it. With the state, so that lanes are counted without a look at the rows.
CREATE INDEX recipient_due ON recipient (lane, due, state) WHERE due IS NOT NULL;

-- What is held is not due, and seldom much.
CREATE INDEX recipient_held ON recipient (message, lane) WHERE state = 3;

-- Where something queues, so that a claim looks through names and not through recipients. Nothing in
-- a lane is due earlier than its row says, whoever changed it: the triggers see to that. A claim that
-- finds nothing moves the time up, or removes the row.
CREATE TABLE lane (
    name         TEXT NOT NULL PRIMARY KEY,
    due          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

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

-- Reports that senders are owed.
CREATE TABLE notice (
    message      INTEGER NOT NULL,              -- serial
    ordinal      INTEGER NOT NULL,              -- of the recipient
    kind         INTEGER NOT NULL,              -- 0 failed 1 delayed 2 delivered 3 relayed
    since        INTEGER NOT NULL,
    due          INTEGER,                       -- NULL: not by itself
    attempt      TEXT NOT NULL,                 -- JSON
    PRIMARY KEY (message, ordinal, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX notice_due ON notice (due) WHERE due IS NOT NULL;

-- Lanes in trouble. A lane without a row has none.
CREATE TABLE trouble (
    lane         TEXT NOT NULL PRIMARY KEY,
    kind         INTEGER NOT NULL,              -- 0 down 1 paused
    since        INTEGER NOT NULL,
    due          INTEGER NOT NULL,              -- next attempt
    attempts     INTEGER NOT NULL,              -- in a row
    attempt      TEXT NOT NULL                  -- JSON: the last of them
) STRICT, WITHOUT ROWID;

-- Recipients that are done. A row says all: its message may be gone.
CREATE TABLE history (
    number       INTEGER PRIMARY KEY,           -- order of writing
    at           INTEGER NOT NULL,
    id           TEXT NOT NULL,                 -- of the message
    message_id   TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    identity     TEXT,
    mailbox      TEXT NOT NULL,
    ended        INTEGER NOT NULL,              -- 0 delivered 1 failed 2 removed
    attempts     INTEGER NOT NULL,
    delay        INTEGER NOT NULL,              -- milliseconds from acceptance
    size         INTEGER NOT NULL,              -- octets of the content
    last_reply   TEXT,
    attempt      TEXT                           -- JSON; NULL: removed
) STRICT;

CREATE INDEX history_at ON history (at);
CREATE INDEX history_id ON history (id);
