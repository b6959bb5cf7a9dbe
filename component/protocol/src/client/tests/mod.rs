//! Dialogues of the client role.
