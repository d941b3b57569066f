//! The rules of `Subscription`.

use glyph_crds::Subscription;

use crate::table::{
    ACCEPTED, Changed, Made, check_changed, check_made, check_name_length, refused,
};

const TIER: &str = "tier must be a resource name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
const NAME: &str = "name must be a resource name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
const DUE: &str = "daysUntilDue must be from 1 to 365";
const DUE_ALONE: &str =
    "daysUntilDue needs payment: Invoice beside it; set that, or remove daysUntilDue";
const TRIAL: &str = "trialDays must be from 0 to 730; 0 means no trial";

pub const MADE: &[Made] = &[
    ("{customerRef: {name: ada}, tier: starter}", ACCEPTED),
    (
        "{customerRef: {name: ada}, tier: starter, payment: Invoice, driftPolicy: Revert}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ''}, tier: starter}",
        refused("spec.customerRef.name", NAME),
    ),
    (
        "{customerRef: {name: ada/b}, tier: starter}",
        refused("spec.customerRef.name", NAME),
    ),
    (
        "{customerRef: {name: ada}, tier: ''}",
        refused("spec.tier", TIER),
    ),
    (
        "{customerRef: {name: ada}, tier: Starter}",
        refused("spec.tier", TIER),
    ),
    (
        "{customerRef: {name: ada}, tier: starter, trialDays: 0}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, tier: starter, trialDays: 730}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, tier: starter, trialDays: -1}",
        refused("spec.trialDays", TRIAL),
    ),
    (
        "{customerRef: {name: ada}, tier: starter, trialDays: 731}",
        refused("spec.trialDays", TRIAL),
    ),
    (
        "{customerRef: {name: ada}, tier: starter, payment: Invoice, daysUntilDue: 1}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, tier: starter, payment: Invoice, daysUntilDue: 365}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, tier: starter, payment: Invoice, daysUntilDue: 0}",
        refused("spec.daysUntilDue", DUE),
    ),
    (
        "{customerRef: {name: ada}, tier: starter, payment: Invoice, daysUntilDue: 366}",
        refused("spec.daysUntilDue", DUE),
    ),
    (
        "{customerRef: {name: ada}, tier: starter, daysUntilDue: 14}",
        refused("spec.daysUntilDue", DUE_ALONE),
    ),
];

pub const CHANGED: &[Changed] = &[
    (
        "{customerRef: {name: ada}, tier: starter}",
        "{customerRef: {name: ada}, tier: professional, cancelAtPeriodEnd: true}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, tier: starter}",
        "{customerRef: {name: eve}, tier: starter}",
        refused(
            "spec.customerRef",
            "customerRef cannot be changed; make another Subscription for another customer",
        ),
    ),
];

#[tokio::test]
async fn a_subscription_is_refused_with_a_sentence_or_accepted() {
    check_made::<Subscription>(MADE).await;
    check_name_length::<Subscription>("{customerRef: {name: ada}, tier: starter}").await;
}

#[tokio::test]
async fn a_subscription_stays_with_its_customer() {
    check_changed::<Subscription>(CHANGED).await;
}
