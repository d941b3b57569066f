//! What each call makes, changes and finds.

use super::*;

#[tokio::test]
async fn a_customer_is_made_read_changed_and_deleted() {
    let World {
        stripe, sim: _sim, ..
    } = World::start().await;
    let made = stripe.create_customer("key-1", &ada()).await.unwrap();
    assert_eq!(made.email.as_deref(), Some("ada@example.com"));
    assert_eq!(made.owner, Some(ada().owner));
    assert_eq!(stripe.customer(&made.id).await.unwrap(), Some(made.clone()));

    let linked = CustomerParams {
        cognito_sub: Some("sub-1".to_owned()),
        ..ada()
    };
    let linked = stripe.update_customer(&made.id, &linked).await.unwrap();
    assert_eq!(linked.cognito_sub.as_deref(), Some("sub-1"));
    let unlinked = CustomerParams {
        name: Some("Ada King".to_owned()),
        ..ada()
    };
    let unlinked = stripe.update_customer(&made.id, &unlinked).await.unwrap();
    assert_eq!(unlinked.name.as_deref(), Some("Ada King"));
    assert_eq!(unlinked.cognito_sub, None);

    stripe.delete_customer(&made.id).await.unwrap();
    let gone = stripe.customer(&made.id).await.unwrap().unwrap();
    assert!(gone.deleted);
    stripe.delete_customer(&made.id).await.unwrap();
}

#[tokio::test]
async fn what_stripe_does_not_have_is_none_and_no_error() {
    let World {
        stripe, sim: _sim, ..
    } = World::start().await;
    assert_eq!(stripe.customer("cus_unknown").await.unwrap(), None);
    assert_eq!(stripe.product("prod_unknown").await.unwrap(), None);
    assert_eq!(stripe.price("price_unknown").await.unwrap(), None);
    assert_eq!(stripe.find_price("unknown").await.unwrap(), None);
    assert_eq!(stripe.checkout("cs_test_unknown").await.unwrap(), None);
    assert_eq!(stripe.subscription("sub_unknown").await.unwrap(), None);
    stripe.delete_customer("cus_unknown").await.unwrap();
    stripe.cancel_subscription("sub_unknown").await.unwrap();
    stripe.expire_checkout("cs_test_unknown").await.unwrap();
}

#[tokio::test]
async fn a_new_customer_is_found_by_email_before_search_knows_it_and_two_for_one_uid_are_both_found()
 {
    let World { stripe, sim, .. } = World::start().await;
    let first = stripe.create_customer("key-1", &ada()).await.unwrap();
    let other = CustomerParams {
        owner: owner("GlyphCustomer", "uid-other"),
        ..ada()
    };
    stripe.create_customer("key-2", &other).await.unwrap();
    let found = stripe
        .find_customers(&ada().owner, &ada().email)
        .await
        .unwrap();
    assert_eq!(found, std::slice::from_ref(&first));

    let moved = CustomerParams {
        email: "countess@example.com".to_owned(),
        ..ada()
    };
    let second = stripe.create_customer("key-3", &moved).await.unwrap();
    sim.control().advance(3600);
    let found = stripe
        .find_customers(&ada().owner, &ada().email)
        .await
        .unwrap();
    assert_eq!(found, [first, second]);
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_read_to_its_end() {
    let World {
        stripe, sim: _sim, ..
    } = World::start().await;
    for number in 0..101 {
        let params = CustomerParams {
            owner: owner("GlyphCustomer", "uid-same"),
            ..ada()
        };
        stripe
            .create_customer(&format!("key-{number}"), &params)
            .await
            .unwrap();
    }
    let owner = owner("GlyphCustomer", "uid-same");
    assert_eq!(
        stripe
            .find_customers(&owner, &ada().email)
            .await
            .unwrap()
            .len(),
        101
    );
}

#[tokio::test]
async fn a_product_is_found_at_once_and_however_many_came_after_it() {
    let World { stripe, sim, .. } = World::start().await;
    let owner = owner("Tier", "uid-tier");
    let params = ProductParams {
        name: "Starter".to_owned(),
        description: Some("For a start".to_owned()),
        owner: owner.clone(),
        since: Timestamp::UNIX_EPOCH,
    };
    let made = stripe.create_product("key-1", &params).await.unwrap();
    assert_eq!(
        stripe
            .find_products(&owner, Timestamp::UNIX_EPOCH)
            .await
            .unwrap(),
        std::slice::from_ref(&made)
    );
    for number in 0..100 {
        let other = ProductParams {
            name: "Other".to_owned(),
            description: None,
            owner: super::owner("Tier", "uid-other"),
            since: Timestamp::UNIX_EPOCH,
        };
        stripe
            .create_product(&format!("other-{number}"), &other)
            .await
            .unwrap();
    }
    sim.control().advance(3600);
    assert_eq!(
        stripe
            .find_products(&owner, Timestamp::UNIX_EPOCH)
            .await
            .unwrap(),
        std::slice::from_ref(&made)
    );

    let renamed = ProductParams {
        name: "Beginner".to_owned(),
        description: None,
        owner,
        since: Timestamp::UNIX_EPOCH,
    };
    let renamed = stripe
        .update_product(&made.id, &renamed, false)
        .await
        .unwrap();
    assert_eq!((renamed.name.as_str(), renamed.active), ("Beginner", false));
    assert_eq!(made.description.as_deref(), Some("For a start"));
    assert_eq!(renamed.description, None, "it was taken off");
}

#[tokio::test]
async fn a_new_price_takes_the_lookup_key_over_and_the_old_one_is_closed() {
    let World {
        stripe, sim: _sim, ..
    } = World::start().await;
    let old = starter(&stripe).await;
    assert_eq!(
        (old.amount, old.interval),
        (Some(2900), Some(Interval::Month))
    );
    let params = PriceParams {
        product: old.product.clone(),
        lookup_key: "shop-starter".to_owned(),
        currency: "usd".to_owned(),
        amount: 29000,
        interval: Some(Interval::Year),
        owner: owner("Tier", "uid-starter"),
    };
    let new = stripe.create_price("price-2", &params).await.unwrap();
    assert_eq!(new.interval, Some(Interval::Year));
    assert_eq!(stripe.find_price("shop-starter").await.unwrap(), Some(new));
    let closed = stripe.set_price_active(&old.id, false).await.unwrap();
    assert_eq!((closed.active, closed.lookup_key), (false, None));

    let once = PriceParams {
        lookup_key: "shop-pack".to_owned(),
        interval: None,
        ..params
    };
    let once = stripe.create_price("price-3", &once).await.unwrap();
    assert_eq!(once.interval, None);
}

#[tokio::test]
async fn a_paid_checkout_leads_to_its_subscription_with_our_owner_and_period() {
    let World { stripe, sim, .. } = World::start().await;
    let customer = stripe.create_customer("customer-1", &ada()).await.unwrap();
    let price = starter(&stripe).await;
    let params = checkout_of(&customer.id, &price.id);
    let session = stripe.create_checkout("checkout-1", &params).await.unwrap();
    assert_eq!(session.state, CheckoutState::Open);
    assert!(session.url.is_some());
    assert_eq!(session.owner.as_ref(), Some(&params.owner));
    assert_eq!(
        stripe.checkouts_of(&customer.id).await.unwrap(),
        std::slice::from_ref(&session)
    );

    sim.control().pay(&session.id, "4242424242424242", None);
    let paid = stripe.checkout(&session.id).await.unwrap().unwrap();
    assert_eq!(paid.state, CheckoutState::Complete);
    let id = paid.subscription.unwrap();
    let subscription = stripe.subscription(&id).await.unwrap().unwrap();
    assert_eq!(
        subscription.state,
        Some(glyph_crds::SubscriptionState::Active)
    );
    assert_eq!(subscription.owner, Some(params.owner));
    assert_eq!(subscription.price.as_deref(), Some(price.id.as_str()));
    let (start, end) = subscription.period.unwrap();
    assert!((28..=31).contains(&((end.as_second() - start.as_second()) / 86_400)));
    stripe.expire_checkout(&session.id).await.unwrap();
}

#[tokio::test]
async fn an_open_checkout_expires_once_and_again_without_an_error() {
    let World {
        stripe, sim: _sim, ..
    } = World::start().await;
    let customer = stripe.create_customer("customer-1", &ada()).await.unwrap();
    let price = starter(&stripe).await;
    let params = CheckoutParams {
        trial_days: Some(14),
        ..checkout_of(&customer.id, &price.id)
    };
    let session = stripe.create_checkout("checkout-1", &params).await.unwrap();
    for _ in 0..2 {
        stripe.expire_checkout(&session.id).await.unwrap();
        let session = stripe.checkout(&session.id).await.unwrap().unwrap();
        assert_eq!(session.state, CheckoutState::Expired);
    }
}

#[tokio::test]
async fn a_subscription_by_invoice_is_made_set_to_end_and_ended_twice() {
    let World {
        stripe, sim: _sim, ..
    } = World::start().await;
    let customer = stripe.create_customer("customer-1", &ada()).await.unwrap();
    let price = starter(&stripe).await;
    let params = SubscriptionParams {
        customer: customer.id.clone(),
        price: price.id,
        trial_days: Some(7),
        trial_without_card: false,
        collection: Collection::Invoice { days_until_due: 30 },
        owner: owner("Subscription", "uid-sub"),
    };
    let made = stripe.create_subscription("sub-1", &params).await.unwrap();
    assert_eq!(made.state, Some(glyph_crds::SubscriptionState::Trialing));
    assert!(!made.cancel_at_period_end);
    let ending = stripe
        .set_cancel_at_period_end(&made.id, true)
        .await
        .unwrap();
    assert!(ending.cancel_at_period_end);
    stripe.cancel_subscription(&made.id).await.unwrap();
    stripe.cancel_subscription(&made.id).await.unwrap();
    let listed = stripe.subscriptions_of(&customer.id).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        listed[0].state,
        Some(glyph_crds::SubscriptionState::Canceled)
    );
}

#[tokio::test]
async fn the_same_key_makes_one_customer_and_other_parameters_under_it_are_a_mismatch() {
    let world = World::start().await;
    let first = world.stripe.create_customer("key-1", &ada()).await.unwrap();
    let again = world.stripe.create_customer("key-1", &ada()).await.unwrap();
    assert_eq!((first.id, world.customers()), (again.id, 1));
    let other = CustomerParams {
        email: "other@example.com".to_owned(),
        ..ada()
    };
    let error = world
        .stripe
        .create_customer("key-1", &other)
        .await
        .unwrap_err();
    assert_eq!(error.class, FailureClass::IdempotencyMismatch);
    assert!(error.request_id.is_some());
}

#[tokio::test]
async fn an_id_that_would_lead_to_another_path_is_refused_before_it_is_sent() {
    let world = World::start().await;
    for id in ["cus_1?limit=1", "..%2fproducts", "cus_1#"] {
        let error = world.stripe.customer(id).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Invalid, "{id}");
    }
    assert!(world.sim.control().requests().is_empty());
}
