//! Stripe's own word: `stripe-mock` checks every request against Stripe's OpenAPI, and answers with Stripe's own
//! examples, which must be read.

use glyph_harness::stripe_mock::StripeMock;

use super::*;

#[tokio::test]
async fn stripes_own_check_takes_every_request_and_we_read_every_answer() {
    let mock = StripeMock::start().await.unwrap();
    let sim = start_sim().await;
    let World {
        stripe, sim: _sim, ..
    } = World::at(sim, mock.url(), Deadlines::default());
    let ada = CustomerParams {
        cognito_sub: Some("sub-1".to_owned()),
        ..ada()
    };
    let customer = stripe.create_customer("key", &ada).await.unwrap();
    stripe.update_customer(&customer.id, &ada).await.unwrap();
    stripe.customer(&customer.id).await.unwrap().unwrap();
    stripe.find_customers(&ada.owner, &ada.email).await.unwrap();

    let owner = owner("Tier", "uid-tier");
    let product = ProductParams {
        name: "Starter".to_owned(),
        description: None,
        owner: owner.clone(),
        since: Timestamp::UNIX_EPOCH,
    };
    let made = stripe.create_product("key", &product).await.unwrap();
    stripe
        .update_product(&made.id, &product, true)
        .await
        .unwrap();
    stripe.product(&made.id).await.unwrap().unwrap();
    stripe
        .find_products(&owner, Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    let price = starter(&stripe).await;
    stripe.prices_of(&price.product).await.unwrap();
    stripe.set_price_active(&price.id, true).await.unwrap();
    stripe.price(&price.id).await.unwrap().unwrap();
    stripe.find_price("shop-starter").await.unwrap();

    let params = CheckoutParams {
        trial_days: Some(14),
        ..checkout_of(&customer.id, &price.id)
    };
    let session = stripe.create_checkout("key", &params).await.unwrap();
    stripe.checkout(&session.id).await.unwrap().unwrap();
    stripe.checkouts_of(&customer.id).await.unwrap();
    stripe.expire_checkout(&session.id).await.unwrap();

    for collection in [
        Collection::Automatic,
        Collection::Invoice { days_until_due: 30 },
    ] {
        let params = SubscriptionParams {
            customer: customer.id.clone(),
            price: price.id.clone(),
            trial_days: Some(14),
            trial_without_card: true,
            collection,
            owner: owner.clone(),
        };
        let made = stripe.create_subscription("key", &params).await.unwrap();
        stripe
            .set_cancel_at_period_end(&made.id, true)
            .await
            .unwrap();
        stripe.resume_collection(&made.id).await.unwrap();
        stripe.subscription(&made.id).await.unwrap().unwrap();
        stripe.cancel_subscription(&made.id).await.unwrap();
    }
    stripe.subscriptions_of(&customer.id).await.unwrap();
    stripe.delete_customer(&customer.id).await.unwrap();
}
