-- The spool of one service. user_version 1.
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

CREATE TABLE recipient (
    message      INTEGER NOT NULL,              -- serial
    ordinal      INTEGER NOT NULL,              -- order of the RCPT commands, from 0
    mailbox      TEXT NOT NULL,
    notify       INTEGER,                       -- bits: never, success, failure, delay
    orcpt_type   TEXT,
    orcpt        TEXT,
    state        INTEGER NOT NULL,              -- 0 waiting 1 delivering 2 deferred 3 held 4 delivered
    attempts     INTEGER NOT NULL DEFAULT 0,    -- begun, not ended
    due          INTEGER,                       -- next attempt, or end of the lease; NULL: not by itself
    owner        INTEGER,                       -- the process instance that has the lease
    last_reply   TEXT,
    PRIMARY KEY (message, ordinal)
) STRICT, WITHOUT ROWID;

-- One column for next attempts and leases: whatever is past is due, so a lease that ran out needs
-- nobody to notice it.
CREATE INDEX recipient_due ON recipient (due) WHERE due IS NOT NULL;
