//! Pillarbox: a mail submission service with one WebAssembly sandbox per connection.
pub mod sandbox;
