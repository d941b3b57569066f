//! Every reason a condition or an Event of ours can have: stable words, listed in `docs/operator.md`.

/// Everything is as the spec asks.
pub const IN_SYNC: &str = "InSync";
/// Nothing was changed behind our back.
pub const AS_DECLARED: &str = "AsDeclared";
/// The operator works on it, or waits for something that it will notice.
pub const PROGRESSING: &str = "Progressing";
/// The resource goes, and its external objects with it.
pub const DELETING: &str = "Deleting";

/// A tier or pack can be bought.
pub const ON_SALE: &str = "OnSale";
/// A tier without a price.
pub const FREE: &str = "Free";
/// A tier that is sold by a person.
pub const CONTACT_SALES: &str = "ContactSales";
/// A tier that is to be deleted still has subscribers.
pub const IN_USE: &str = "InUse";
/// `stripe.priceId` names a price that Stripe does not have.
pub const PRICE_NOT_FOUND: &str = "PriceNotFound";
/// `stripe.priceId` names a price with another amount, currency or interval, or one that was archived.
pub const PRICE_MISMATCH: &str = "PriceMismatch";

/// A customer has all that was asked for.
pub const LINKED: &str = "Linked";
/// Somebody else has what this resource claims.
pub const CONFLICT: &str = "Conflict";
/// Stripe has several objects for one resource.
pub const DUPLICATE: &str = "Duplicate";
/// The external object was deleted outside Kubernetes.
pub const DELETED_IN_STRIPE: &str = "DeletedInStripe";
/// The Cognito user that the spec names does not exist.
pub const USER_NOT_FOUND: &str = "UserNotFound";
/// The spec asks for Cognito, and no user pool is configured.
pub const COGNITO_NOT_CONFIGURED: &str = "CognitoNotConfigured";

/// The customer that the spec names does not exist.
pub const CUSTOMER_NOT_FOUND: &str = "CustomerNotFound";
/// The customer is not in Stripe yet.
pub const CUSTOMER_NOT_READY: &str = "CustomerNotReady";
/// The tier that the spec names does not exist.
pub const TIER_NOT_FOUND: &str = "TierNotFound";
/// The tier has no Stripe price yet.
pub const TIER_NOT_READY: &str = "TierNotReady";
/// The tier cannot be subscribed to: it is free, or sold by a person.
pub const TIER_NOT_SOLD: &str = "TierNotSold";
/// A person has to pay.
pub const AWAITING_PAYMENT: &str = "AwaitingPayment";
/// Paid.
pub const ACTIVE: &str = "Active";
/// In trial.
pub const TRIALING: &str = "Trialing";
/// A renewal is unpaid, and service goes on for a while.
pub const IN_GRACE: &str = "InGrace";
/// A renewal is unpaid, and payment is required.
pub const PAYMENT_REQUIRED: &str = "PaymentRequired";
/// The subscription ended.
pub const ENDED: &str = "Ended";
/// Stripe says a state that this version does not know.
pub const UNKNOWN_STATE: &str = "UnknownState";
/// Stripe bills for another tier than the spec names.
pub const TIER_CHANGED: &str = "TierChangedInStripe";
/// The subscription was set to end, or to go on, in Stripe.
pub const CANCELLATION_CHANGED: &str = "CancellationChangedInStripe";
/// Stripe bills by a price that is no Tier's.
pub const PRICE_OF_NO_TIER: &str = "PriceOfNoTier";
/// The collection of payments was paused in Stripe.
pub const COLLECTION_PAUSED: &str = "CollectionPausedInStripe";
/// A schedule that is not ours is in charge of the subscription.
pub const SCHEDULED: &str = "ScheduledInStripe";
/// Stripe bills for several items, or for several of one.
pub const ITEMS_CHANGED: &str = "ItemsChangedInStripe";
/// The tier is sold in another currency than the subscription is billed in.
pub const OTHER_CURRENCY: &str = "OtherCurrency";
/// The subscription ends before the tier would begin.
pub const ENDS_FIRST: &str = "EndsFirst";

/// A key is made and works.
pub const KEY_DELIVERED: &str = "KeyDelivered";
/// The key was revoked.
pub const REVOKED: &str = "Revoked";
/// The key is past its end.
pub const EXPIRED: &str = "Expired";
/// A Secret that is not ours has the name.
pub const SECRET_TAKEN: &str = "SecretTaken";

/// The pack that the spec names does not exist.
pub const PACK_NOT_FOUND: &str = "PackNotFound";
/// The pack has no Stripe price for its present spec yet.
pub const PACK_NOT_READY: &str = "PackNotReady";
/// A purchase is for more credits than one grant holds.
pub const TOO_MANY_CREDITS: &str = "TooManyCredits";
/// The money is on its way, which can take days.
pub const PAYMENT_PROCESSING: &str = "PaymentProcessing";
/// The money did not come.
pub const PAYMENT_FAILED: &str = "PaymentFailed";
/// A purchase was paid, and its credits are granted.
pub const GRANTED: &str = "Granted";
/// A payment was refunded, whole or in part.
pub const REFUNDED: &str = "Refunded";
/// A payment is disputed, or its dispute was lost.
pub const DISPUTED: &str = "Disputed";
/// Stripe's object no longer says what was sold.
pub const CREDITS_UNKNOWN: &str = "CreditsUnknown";

/// The endpoints of an API are in force.
pub const ENFORCED: &str = "Enforced";

/// A grant is written down.
pub const RECORDED: &str = "Recorded";
/// All credits of a grant were used.
pub const EXHAUSTED: &str = "Exhausted";
/// Credits of a grant were taken back.
pub const TAKEN_BACK: &str = "TakenBack";

/// A setting of the operator is missing or refused.
pub const CREDENTIAL_MISSING: &str = "CredentialMissing";
/// The service refuses the call as wrong.
pub const REFUSED: &str = "Refused";
/// The service asks us to slow down.
pub const THROTTLED: &str = "Throttled";
/// The service does not answer, or not well.
pub const UNAVAILABLE: &str = "Unavailable";
/// The API server refuses what the operator has to write: a missing permission, or a value it does not take.
pub const KUBERNETES_REFUSED: &str = "KubernetesRefused";

#[cfg(test)]
mod tests {
    #[test]
    fn each_reason_is_explained_on_the_operators_page() {
        let page = include_str!("../../../docs/operator.md");
        let values = include_str!("reason.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split('"').nth(1));
        for reason in values {
            let told = page.contains(&format!("`{reason}`"));
            assert!(told, "docs/operator.md does not tell of {reason}");
        }
    }
}
