//! What tests of content start from.

use super::*;

/// A listener with all repairs; the transaction of `alice@example.org`, without an identity.
pub(in crate::server) fn rules() -> Rules {
    Rules {
        bare_lf: BareLf::Reject,
        binary: false,
        require_tls: false,
        max_size: 0,
        add_date: true,
        add_message_id: true,
        add_sender: true,
        check_header_domains: true,
        keep_bcc: false,
        hostname: "mail.example.org".into(),
        id: "k3-1".into(),
        identity: None,
        reverse_path: "alice@example.org".into(),
        received: b"Received: ours\r\n".to_vec(),
        now: Moment {
            seconds: 951_782_400,
            nanoseconds: 0,
        },
        refused_recipients: false,
    }
}
