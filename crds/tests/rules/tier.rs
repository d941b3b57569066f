//! The rules of `Tier`, and of the prices, references and rate limits that other kinds have too.

use glyph_crds::Tier;

use crate::table::{ACCEPTED, Made, check_made, check_name_length, refused};

const NAME: &str = "name must be a resource name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
const AMOUNT: &str =
    "amount must be from 1 to 99999999, in the currency's minor unit: 2900 is 29.00 usd";
const CURRENCY: &str = "currency must be three lower-case letters (ISO 4217), such as usd";
const LOOKUP_KEY: &str =
    "stripe.lookupKey must have 1 to 200 letters, digits, '_', '-', '.' or ':'";
const QUOTA: &str =
    "quota.requests must be from 0 to 9007199254740991; leave quota out for an unlimited tier";
const RATE: &str = "requestsPerSecond must be from 1 to 1000000";

pub const MADE: &[Made] = &[
    ("{displayName: X}", ACCEPTED),
    (
        "{displayName: ' '}",
        refused(
            "spec.displayName",
            "displayName must not be empty; write the name that customers see",
        ),
    ),
    ("{displayName: X, description: A plan.}", ACCEPTED),
    (
        "{displayName: X, description: ' '}",
        refused(
            "spec.description",
            "description must not be empty; write what customers read, or leave it out",
        ),
    ),
    ("{displayName: X, existingSubscribers: AtRenewal}", ACCEPTED),
    // Price, or a person who sells.
    (
        "{displayName: X, price: {currency: usd, amount: 2900, interval: Month}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, price: {currency: eur, amount: 99999999, interval: Year}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, price: {currency: USD, amount: 2900, interval: Month}}",
        refused("spec.price.currency", CURRENCY),
    ),
    (
        "{displayName: X, price: {currency: dollars, amount: 2900, interval: Month}}",
        refused("spec.price.currency", CURRENCY),
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 0, interval: Month}}",
        refused("spec.price.amount", AMOUNT),
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 100000000, interval: Month}}",
        refused("spec.price.amount", AMOUNT),
    ),
    ("{displayName: X, contactSales: true}", ACCEPTED),
    (
        "{displayName: X, contactSales: true, price: null}",
        ACCEPTED,
    ),
    (
        "{displayName: X, contactSales: true, price: {currency: usd, amount: 1, interval: Month}}",
        refused(
            "spec.contactSales",
            "set price or contactSales, not both: a tier that is sold by a person has no price",
        ),
    ),
    // Stripe's price.
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, stripe: {lookupKey: glyph_x-1.a:b}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, stripe: {priceId: price_1AbC}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, stripe: {lookupKey: a b}}",
        refused("spec.stripe.lookupKey", LOOKUP_KEY),
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, stripe: {lookupKey: ''}}",
        refused("spec.stripe.lookupKey", LOOKUP_KEY),
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, stripe: {priceId: prod_1}}",
        refused(
            "spec.stripe.priceId",
            "stripe.priceId must be the id of a Stripe price, which begins with price_",
        ),
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, stripe: {lookupKey: a, priceId: price_1}}",
        refused(
            "spec.stripe",
            "set stripe.lookupKey (the operator makes the price) or stripe.priceId (it adopts yours), not both",
        ),
    ),
    (
        "{displayName: X, stripe: {lookupKey: a}}",
        refused(
            "spec.stripe",
            "stripe needs a price beside it; set price, or remove stripe",
        ),
    ),
    // Trial.
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, trialDays: 1}",
        ACCEPTED,
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, trialDays: 730}",
        ACCEPTED,
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, trialDays: 0}",
        refused("spec.trialDays", "trialDays must be from 1 to 730"),
    ),
    (
        "{displayName: X, price: {currency: usd, amount: 1, interval: Month}, trialDays: 731}",
        refused("spec.trialDays", "trialDays must be from 1 to 730"),
    ),
    (
        "{displayName: X, trialDays: 3}",
        refused(
            "spec.trialDays",
            "trialDays needs a price to try out; set price, or remove trialDays",
        ),
    ),
    // Quota and what comes after it.
    ("{displayName: X, quota: {requests: 0}}", ACCEPTED),
    (
        "{displayName: X, quota: {requests: 9007199254740991}, overQuota: Deny}",
        ACCEPTED,
    ),
    (
        "{displayName: X, quota: {requests: -1}}",
        refused("spec.quota.requests", QUOTA),
    ),
    (
        "{displayName: X, quota: {requests: 9007199254740992}}",
        refused("spec.quota.requests", QUOTA),
    ),
    (
        "{displayName: X, quota: {requests: 5}, overQuota: Credits}",
        ACCEPTED,
    ),
    (
        "{displayName: X, quota: {requests: 5}, overQuota: Meter}",
        ACCEPTED,
    ),
    (
        "{displayName: X, overQuota: Credits}",
        refused(
            "spec.overQuota",
            "overQuota Credits or Meter needs a quota; set quota, or remove overQuota",
        ),
    ),
    // Rate limit.
    (
        "{displayName: X, rateLimit: {requestsPerSecond: 1}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, rateLimit: {requestsPerSecond: 1000000, burst: 1000000}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, rateLimit: {requestsPerSecond: 10, burst: 1}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, rateLimit: {requestsPerSecond: 0}}",
        refused("spec.rateLimit.requestsPerSecond", RATE),
    ),
    (
        "{displayName: X, rateLimit: {requestsPerSecond: 5000000000}}",
        refused("spec.rateLimit.requestsPerSecond", RATE),
    ),
    (
        "{displayName: X, rateLimit: {requestsPerSecond: 1, burst: 0}}",
        refused("spec.rateLimit.burst", "burst must be from 1 to 1000000"),
    ),
    (
        "{displayName: X, rateLimit: {requestsPerSecond: 1, burst: 1000001}}",
        refused("spec.rateLimit.burst", "burst must be from 1 to 1000000"),
    ),
    // Grace. The object of the case is named x.
    ("{displayName: X, grace: {days: 0}}", ACCEPTED),
    (
        "{displayName: X, grace: {days: 90, degradeTo: {name: free.v2}}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, grace: {days: -1}}",
        refused("spec.grace.days", "grace.days must be from 0 to 90"),
    ),
    (
        "{displayName: X, grace: {days: 91}}",
        refused("spec.grace.days", "grace.days must be from 0 to 90"),
    ),
    (
        "{displayName: X, grace: {days: 7, degradeTo: {name: Free}}}",
        refused("spec.grace.degradeTo.name", NAME),
    ),
    (
        "{displayName: X, grace: {days: 7, degradeTo: {name: ''}}}",
        refused("spec.grace.degradeTo.name", NAME),
    ),
    (
        "{displayName: X, grace: {days: 7, degradeTo: {name: x}}}",
        refused(
            "spec.grace.degradeTo",
            "grace.degradeTo must name another tier: after its grace a tier cannot fall back to itself",
        ),
    ),
    ("{displayName: X, features: [SLA]}", ACCEPTED),
    (
        "{displayName: X, features: [SLA, ' ']}",
        refused(
            "spec.features",
            "features must not hold empty lines; remove them",
        ),
    ),
];

#[tokio::test]
async fn a_tier_is_refused_with_a_sentence_or_accepted() {
    check_made::<Tier>(MADE).await;
    check_name_length::<Tier>("{displayName: X}").await;
}
