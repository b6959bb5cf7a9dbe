//! extension (under construction).
