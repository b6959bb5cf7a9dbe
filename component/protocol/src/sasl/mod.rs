//! sasl (under construction).
