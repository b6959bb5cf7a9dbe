//! The dialogue over real sockets.
