use glyph_crds::{ApiKeySpec, ApiKeyStatus};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::billing::Owner;

/// Kubernetes in memory, and its clock.
#[derive(Clone, Debug)]
struct World {
    now: Timestamp,
    spec: ApiKeySpec,
    status: ApiKeyStatus,
    delivery: Delivery,
    entitlement: KeyEntitlement,
    drawn: usize,
}

impl Default for World {
    fn default() -> Self {
        let spec = json!({
            "customerRef": {"name": "ada"},
            "revealTtl": "1h",
            "rotation": {"revision": 0, "overlap": "24h"},
        });
        Self {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            spec: serde_json::from_value(spec).unwrap(),
            status: ApiKeyStatus::default(),
            delivery: Delivery::None,
            entitlement: KeyEntitlement::Granted,
            drawn: 0,
        }
    }
}

impl World {
    fn observe(&self) -> Observed {
        let [kind, namespace, name, uid] = ["ApiKey", "shop", "laptop", "uid-1"].map(str::to_owned);
        Observed {
            meta: Meta {
                now: self.now,
                owner: Owner {
                    kind,
                    namespace,
                    name,
                    uid,
                },
                generation: Some(1),
                deleting: false,
                deleted_at: None,
                finalized: false,
            },
            spec: self.spec.clone(),
            status: self.status.clone(),
            customer_exists: true,
            entitlement: self.entitlement.clone(),
            delivery: self.delivery.clone(),
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::CreateSecret(revision) => {
                assert_eq!(self.delivery, Delivery::None, "a Secret is overwritten");
                self.drawn += 1;
                let key = Delivered {
                    hash: format!("{:064x}", self.drawn),
                    pepper_version: 1,
                    prefix: format!("glyph_sk_live_{:04}", self.drawn),
                };
                let (revision, made) = (Some(revision), self.now);
                self.delivery = Delivery::Ours {
                    revision,
                    made,
                    key: Some(key),
                };
            }
            Action::DeleteSecret => {
                assert!(
                    matches!(self.delivery, Delivery::Ours { .. }),
                    "a foreign Secret is deleted"
                );
                self.delivery = Delivery::None;
            }
        }
    }

    fn converge(&mut self) -> Next<Action> {
        for _ in 0..8 {
            let observed = self.observe();
            match plan(&observed) {
                Next::Do(action) => self.apply(action),
                next => {
                    self.status = status(&observed, &next).status;
                    return next;
                }
            }
        }
        panic!("does not converge: {self:#?}");
    }

    fn pass_time(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    fn ready(&self) -> (&str, &str) {
        (
            &self.status.conditions[0].status,
            &self.status.conditions[0].reason,
        )
    }
}

#[test]
fn a_key_is_delivered_hashed_and_its_secret_goes_after_the_reveal_time() {
    let mut world = World::default();
    assert_eq!(world.converge(), Next::Done);
    assert_eq!(world.status.hashes.len(), 1);
    assert_eq!(world.status.key_id.as_deref(), Some("key_uid1"));
    assert_eq!(world.ready(), ("True", reason::KEY_DELIVERED));
    world.pass_time(1);
    world.converge();
    assert_eq!(
        (&world.delivery, world.status.hashes.len()),
        (&Delivery::None, 1)
    );
    world.converge();
    assert_eq!(
        (world.drawn, world.ready().0),
        (1, "True"),
        "no second key is made"
    );
}

#[test]
fn a_key_waits_for_payment_and_says_where_to_pay() {
    let (tier, pay_at) = ("starter".to_owned(), Some("https://pay".to_owned()));
    let mut world = World {
        entitlement: KeyEntitlement::AfterPayment { tier, pay_at },
        ..World::default()
    };
    world.converge();
    assert_eq!(
        (world.ready(), world.drawn),
        (("False", reason::AWAITING_PAYMENT), 0)
    );
    assert_eq!(
        world.status.conditions[0].message,
        "waiting for payment of tier starter by customer ada: pay at https://pay"
    );
}

#[test]
fn a_crash_between_secret_and_status_takes_the_key_over_from_the_secret() {
    let mut world = World::default();
    world.apply(Action::CreateSecret(0));
    world.pass_time(0);
    world.converge();
    assert_eq!(
        (world.drawn, world.status.hashes[0].value.as_str()),
        (1, format!("{:064x}", 1).as_str())
    );
}

#[test]
fn a_secret_that_holds_no_key_or_an_old_revision_is_replaced() {
    let made = World::default().now;
    for (revision, key) in [(Some(0), None), (Some(7), None), (None, None)] {
        let delivery = Delivery::Ours {
            revision,
            made,
            key,
        };
        let mut world = World {
            delivery,
            ..World::default()
        };
        world.converge();
        assert_eq!((world.drawn, world.status.hashes.len()), (1, 1));
    }
}

#[test]
fn a_foreign_secret_is_never_touched() {
    let mut world = World {
        delivery: Delivery::Foreign,
        ..World::default()
    };
    world.converge();
    assert_eq!(world.ready(), ("False", reason::SECRET_TAKEN));
    assert_eq!(world.delivery, Delivery::Foreign);
}

#[test]
fn after_a_rotation_the_old_key_works_on_for_the_overlap_under_the_same_id() {
    let mut world = World::default();
    world.converge();
    let id = world.status.key_id.clone();
    world.spec.rotation.revision = 1;
    world.converge();
    let [newest, oldest] = world.status.hashes.as_slice() else {
        panic!("two hashes")
    };
    assert_eq!((newest.not_after.clone(), world.drawn), (None, 2));
    assert_eq!(
        oldest.not_after.clone().unwrap().0,
        world.now + SignedDuration::from_hours(24)
    );
    assert_eq!(world.status.key_id, id);
    world.pass_time(24);
    world.converge();
    assert_eq!(world.status.hashes.len(), 1);
}

#[test]
fn a_revoked_key_loses_its_secret_at_once_and_stays_listed_for_good() {
    let mut world = World::default();
    world.converge();
    world.spec.revoked = true;
    world.converge();
    assert_eq!(
        (world.ready(), &world.delivery),
        (("False", reason::REVOKED), &Delivery::None)
    );
    let first = world.status.revoked_at.clone();
    world.pass_time(100);
    world.spec.rotation.revision = 1;
    world.converge();
    assert_eq!(
        (world.status.hashes.len(), world.drawn),
        (1, 1),
        "no new key after revocation"
    );
    assert_eq!(world.status.revoked_at, first);
}

#[test]
fn an_expired_key_says_so_and_works_again_when_its_end_is_moved() {
    let mut world = World::default();
    world.converge();
    world.spec.expires_at = Some(Time(world.now + SignedDuration::from_hours(2)));
    world.pass_time(2);
    world.converge();
    assert_eq!(world.ready(), ("False", reason::EXPIRED));
    world.spec.expires_at = None;
    world.converge();
    assert_eq!((world.ready().0, world.drawn), ("True", 1));
}

#[test]
fn the_next_look_is_when_the_next_thing_ends() {
    let mut world = World::default();
    world.converge();
    let look = |world: &World| status(&world.observe(), &Next::Done).look_again;
    assert_eq!(look(&world), Some(Duration::from_secs(3600)));
    world.spec.rotation.revision = 1;
    world.pass_time(2);
    world.converge();
    world.pass_time(1);
    assert_eq!(look(&world), Some(Duration::from_secs(23 * 3600)));
}

#[derive(Clone, Debug)]
enum Event {
    Rotate,
    Hours(i64),
    Crash,
    Converge,
    Pay(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Rotate),
        (0..30i64).prop_map(Event::Hours),
        Just(Event::Crash),
        Just(Event::Converge),
        any::<bool>().prop_map(Event::Pay),
    ]
}

proptest! {
    /// Whatever happens in whatever order, a revision has one key, it is hashed once it is delivered, and
    /// only the newest works without an end.
    #[test]
    fn one_key_per_revision_through_crashes_and_rotations(events in prop::collection::vec(event(), 0..20)) {
        let mut world = World::default();
        for event in events {
            match event {
                Event::Rotate => world.spec.rotation.revision += 1,
                Event::Hours(hours) => world.pass_time(hours),
                Event::Crash => {
                    if let Next::Do(action) = plan(&world.observe()) {
                        world.apply(action);
                    }
                }
                Event::Converge => {
                    world.converge();
                }
                Event::Pay(paid) => {
                    let (tier, pay_at) = ("starter".to_owned(), None);
                    world.entitlement = if paid { KeyEntitlement::Granted } else {
                        KeyEntitlement::AfterPayment { tier, pay_at }
                    };
                }
            }
        }
        world.entitlement = KeyEntitlement::Granted;
        world.converge();
        prop_assert_eq!(world.status.revision, Some(world.spec.rotation.revision));
        let endless = world.status.hashes.iter().filter(|h| h.not_after.is_none()).count();
        prop_assert_eq!(endless, 1);
        prop_assert!(world.drawn as i64 <= world.spec.rotation.revision + 1);
        prop_assert!(world.status.hashes.iter().all(|h| h.not_after.as_ref().is_none_or(|end| world.now < end.0)));
    }
}
