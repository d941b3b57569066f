use serde_json::{Value, json};

use super::*;

fn customer(changes: Value) -> Guarded<GlyphCustomer> {
    let mut value = json!({
        "apiVersion": "glyphapi.ai/v1alpha1",
        "kind": "GlyphCustomer",
        "metadata": {"name": "ada", "namespace": "shop", "uid": "u", "generation": 1, "annotations": {}},
        "spec": {"email": "ada@example.com"},
        "status": {},
    });
    for (pointer, change) in changes.as_object().unwrap() {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap()[field] = change.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn subscription() -> Guarded<Subscription> {
    let value = json!({
        "apiVersion": "glyphapi.ai/v1alpha1",
        "kind": "Subscription",
        "metadata": {"name": "ada-starter", "namespace": "shop"},
        "spec": {"customerRef": {"name": "ada"}, "tier": "starter"},
    });
    serde_json::from_value(value).unwrap()
}

/// Watches that know one subscription of ada's.
fn watches() -> Watches {
    let mut watches = Watches::default();
    watches
        .writers
        .subscriptions
        .apply_watcher_event(&Event::Apply(subscription()));
    watches
}

fn own() -> Wake {
    Wake::One(Kind::GlyphCustomer, "shop".into(), "ada".into())
}

fn dependent() -> Wake {
    Wake::One(Kind::Subscription, "shop".into(), "ada-starter".into())
}

#[test]
fn a_resource_is_woken_by_its_spec_its_deletion_and_stripes_events_and_not_by_its_status() {
    let stores = watches().stores;
    let mut marks = Marks::default();
    let mut seen = |changes: Value| marks.take(Event::Apply(customer(changes)), &stores);
    assert_eq!(seen(json!({})), [own(), dependent()]);
    assert_eq!(seen(json!({})), []);
    assert_eq!(seen(json!({"/metadata/resourceVersion": "7"})), []);
    assert_eq!(seen(json!({"/status/tier": "starter"})), []);
    let made = json!("cus_1");
    assert_eq!(
        seen(json!({"/status/stripeCustomerId": made})),
        [dependent()]
    );
    assert_eq!(
        seen(json!({"/status/stripeCustomerId": made, "/metadata/generation": 2})),
        [own()]
    );
    let event = json!({"glyphapi.ai/stripe-event": "evt_1"});
    let changes = json!({
        "/status/stripeCustomerId": made,
        "/metadata/generation": 2,
        "/metadata/annotations": event,
    });
    assert_eq!(seen(changes.clone()), [own()]);
    let mut deleted = changes;
    deleted["/metadata/deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(seen(deleted), [own(), dependent()]);
}

#[test]
fn an_edit_of_a_tiers_words_or_limits_wakes_no_subscriber_and_one_of_its_price_wakes_all() {
    let stores = watches().stores;
    let tier = |change: Value| -> Guarded<Tier> {
        let mut value = json!({
            "apiVersion": "glyphapi.ai/v1alpha1",
            "kind": "Tier",
            "metadata": {"name": "starter", "namespace": "shop", "uid": "t"},
            "spec": {"displayName": "Starter", "price": {"currency": "usd", "amount": 2900, "interval": "Month"}},
        });
        let spec = value["spec"].as_object_mut().unwrap();
        spec.extend(change.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    };
    let mut marks = Marks::default();
    marks.take(Event::Apply(tier(json!({}))), &stores);
    for words in [
        json!({"displayName": "Beginner"}),
        json!({"description": "For a start", "features": ["One", "Two"]}),
        json!({"quota": {"requests": 9}, "overQuota": "Credits"}),
    ] {
        assert_eq!(marks.take(Event::Apply(tier(words)), &stores), []);
    }
    for terms in [
        json!({"price": {"currency": "usd", "amount": 3900, "interval": "Month"}}),
        json!({"grace": {"days": 3}}),
        json!({"existingSubscribers": "Now"}),
        json!({"keysBeforePayment": true}),
    ] {
        let woken = marks.take(Event::Apply(tier(terms.clone())), &stores);
        assert_eq!(woken, [dependent()], "{terms}");
    }
}

#[test]
fn who_depended_on_a_resource_is_woken_when_it_goes_also_unseen() {
    let stores = watches().stores;
    let mut marks = Marks::default();
    marks.take(Event::Apply(customer(json!({}))), &stores);
    assert_eq!(
        marks.take(Event::Delete(customer(json!({}))), &stores),
        [dependent()]
    );
    marks.take(Event::Apply(customer(json!({}))), &stores);
    assert_eq!(marks.take(Event::Init, &stores), []);
    assert_eq!(marks.take(Event::InitDone, &stores), [dependent()]);
}

/// Found by `cargo measure chaos`: a Subscription that was made while the former one was still being ended stayed in
/// conflict with it for up to ten minutes after it was gone.
#[test]
fn who_came_to_depend_on_a_resource_since_its_last_change_is_woken_as_well() {
    let mut watches = watches();
    let mut marks = Marks::default();
    let mut second = subscription();
    second.0.as_mut().unwrap().metadata.name = Some("ada-second".into());
    let later = Wake::One(Kind::Subscription, "shop".into(), "ada-second".into());
    let ways: [&[Event<Guarded<Subscription>>]; 2] = [
        &[Event::Delete(subscription())],
        &[
            Event::Init,
            Event::InitApply(second.clone()),
            Event::InitDone,
        ],
    ];
    for way in ways {
        let mut take = |watches: &mut Watches, event: &Event<_>| {
            watches.writers.subscriptions.apply_watcher_event(event);
            marks.take(event.clone(), &watches.stores)
        };
        take(&mut watches, &Event::Delete(second.clone()));
        take(&mut watches, &Event::Apply(subscription()));
        take(&mut watches, &Event::Apply(second.clone()));
        let mut woken = Vec::new();
        for event in way {
            woken.extend(take(&mut watches, event));
        }
        assert!(woken.contains(&later), "{woken:?}");
    }
}

#[test]
fn after_a_new_list_only_what_changed_is_woken() {
    let stores = watches().stores;
    let mut marks = Marks::default();
    marks.take(Event::Apply(customer(json!({}))), &stores);
    marks.take(Event::Init, &stores);
    marks.take(Event::InitApply(customer(json!({}))), &stores);
    assert_eq!(marks.take(Event::InitDone, &stores), []);
}

#[test]
fn a_resource_that_cannot_be_read_counts_as_absent_and_is_followed_on() {
    let mut watches = watches();
    let mut marks = Marks::default();
    marks.take(Event::Apply(customer(json!({}))), &watches.stores);
    let broken = customer(json!({"/spec/email": 7}));
    assert!(broken.0.is_err());
    watches
        .writers
        .customers
        .apply_watcher_event(&Event::Apply(broken.clone()));
    assert_eq!(named::<GlyphCustomer>(&watches.stores, "shop", "ada"), None);
    let woken = marks.take(Event::Apply(broken), &watches.stores);
    assert_eq!(
        woken,
        [dependent()],
        "its subscription now finds no customer"
    );
    let woken = marks.take(Event::Apply(customer(json!({}))), &watches.stores);
    assert_eq!(woken, [dependent()]);
}

#[tokio::test]
async fn everyone_who_waits_for_the_lists_is_told() {
    let watches = watches();
    let waiting = [watches.stores.clone(), watches.stores.clone()]
        .map(|stores| tokio::spawn(async move { stores.listed().await }));
    tokio::task::yield_now().await;
    for _ in 0..KINDS {
        watches.listed.send_modify(|kinds| *kinds += 1);
    }
    for waits in waiting {
        waits.await.unwrap();
    }
}
