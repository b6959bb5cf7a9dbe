//! verifier (under construction).
