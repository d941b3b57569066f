use glyph_crds::api_key_format::KeyHash;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fixtures::{
    KEY, World, customer, hash_of, key, now, object, peppers, subscription, tier,
};

const OTHER: &str = "glyph_sk_live_ABCDEFGHIJ0123456789abcdefghijxy";

fn knows(index: &Index, secret: &str) -> bool {
    let peppers = peppers();
    let pepper = peppers.newest();
    index.key(pepper, &pepper.hash(secret)).is_some()
}

fn applied(index: &mut Index, kind: Kind, object: DynamicObject) -> Updated {
    index.update(kind, &None, Change::Applied(object))
}

#[test]
fn it_is_synced_once_every_watch_of_every_kind_has_listed_all() {
    let scopes = [Some("a".into()), Some("b".into())];
    let mut index = Index::new(&scopes);
    for kind in Kind::ALL {
        for scope in &scopes {
            assert!(!index.is_synced());
            index.update(kind, scope, Change::ListEnds);
            assert!(!index.is_synced(), "an end without a beginning is no list");
            index.update(kind, scope, Change::ListBegins);
            assert!(index.update(kind, scope, Change::ListEnds).changed);
        }
    }
    assert!(index.is_synced());
    index.update(Kind::Key, &scopes[0], Change::ListBegins);
    assert!(
        index.is_synced(),
        "listing again, it goes on with what it knows"
    );
}

#[test]
fn an_update_tells_whether_it_changed_an_answer() {
    let mut world = World::usual();
    assert!(!world.apply(Kind::Key, key("laptop", "ada", KEY, json!({}))));
    let used = json!({"status": {"lastUsedAt": "2026-11-23T12:00:00Z"}, "spec": {"displayName": "Laptop"}});
    assert!(!world.apply(Kind::Key, key("laptop", "ada", KEY, used)));
    assert!(world.apply(
        Kind::Key,
        key("laptop", "ada", KEY, json!({"spec": {"revoked": true}}))
    ));
    assert!(!world.apply(
        Kind::Tier,
        tier(
            "free",
            json!({"quota": {"requests": 100}, "features": ["a"]})
        )
    ));
    assert!(world.apply(Kind::Tier, tier("free", json!({"quota": {"requests": 99}}))));
    assert!(!world.apply(
        Kind::Customer,
        customer("ada", json!({"spec": {"email": "b@example.com"}}))
    ));
    let deleted = || Change::Deleted(object("free", json!({})));
    assert!(world.index.update(Kind::Tier, &None, deleted()).changed);
    assert!(!world.index.update(Kind::Tier, &None, deleted()).changed);
}

#[test]
fn a_malformed_resource_stops_working_and_its_values_are_not_told() {
    let bad_hash = json!({"status": {"hashes": [{"value": KEY, "pepperVersion": 1}]}});
    let bad_cidr = json!({"spec": {"allowedCidrs": ["10.0.0.0/33"]}});
    let bad_type = json!({"spec": {"revoked": KEY}});
    let no_id = json!({"status": {"keyId": null}});
    for (bad, reason) in [
        (
            bad_hash,
            "in status.hashes: not a key hash: expected 64 lower-case hexadecimal digits",
        ),
        (bad_cidr, "spec.allowedCidrs holds what is no CIDR"),
        (bad_type, "invalid type: string …, expected a boolean"),
        (no_id, "status.keyId is missing"),
    ] {
        let mut world = World::usual();
        let updated = applied(&mut world.index, Kind::Key, key("laptop", "ada", KEY, bad));
        assert!(updated.changed && !knows(&world.index, KEY));
        let malformed = updated.malformed.unwrap();
        assert_eq!(
            malformed.to_string(),
            format!("ApiKey shop/laptop cannot be used and is not in force: {reason}")
        );
        world.apply(Kind::Key, key("laptop", "ada", KEY, json!({})));
        assert!(knows(&world.index, KEY), "a repaired one works again");
    }
}

#[test]
fn a_malformed_tier_customer_or_subscription_stops_working_too() {
    let mut world = World::usual();
    let paid = json!({"state": "active", "tier": "starter"});
    world.apply(Kind::Subscription, subscription("s", "ada", paid));
    let ada = ObjectName::new("shop", "ada");
    assert!(world.index.subscription_of(&ada).is_some());
    for (kind, name) in [
        (Kind::Tier, "free"),
        (Kind::Customer, "ada"),
        (Kind::Subscription, "s"),
    ] {
        let before = world.index.len(kind);
        let updated = applied(
            &mut world.index,
            kind,
            object(name, json!({"spec": {"tier": 1}})),
        );
        assert_eq!(updated.malformed.unwrap().kind, kind);
        assert_eq!(world.index.len(kind), before - 1);
    }
    assert!(world.index.subscription_of(&ada).is_none());
}

#[test]
fn a_hash_that_two_keys_claim_is_nobodys_until_one_lets_go() {
    let mut world = World::usual();
    world.apply(Kind::Key, key("copy", "eve", KEY, json!({})));
    assert!(!knows(&world.index, KEY));
    world
        .index
        .update(Kind::Key, &None, Change::Deleted(object("copy", json!({}))));
    assert!(knows(&world.index, KEY));
}

#[test]
fn a_rotated_key_is_known_by_both_hashes_and_then_by_the_new_one() {
    let mut world = World::usual();
    let hashes = |all: &[&str]| {
        let all: Vec<_> = all
            .iter()
            .map(|key| json!({"value": hash_of(key), "pepperVersion": 1}))
            .collect();
        key("laptop", "ada", KEY, json!({"status": {"hashes": all}}))
    };
    world.apply(Kind::Key, hashes(&[OTHER, KEY]));
    assert!(knows(&world.index, KEY) && knows(&world.index, OTHER));
    world.apply(Kind::Key, hashes(&[OTHER]));
    assert!(!knows(&world.index, KEY) && knows(&world.index, OTHER));
}

#[test]
fn a_hash_made_under_another_pepper_version_is_not_known() {
    let mut world = World::usual();
    let hashes = json!([{"value": hash_of(KEY), "pepperVersion": 2}]);
    world.apply(
        Kind::Key,
        key("laptop", "ada", KEY, json!({"status": {"hashes": hashes}})),
    );
    assert!(!knows(&world.index, KEY));
}

#[test]
fn the_subscription_in_charge_is_the_oldest_that_has_not_ended() {
    let mut world = World::usual();
    let ada = ObjectName::new("shop", "ada");
    let made = |name: &str, at: &str, status: serde_json::Value| {
        let mut subscription = subscription(name, "ada", status);
        subscription.metadata.creation_timestamp = Some(serde_json::from_value(json!(at)).unwrap());
        subscription
    };
    let in_charge = |world: &World| {
        let found = world.index.subscription_of(&ada).unwrap();
        match found.in_force(now()) {
            InForce::Subscribed { tier, .. } => tier.name().to_owned(),
            _ => "none".to_owned(),
        }
    };
    let active = |tier: &str| json!({"state": "active", "tier": tier});
    world.apply(
        Kind::Subscription,
        made("new", "2026-03-01T00:00:00Z", active("professional")),
    );
    world.apply(
        Kind::Subscription,
        made("old", "2026-02-01T00:00:00Z", active("starter")),
    );
    assert_eq!(in_charge(&world), "starter");
    let ended = json!({"state": "canceled", "tier": "starter"});
    world.apply(
        Kind::Subscription,
        made("old", "2026-02-01T00:00:00Z", ended),
    );
    assert_eq!(in_charge(&world), "professional");
}

#[test]
fn during_a_relist_what_is_known_stays_what_is_listed_counts_and_what_is_not_goes_at_its_end() {
    let mut world = World::usual();
    world.apply(Kind::Key, key("server", "ada", OTHER, json!({})));
    let index = &mut world.index;
    index.update(Kind::Key, &None, Change::ListBegins);
    assert!(knows(index, KEY) && knows(index, OTHER) && index.is_synced());
    let deleting = json!({"metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"}});
    index.update(
        Kind::Key,
        &None,
        Change::Listed(key("laptop", "ada", KEY, deleting)),
    );
    let peppers = peppers();
    let hash = peppers.newest().hash(KEY);
    assert!(
        index.key(peppers.newest(), &hash).unwrap().0.revoked,
        "before the list has ended"
    );
    assert!(knows(index, OTHER));
    index.update(Kind::Key, &None, Change::ListEnds);
    assert!(knows(index, KEY) && !knows(index, OTHER));
}

#[test]
fn what_changes_during_a_relist_is_in_force_at_once_and_the_older_list_does_not_undo_it() {
    let mut world = World::usual();
    world.apply(Kind::Key, key("server", "ada", OTHER, json!({})));
    let index = &mut world.index;
    let laptop = |more| key("laptop", "ada", KEY, more);
    let server = || key("server", "ada", OTHER, json!({}));
    let revoked = |index: &Index| {
        let peppers = peppers();
        let (key, _) = index
            .key(peppers.newest(), &peppers.newest().hash(KEY))
            .unwrap();
        key.revoked
    };
    index.update(Kind::Key, &None, Change::ListBegins);
    let revoking = laptop(json!({"spec": {"revoked": true}}));
    index.update(Kind::Key, &None, Change::Applied(revoking));
    index.update(Kind::Key, &None, Change::Deleted(server()));
    assert!(
        revoked(index) && !knows(index, OTHER),
        "before the list has ended"
    );
    index.update(Kind::Key, &None, Change::Listed(laptop(json!({}))));
    index.update(Kind::Key, &None, Change::Listed(server()));
    assert!(revoked(index) && !knows(index, OTHER), "the list is older");
    index.update(Kind::Key, &None, Change::ListEnds);
    assert!(revoked(index) && !knows(index, OTHER));
}

#[test]
fn what_is_made_during_a_relist_is_not_gone_at_its_end() {
    let mut world = World::empty();
    let index = &mut world.index;
    index.update(Kind::Key, &None, Change::ListBegins);
    index.update(
        Kind::Key,
        &None,
        Change::Applied(key("new", "ada", KEY, json!({}))),
    );
    index.update(Kind::Key, &None, Change::ListEnds);
    assert!(knows(index, KEY));
}

#[test]
fn a_relist_that_begins_anew_forgets_what_the_first_had_listed() {
    let mut world = World::usual();
    let index = &mut world.index;
    index.update(Kind::Key, &None, Change::ListBegins);
    index.update(
        Kind::Key,
        &None,
        Change::Listed(key("laptop", "ada", KEY, json!({}))),
    );
    index.update(Kind::Key, &None, Change::ListBegins);
    index.update(Kind::Key, &None, Change::ListEnds);
    assert!(!knows(index, KEY));
}

#[test]
fn a_relist_of_one_namespace_leaves_the_others_alone() {
    let scopes: [Scope; 2] = [Some("shop".into()), Some("other".into())];
    let mut index = Index::new(&scopes);
    index.update(
        Kind::Key,
        &scopes[0],
        Change::Applied(key("laptop", "ada", KEY, json!({}))),
    );
    index.update(Kind::Key, &scopes[1], Change::ListBegins);
    index.update(Kind::Key, &scopes[1], Change::ListEnds);
    assert!(knows(&index, KEY));
}

#[test]
fn a_customer_or_key_that_is_being_deleted_is_gone_already() {
    let mut world = World::usual();
    let deleting = || json!({"metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"}});
    world.apply(Kind::Customer, customer("ada", deleting()));
    assert!(
        world
            .index
            .customer(&ObjectName::new("shop", "ada"))
            .is_none()
    );
    world.apply(Kind::Key, key("laptop", "ada", KEY, deleting()));
    let (pepper, hash) = (peppers(), KeyHash::parse(&hash_of(KEY)).unwrap());
    assert!(world.index.key(pepper.newest(), &hash).unwrap().0.revoked);
}

/// One thing that may happen to one of three keys; secrets are shared, so that claims collide.
#[derive(Clone, Debug)]
enum Step {
    Apply {
        name: u8,
        secret: u8,
        broken: bool,
    },
    Delete {
        name: u8,
    },
    /// The keys that the list has (what else was known is gone), and what happens before it is read.
    Relist {
        kept: Vec<u8>,
        meanwhile: Vec<(u8, Option<u8>)>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_u8, 0..2_u8, any::<bool>()).prop_map(|(name, secret, broken)| Step::Apply {
            name,
            secret,
            broken
        }),
        (0..3_u8).prop_map(|name| Step::Delete { name }),
        (
            prop::collection::vec(0..3_u8, 0..3),
            prop::collection::vec((0..3_u8, prop::option::of(0..2_u8)), 0..3),
        )
            .prop_map(|(kept, meanwhile)| Step::Relist { kept, meanwhile }),
    ]
}

proptest! {
    /// However keys come, go, break and collide: what is known is what a map from name to secret would say.
    #[test]
    fn the_index_agrees_with_a_plain_map(steps in prop::collection::vec(step(), 0..40)) {
        let secrets = [KEY, OTHER];
        let named = |name: u8, secret: u8| key(&name.to_string(), "ada", secrets[usize::from(secret)], json!({}));
        let mut world = World::empty();
        let mut model = std::collections::HashMap::new();
        for step in steps {
            match step {
                Step::Apply { name, secret, broken: false } => {
                    world.apply(Kind::Key, named(name, secret));
                    model.insert(name, secret);
                }
                Step::Apply { name, broken: true, .. } => {
                    let broken = object(&name.to_string(), json!({}));
                    applied(&mut world.index, Kind::Key, broken);
                    model.remove(&name);
                }
                Step::Delete { name } => {
                    let gone = object(&name.to_string(), json!({}));
                    world.index.update(Kind::Key, &None, Change::Deleted(gone));
                    model.remove(&name);
                }
                Step::Relist { kept, meanwhile } => {
                    world.index.update(Kind::Key, &None, Change::ListBegins);
                    model.retain(|name, _| kept.contains(name));
                    let listed = model.clone();
                    for (name, secret) in meanwhile {
                        let change = match secret {
                            Some(secret) => Change::Applied(named(name, secret)),
                            None => Change::Deleted(named(name, 0)),
                        };
                        world.index.update(Kind::Key, &None, change);
                        match secret {
                            Some(secret) => model.insert(name, secret),
                            None => model.remove(&name),
                        };
                    }
                    for (name, secret) in listed {
                        world.index.update(Kind::Key, &None, Change::Listed(named(name, secret)));
                    }
                    world.index.update(Kind::Key, &None, Change::ListEnds);
                }
            }
            for (number, secret) in secrets.iter().enumerate() {
                let holders = model.values().filter(|held| usize::from(**held) == number).count();
                prop_assert_eq!(knows(&world.index, secret), holders == 1);
            }
            prop_assert_eq!(world.index.len(Kind::Key), model.len());
        }
    }
}
