//! Every key of the configuration file, by table.
//!
//! What is not in here is an unknown key. A test holds this list against
//! `docs/configuration.md` and `docs/pillarbox.example.toml`.

use super::reader::Shape;

/// The top of the file.
pub static TOP: Shape = Shape {
    table: "",
    keys: &[
        "hostname",
        "state-dir",
        "user",
        "component",
        "limits",
        "tls",
        "listener",
        "extensions",
        "aliases",
        "auth",
        "submission",
        "dkim",
        "spool",
        "retry",
        "route",
        "report",
        "alarm",
        "dns",
        "admin",
        "log",
    ],
    family: ALL,
};

/// `[component]`
pub static COMPONENT: Shape = Shape {
    table: "[component]",
    keys: &["path", "watch", "canary", "drain"],
    family: ALL,
};

/// `[limits]`
pub static LIMITS: Shape = Shape {
    table: "[limits]",
    keys: &[
        "connections",
        "connections-per-peer",
        "session-memory",
        "sandboxes",
        "session-slice",
        "message-size",
        "recipients",
    ],
    family: ALL,
};

/// Name of the table `[tls]`.
pub const TLS_TABLE: &str = "tls";

/// `[tls]`
pub static TLS: Shape = Shape {
    table: "[tls]",
    keys: &["certificate", "key"],
    family: ALL,
};

/// `[[listener]]`
pub static LISTENER: Shape = Shape {
    table: "[[listener]]",
    keys: &[
        "address",
        "tls",
        "auth",
        "networks",
        "relay-networks",
        "clear-text",
        "mechanisms",
        "bare-lf",
        "legacy-auth-line",
        "keep-bcc",
        "check-header-domains",
        "client-certificate",
        "client-authorities",
        "relay-certificates",
        "extensions",
    ],
    family: ALL,
};

/// Keys of `[extensions]`.
const EXTENSION_KEYS: &[&str] = &[
    "chunking",
    "binarymime",
    "smtputf8",
    "requiretls",
    "futurerelease",
    "deliverby",
    "mt-priority",
];

/// `[extensions]`
pub static EXTENSIONS: Shape = Shape {
    table: "[extensions]",
    keys: EXTENSION_KEYS,
    family: ALL,
};

/// `extensions` of a `[[listener]]`
pub static LISTENER_EXTENSIONS: Shape = Shape {
    table: "extensions of [[listener]]",
    keys: EXTENSION_KEYS,
    family: ALL,
};

/// `[auth]`
pub static AUTH: Shape = Shape {
    table: "[auth]",
    keys: &[
        "backend",
        "path",
        "ntlm-mic",
        "ntlm-domain",
        "ntlm-computer",
        "transition",
        "issuer",
    ],
    family: ALL,
};

/// `[[auth.issuer]]`
pub static AUTH_ISSUER: Shape = Shape {
    table: "[[auth.issuer]]",
    keys: &[
        "issuer",
        "audience",
        "jwks-url",
        "key-file",
        "shared-secret-file",
        "algorithms",
        "refresh",
        "introspection-url",
        "client-id",
        "client-secret-file",
        "cache",
        "leeway",
        "scope",
        "clients",
        "user-claims",
        "domains",
    ],
    family: ALL,
};

/// `[submission]`
pub static SUBMISSION: Shape = Shape {
    table: "[submission]",
    keys: &[
        "senders",
        "from",
        "local-domain",
        "add-date",
        "add-message-id",
        "add-sender",
        "check",
        "check-timeout",
    ],
    family: ALL,
};

/// `[[dkim]]`
pub static DKIM: Shape = Shape {
    table: "[[dkim]]",
    keys: &[
        "domain",
        "subdomains",
        "selector",
        "key",
        "identity",
        "expire",
    ],
    family: ALL,
};

/// `[spool]`
pub static SPOOL: Shape = Shape {
    table: "[spool]",
    keys: &["backend", "url", "history"],
    family: ALL,
};

/// `[retry]`
pub static RETRY: Shape = Shape {
    table: "[retry]",
    keys: &["first", "longest", "give-up", "delay-note"],
    family: ALL,
};

/// `[[route]]`
pub static ROUTE: Shape = Shape {
    table: "[[route]]",
    keys: &[
        "name",
        "domains",
        "senders",
        "identities",
        "deliver",
        "tls",
        "tls-name",
        "tls-authorities",
        "auth",
        "eight-bit",
        "chunking",
        "connections",
        "connections-per-destination",
        "messages-per-connection",
        "idle",
        "timeouts",
        "retry",
    ],
    family: WITHIN_ROUTE,
};

/// `auth` of a `[[route]]`
pub static ROUTE_AUTH: Shape = Shape {
    table: "auth of [[route]]",
    keys: &[
        "user",
        "domain",
        "mechanism",
        "mechanisms",
        "clear-text",
        "password-file",
        "password-command",
        "token-command",
        "token-url",
        "client-id",
        "client-secret-file",
        "refresh-token-file",
        "scope",
    ],
    family: WITHIN_ROUTE,
};

/// `timeouts` of a `[[route]]`
pub static ROUTE_TIMEOUTS: Shape = Shape {
    table: "timeouts of [[route]]",
    keys: &[
        "connect",
        "handshake",
        "command",
        "data",
        "content",
        "end-of-data",
        "quit",
        "stall",
        "transaction",
    ],
    family: WITHIN_ROUTE,
};

/// `[report]`
pub static REPORT: Shape = Shape {
    table: "[report]",
    keys: &["from", "full-limit", "copy-postmaster"],
    family: ALL,
};

/// `[alarm]`
pub static ALARM: Shape = Shape {
    table: "[alarm]",
    keys: &["command"],
    family: ALL,
};

/// `[dns]`
pub static DNS: Shape = Shape {
    table: "[dns]",
    keys: &["servers", "trusted"],
    family: ALL,
};

/// `[admin]`
pub static ADMIN: Shape = Shape {
    table: "[admin]",
    keys: &["address"],
    family: ALL,
};

/// `[log]`
pub static LOG: Shape = Shape {
    table: "[log]",
    keys: &["format", "level"],
    family: ALL,
};

/// All of them, in the order of the documentation.
pub static ALL: &[&Shape] = &[
    &TOP,
    &COMPONENT,
    &LIMITS,
    &TLS,
    &LISTENER,
    &EXTENSIONS,
    &LISTENER_EXTENSIONS,
    &AUTH,
    &AUTH_ISSUER,
    &SUBMISSION,
    &DKIM,
    &SPOOL,
    &RETRY,
    &ROUTE,
    &ROUTE_AUTH,
    &ROUTE_TIMEOUTS,
    &REPORT,
    &ALARM,
    &DNS,
    &ADMIN,
    &LOG,
];

/// What a key that stands wrongly in a route was meant for: more likely another part of the route
/// than another table.
static WITHIN_ROUTE: &[&Shape] = &[&ROUTE, &ROUTE_AUTH, &ROUTE_TIMEOUTS, &RETRY, &TOP, &LIMITS];
