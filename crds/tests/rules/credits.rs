//! The rules of `CreditPack`, `CreditPurchase` and `CreditGrant`.

use glyph_crds::{CreditGrant, CreditPack, CreditPurchase};

use crate::table::{
    ACCEPTED, Changed, Made, check_changed, check_made, check_name_length, refused,
};

const CREDITS: &str = "credits must be from 1 to 1000000000000";
const GRANT: &str = "a grant cannot be changed; make another CreditGrant for other credits";
const PURCHASE: &str =
    "a purchase cannot be changed; make another CreditPurchase for other credits";
const QUANTITY: &str = "quantity must be from 1 to 100";
const DAYS: &str = "expiresAfterDays must be from 1 to 3650";
const PREFIX: &str =
    "source.id must begin with cs_ for a CheckoutSession, and with in_ for an Invoice";

pub const PACKS_MADE: &[Made] = &[
    (
        "{displayName: X, credits: 1, price: {currency: usd, amount: 1}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, description: '', credits: 1, price: {currency: usd, amount: 1}}",
        refused(
            "spec.description",
            "description must not be empty; write what customers read, or leave it out",
        ),
    ),
    (
        "{displayName: X, credits: 1000000000000, price: {currency: usd, amount: 1}, stripe: {priceId: price_1}}",
        ACCEPTED,
    ),
    (
        "{displayName: X, credits: 1, price: {currency: usd, amount: 1}, expiresAfterDays: 3650}",
        ACCEPTED,
    ),
    (
        "{displayName: X, credits: 1, price: {currency: usd, amount: 1}, expiresAfterDays: 0}",
        refused("spec.expiresAfterDays", DAYS),
    ),
    (
        "{displayName: X, credits: 1, price: {currency: usd, amount: 1}, expiresAfterDays: 3651}",
        refused("spec.expiresAfterDays", DAYS),
    ),
    (
        "{displayName: X, credits: 0, price: {currency: usd, amount: 1}}",
        refused("spec.credits", CREDITS),
    ),
    (
        "{displayName: X, credits: 1000000000001, price: {currency: usd, amount: 1}}",
        refused("spec.credits", CREDITS),
    ),
    (
        "{displayName: '', credits: 1, price: {currency: usd, amount: 1}}",
        refused(
            "spec.displayName",
            "displayName must not be empty; write the name that customers see",
        ),
    ),
    (
        "{displayName: X, credits: 1, price: {currency: USD, amount: 1}}",
        refused(
            "spec.price.currency",
            "currency must be three lower-case letters (ISO 4217), such as usd",
        ),
    ),
    (
        "{displayName: X, credits: 1, price: {currency: usd, amount: 0}}",
        refused(
            "spec.price.amount",
            "amount must be from 1 to 99999999, in the currency's minor unit: 2900 is 29.00 usd",
        ),
    ),
    (
        "{displayName: X, credits: 1, price: {currency: usd, amount: 1}, stripe: {lookupKey: a, priceId: price_1}}",
        refused(
            "spec.stripe",
            "set stripe.lookupKey (the operator makes the price) or stripe.priceId (it adopts yours), not both",
        ),
    ),
];

pub const PURCHASES_MADE: &[Made] = &[
    ("{customerRef: {name: ada}, pack: extra-5000}", ACCEPTED),
    (
        "{customerRef: {name: ada}, pack: extra-5000, quantity: 100}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, pack: extra-5000, quantity: 0}",
        refused("spec.quantity", QUANTITY),
    ),
    (
        "{customerRef: {name: ada}, pack: extra-5000, quantity: 101}",
        refused("spec.quantity", QUANTITY),
    ),
    (
        "{customerRef: {name: ada}, pack: Extra_5000}",
        refused(
            "spec.pack",
            "pack must be a resource name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
        ),
    ),
];

pub const PURCHASES_CHANGED: &[Changed] = &[
    (
        "{customerRef: {name: ada}, pack: a}",
        "{customerRef: {name: ada}, pack: a, quantity: 1}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, pack: a}",
        "{customerRef: {name: ada}, pack: a, quantity: 2}",
        refused("spec", PURCHASE),
    ),
    (
        "{customerRef: {name: ada}, pack: a}",
        "{customerRef: {name: ada}, pack: b}",
        refused("spec", PURCHASE),
    ),
    (
        "{customerRef: {name: ada}, pack: a}",
        "{customerRef: {name: eve}, pack: a}",
        refused("spec", PURCHASE),
    ),
];

pub const GRANTS_MADE: &[Made] = &[
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}, expiresAt: '2027-01-31T00:00:00Z'}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}, expiresAt: '2027-01-31'}",
        refused(
            "spec.expiresAt",
            "expiresAt must be an RFC 3339 time with its zone, such as 2027-01-31T00:00:00Z",
        ),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: CheckoutSession, id: cs_test_1}}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Invoice, id: in_1, reason: Gift}}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: An apology}}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Invoice}}",
        refused(
            "spec.source",
            "source.id is missing; write Stripe's id of the checkout session (cs_…) or invoice (in_…)",
        ),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Invoice, id: cs_1}}",
        refused("spec.source.id", PREFIX),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: CheckoutSession, id: in_1}}",
        refused("spec.source.id", PREFIX),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin}}",
        refused(
            "spec.source",
            "an Admin's grant needs source.reason; write why the credits are given",
        ),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: ' '}}",
        refused(
            "spec.source.reason",
            "source.reason must not be empty; write why the credits are given",
        ),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x, id: cs_1}}",
        refused(
            "spec.source.id",
            "an Admin's grant has no source.id; remove it, and write the reason in source.reason",
        ),
    ),
    (
        "{customerRef: {name: ada}, credits: -5, source: {type: Admin, reason: x}}",
        refused("spec.credits", CREDITS),
    ),
];

pub const GRANTS_CHANGED: &[Changed] = &[
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}}",
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}}",
        "{customerRef: {name: ada}, credits: 6, source: {type: Admin, reason: x}}",
        refused("spec", GRANT),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}}",
        "{customerRef: {name: eve}, credits: 5, source: {type: Admin, reason: x}}",
        refused("spec", GRANT),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}}",
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: other}}",
        refused("spec", GRANT),
    ),
    (
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}}",
        "{customerRef: {name: ada}, credits: 5, source: {type: Admin, reason: x}, expiresAt: '2027-01-31T00:00:00Z'}",
        refused("spec", GRANT),
    ),
];

#[tokio::test]
async fn a_credit_pack_is_refused_with_a_sentence_or_accepted() {
    check_made::<CreditPack>(PACKS_MADE).await;
    check_name_length::<CreditPack>(
        "{displayName: X, credits: 1, price: {currency: usd, amount: 1}}",
    )
    .await;
}

#[tokio::test]
async fn a_credit_purchase_is_refused_with_a_sentence_or_accepted() {
    check_made::<CreditPurchase>(PURCHASES_MADE).await;
    check_name_length::<CreditPurchase>("{customerRef: {name: ada}, pack: a}").await;
}

#[tokio::test]
async fn a_credit_purchase_never_changes() {
    check_changed::<CreditPurchase>(PURCHASES_CHANGED).await;
}

#[tokio::test]
async fn a_credit_grant_is_refused_with_a_sentence_or_accepted() {
    check_made::<CreditGrant>(GRANTS_MADE).await;
}

#[tokio::test]
async fn a_credit_grant_never_changes() {
    check_changed::<CreditGrant>(GRANTS_CHANGED).await;
}
