//! Content of messages, as both roles see it (RFC 5321 section 4.5.2, RFC 5322 section 2).
//!
//! ```text
//!   section   collects the header section of a stream        RFC 5322 section 2.1
//!   header    its fields                                     RFC 5322 section 2.2
//!   address   address fields                                 RFC 5322 section 3.4
//!   message_id                                               RFC 5322 section 3.6.4
//!   bare      CR and LF that stand alone                     RFC 5321 section 2.3.8
//!   facts     what a relay has to know of content
//!   scanner   the facts of content that came from elsewhere
//!   pieces    content as runs of the caller's buffer, small ones joined
//!   stuffing  dots at line starts, and the end of data       RFC 5321 section 4.5.2
//! ```
//!
//! Not here: taking content from a client and repairing its header (`server`).

pub mod address;
pub mod bare;
pub mod facts;
pub mod header;
pub mod message_id;
pub mod pieces;
pub mod scanner;
pub mod section;
pub mod stuffing;
