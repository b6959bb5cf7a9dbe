//! Delivery status notifications (RFC 3461, RFC 3464, RFC 6522): what senders are told.
