//! Why an attempt was refused, for the log of whoever asked. The peer is never told (R4954-6-a), so
//! it is no part of the answer: who wants to know wraps the attempt in [`heard`].

use std::cell::RefCell;
use std::pin::pin;

tokio::task_local! {
    static NOTED: RefCell<Option<Refusal>>;
}

/// Why somebody was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The name that was tried, as it came; empty: none.
    pub user: String,
    /// What was wrong.
    pub reason: String,
}

/// Runs an attempt; its outcome, and what was noted meanwhile.
pub async fn heard<F: Future>(attempt: F) -> (F::Output, Option<Refusal>) {
    let mut scope = pin!(NOTED.scope(RefCell::default(), attempt));
    let outcome = scope.as_mut().await;
    let noted = scope.take_value().and_then(RefCell::into_inner);
    (outcome, noted)
}

/// Why the attempt of this task is refused; the last word counts. Where nobody hears it, nothing
/// happens.
pub fn note(user: &str, reason: &str) {
    let refusal = Refusal {
        user: user.to_owned(),
        reason: reason.to_owned(),
    };
    let _ = NOTED.try_with(|noted| noted.replace(Some(refusal)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_attempt_hears_its_own_reason() {
        note("nobody", "hears this");
        let (inner, outer) = heard(async {
            note("alice", "wrong password");
            heard(async { note("bob", "no such user") }).await.1
        })
        .await;
        let user = |refusal: Option<Refusal>| refusal.map(|refusal| refusal.user);
        assert_eq!(user(inner).as_deref(), Some("bob"));
        assert_eq!(user(outer).as_deref(), Some("alice"));
        assert_eq!(heard(async {}).await.1, None);
    }
}
