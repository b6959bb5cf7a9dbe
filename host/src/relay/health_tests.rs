//! What is known of a place, step by step.

use super::*;

const LONGEST: Duration = Duration::from_secs(4 * 3600);

fn attempt() -> Attempt {
    Attempt {
        text: "refused".into(),
        ..Attempt::default()
    }
}

fn wait(health: &Health, now: SystemTime) -> Duration {
    let trouble = health.trouble("x").unwrap();
    trouble.next_attempt.duration_since(now).unwrap()
}

#[test]
fn a_server_that_is_away_is_probed_ever_more_seldom_up_to_a_minute() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let change = health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
        assert_eq!(change, Change::Worse);
        let expected = Duration::from_secs(seconds);
        let range = expected.mul_f64(0.89)..=expected.mul_f64(1.11);
        assert!(range.contains(&wait(&health, now)), "{seconds}");
        assert_eq!(health.trouble("x").unwrap().trouble, Trouble::Down);
    }
    assert!(!health.is_due(now));
    assert!(health.is_due(now + Duration::from_secs(70)));
}

#[test]
fn cl_route_the_third_fault_pauses_and_alarms_once() {
    let now = SystemTime::now();
    let mut health = Health::new();
    let mut fault = || {
        let change = health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        (change, health.trouble("x").unwrap().trouble)
    };
    assert_eq!(fault(), (Change::Worse, Trouble::Down));
    assert_eq!(fault(), (Change::Worse, Trouble::Down));
    assert_eq!(fault(), (Change::Paused, Trouble::Paused));
    assert_eq!(fault(), (Change::Worse, Trouble::Paused));
    assert!(wait(&health, now) > LONGEST / 2);
}

#[test]
fn cl_route_resume_asks_at_once_and_may_alarm_again() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for _ in 0..3 {
        health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    }
    assert!(!health.is_due(now));
    health.resume(now);
    assert!(health.is_due(now) && !health.is_well());
    health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    let change = health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    assert_eq!(change, Change::Paused);
}

#[test]
fn faults_count_only_in_a_row() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for _ in 0..10 {
        health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        assert_eq!(health.opened(now), Change::Well);
    }
}

#[test]
fn what_comes_back_is_not_met_by_all_that_waited() {
    let now = SystemTime::now();
    let mut health = Health::new();
    assert_eq!(
        health.window(20, now),
        1,
        "nor is one of which nothing is known"
    );
    health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
    assert_eq!(health.opened(now), Change::Well);
    assert_eq!(health.window(20, now), 1);
    health.served(20, now);
    health.served(20, now);
    assert_eq!(health.window(20, now), 3);
    for _ in 0..20 {
        health.served(20, now);
    }
    assert_eq!(health.window(20, now), 20);
    health.crowded(4, now);
    health.served(20, now);
    assert_eq!(health.window(20, now), 4);
    assert_eq!(health.window(20, now + CROWDED), 20);
}

#[test]
fn cl_route_what_failed_side_by_side_is_one_fault() {
    let now = SystemTime::now();
    let later = now + Duration::from_secs(1);
    let mut health = Health::new();
    let mut fault = |begun, at| health.obstructed(Obstacle::Fault, &attempt(), begun, at, LONGEST);
    assert_eq!(fault(now, later), Change::Worse);
    for _ in 0..20 {
        assert_eq!(fault(now, later), Change::None);
    }
}

#[test]
fn a_server_that_defers_everything_is_left_alone_for_a_while() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for _ in 0..9 {
        assert_eq!(health.deferred(&attempt(), now), Change::None);
    }
    health.served(20, now);
    for _ in 0..9 {
        assert_eq!(health.deferred(&attempt(), now), Change::None);
    }
    assert_eq!(health.deferred(&attempt(), now), Change::Worse);
    assert!(!health.is_probed() && !health.is_well());
    assert_eq!(health.opened(now), Change::None, "it was never about that");
    assert_eq!(health.give_chance(), Change::Chance);
    assert!(health.is_well() && health.trouble("x").is_none());
    // One more is enough then; a message that is taken ends it.
    assert_eq!(health.deferred(&attempt(), now), Change::Worse);
    assert_eq!(health.give_chance(), Change::Chance);
    assert_eq!(health.served(20, now), Change::Eased);
    assert_eq!(health.deferred(&attempt(), now), Change::None);
}

#[test]
fn a_chance_that_is_missed_does_not_begin_anew() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for (attempts, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
        assert_eq!(health.trouble("x").unwrap().attempts, attempts);
        assert!(wait(&health, now) < Duration::from_secs(seconds) * 2);
        assert_eq!(health.give_chance(), Change::Chance);
        assert_eq!(health.give_chance(), Change::None);
        assert_eq!(health.window(20, now), 1);
    }
    assert_eq!(health.opened(now), Change::Well);
    assert_eq!(health.opened(now), Change::None);
}

#[test]
fn cl_route_a_connection_that_opens_does_not_end_a_530_to_mail() {
    let now = SystemTime::now();
    let mut health = Health::new();
    let mut changes = Vec::new();
    for _ in 0..5 {
        assert_eq!(health.opened(now), Change::None);
        changes.push(health.rebuffed(&attempt(), now, now, LONGEST));
        assert!(!health.is_probed());
        assert_eq!(health.opened(now), Change::None);
        health.give_chance();
    }
    use Change::{Paused, Worse};
    assert_eq!(changes, [Worse, Worse, Paused, Worse, Worse]);
    assert_eq!(health.served(20, now), Change::Well);
    assert_eq!(health.served(20, now), Change::None);
}

#[test]
fn a_pause_survives_the_service() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for _ in 0..3 {
        health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    }
    let kept = health.trouble("x").unwrap();
    let mut restored = Health::restored(kept.clone(), now);
    assert_eq!(restored.trouble("x"), Some(kept));
    // The alarm was raised by the service before.
    let change = restored.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    assert_eq!(change, Change::Worse);
}

#[test]
fn cl_route_what_is_ours_stays_ours_until_a_connection_opens() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for _ in 0..3 {
        health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    }
    health.resume(now);
    health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
    assert_eq!(health.trouble("x").unwrap().trouble, Trouble::Down);
    health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
    assert!(health.reason().unwrap().ours);
    let later = now + LONGEST * 100;
    assert_eq!(health.counted_from(later), Some(later), "it goes on");
    // Also over a restart, though it is not paused.
    let kept = health.trouble("x").unwrap();
    let mut health = Health::restored(kept, now);
    health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
    assert!(health.is_ours());
    // And while a message asks.
    assert_eq!(health.give_chance(), Change::Chance);
    assert!(health.is_ours());
    assert_eq!(health.opened(later), Change::Well);
    assert!(!health.is_ours());
    let much_later = later + LONGEST;
    assert_eq!(health.counted_from(much_later), Some(later));
}

#[test]
fn what_is_nobodys_fault_is_counted_from_the_beginning() {
    let now = SystemTime::now();
    let mut health = Health::new();
    health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
    assert_eq!(health.counted_from(now), None);
    health.opened(now);
    assert_eq!(health.counted_from(now), None);
    health.inherit(now);
    assert_eq!(health.counted_from(now), Some(now));
}

#[test]
fn a_chance_that_somebody_asked_for_makes_due_what_waits() {
    let now = SystemTime::now();
    let mut health = Health::new();
    for _ in 0..3 {
        health.rebuffed(&attempt(), now, now, LONGEST);
    }
    let eased = health.eased();
    health.resume(now);
    let change = health.give_chance();
    assert_eq!(change, Change::Wanted);
    assert!(change.expedites());
    assert_eq!(health.eased(), eased + 1);
    // The next one comes by itself again.
    health.rebuffed(&attempt(), now, now, LONGEST);
    assert_eq!(health.give_chance(), Change::Chance);
    assert_eq!(health.eased(), eased + 1);
}

#[test]
fn cl_route_a_530_is_known_as_one_after_a_restart() {
    let now = SystemTime::now();
    let mut refused = attempt();
    refused.stage = Stage::Authentication;
    refused.reply = Some(crate::spool::attempt::Reply {
        code: 530,
        ..Default::default()
    });
    let mut health = Health::new();
    for _ in 0..3 {
        health.rebuffed(&refused, now, now, LONGEST);
    }
    let mut restored = Health::restored(health.trouble("x").unwrap(), now);
    assert!(!restored.is_probed());
    assert_eq!(restored.opened(now), Change::None);
    restored.give_chance();
    // No second alarm.
    let change = restored.rebuffed(&refused, now, now, LONGEST);
    assert_eq!(change, Change::Worse);
}

#[test]
fn what_was_deferred_keeps_its_times_over_a_reload_and_a_restart() {
    let now = SystemTime::now();
    let mut deferred = attempt();
    deferred.stage = Stage::Content;
    let mut health = Health::new();
    for _ in 0..10 {
        health.deferred(&deferred, now);
    }
    let mut restored = Health::restored(health.trouble("x").unwrap(), now);
    assert!(!restored.is_probed() && restored.is_due(now));
    assert_eq!(restored.give_chance(), Change::Chance);
    health.reloaded(now);
    assert!(health.is_due(now));
    assert_eq!(health.give_chance(), Change::Chance);
    // Who asks for it gets it.
    health.deferred(&deferred, now);
    health.resume(now);
    assert_eq!(health.give_chance(), Change::Wanted);
    // What is not about messages is asked for by a reload too.
    let mut away = Health::new();
    away.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
    away.reloaded(now);
    assert_eq!(away.give_chance(), Change::Wanted);
}
