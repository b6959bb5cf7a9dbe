//! When to try again (RFC 5321 section 4.5.4.1): soon at first, then ever later, each time with some
//! chance, so that what failed together does not come back together.

use std::time::{Duration, SystemTime};

/// `[retry]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Time to the second attempt. Default one minute: most troubles of a moment are over then.
    pub first: Duration,
    /// Most time between two attempts. Default 4 hours.
    pub longest: Duration,
    /// Age of a message at which a further failure is final. Default 5 days, the upper end of what
    /// RFC 5321 section 4.5.4.1 suggests.
    pub give_up: Duration,
    /// Age of a message at which its sender is told that it still waits, if he wants to know (RFC
    /// 3461 section 4.1); `None`: never. Default 4 hours.
    pub delay_note: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(60),
            longest: Duration::from_secs(4 * 3600),
            give_up: Duration::from_secs(5 * 24 * 3600),
            delay_note: Some(Duration::from_secs(4 * 3600)),
        }
    }
}

impl Retry {
    /// When to try again after so many attempts; `None`: never.
    pub fn next(&self, attempts: u32, received: SystemTime, now: SystemTime) -> Option<SystemTime> {
        (age(received, now) < self.give_up).then(|| now + self.wait(attempts))
    }

    /// How long to wait after so many attempts, however old the message is.
    pub fn wait(&self, attempts: u32) -> Duration {
        self.delay(attempts, rand::random_range(0.9..=1.1))
    }

    /// When a message of this time is given up.
    pub fn until(&self, received: SystemTime) -> SystemTime {
        received + self.give_up
    }

    /// Whether senders of a message of this time should know of the delay (RFC 3461 section 5.2.5).
    pub fn is_delayed(&self, received: SystemTime, now: SystemTime) -> bool {
        self.delay_note
            .is_some_and(|note| age(received, now) >= note)
    }

    /// Doubles each time; the chance is a factor around 1.
    fn delay(&self, attempts: u32, chance: f64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let delay = self.first.saturating_mul(1 << doublings).min(self.longest);
        delay.mul_f64(chance).min(self.longest)
    }
}

fn age(received: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(received).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn delays_double_up_to_the_longest() {
        let retry = Retry::default();
        for (attempts, minutes) in [(1, 1), (2, 2), (3, 4), (8, 128), (9, 240), (u32::MAX, 240)] {
            assert_eq!(retry.delay(attempts, 1.0), MINUTE * minutes, "{attempts}");
        }
        assert_eq!(retry.delay(0, 1.0), MINUTE);
        assert_eq!(retry.delay(1, 1.1), Duration::from_secs(66));
        assert_eq!(retry.delay(9, 1.1), MINUTE * 240);
    }

    #[test]
    fn chance_stays_near() {
        let retry = Retry::default();
        let now = SystemTime::now();
        for _ in 0..100 {
            let next = retry
                .next(1, now, now)
                .and_then(|next| next.duration_since(now).ok());
            let range = Duration::from_secs(54)..=Duration::from_secs(66);
            assert!(next.is_some_and(|next| range.contains(&next)), "{next:?}");
        }
    }

    #[test]
    fn an_old_message_is_given_up() {
        let retry = Retry::default();
        let received = SystemTime::now();
        let nearly = received + retry.give_up - Duration::from_secs(1);
        assert!(retry.next(50, received, nearly).is_some());
        assert_eq!(retry.next(50, received, received + retry.give_up), None);
        assert_eq!(retry.until(received), received + retry.give_up);
    }

    #[test]
    fn r3461_5_2_5_a_delay_is_one_from_a_certain_age() {
        let mut retry = Retry::default();
        let received = SystemTime::now();
        let nearly = received + Duration::from_secs(4 * 3600 - 1);
        assert!(!retry.is_delayed(received, nearly));
        assert!(retry.is_delayed(received, nearly + Duration::from_secs(1)));
        retry.delay_note = None;
        assert!(!retry.is_delayed(received, received + retry.give_up));
    }
}
