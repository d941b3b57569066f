//! `Tier` and `CreditPack`: what is sold has a product and a price in Stripe. One plan for both kinds.
//!
//! A price is found by its lookup key and is ours by its owner's UID. Prices cannot be changed in Stripe,
//! so another amount, currency or interval is another price: it takes the lookup key over, and then whatever
//! else of ours is on sale for the product is archived. A price made by hand is adopted as it is or not at all.

use glyph_crds::common::{Interval, StripePriceRef};
use glyph_crds::{CreditPack, Tier};

use jiff::Timestamp;

use crate::billing::{Price, PriceParams, Product, ProductParams};
use crate::condition::Findings;
use crate::{Blocker, Meta, Next, reason};

/// What a resource wants to be sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Product name.
    pub name: String,
    /// Product description.
    pub description: Option<String>,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
    /// Absent: charged once.
    pub interval: Option<Interval>,
    /// How its price is found.
    pub by: By,
}

/// How the price of an offer is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// By a lookup key; the operator makes product and price.
    LookupKey(String),
    /// By its id; a person made it, and it is never changed.
    PriceId(String),
}

impl By {
    fn new(stripe: Option<&StripePriceRef>, namespace: &str, name: &str) -> Self {
        match stripe {
            Some(StripePriceRef {
                price_id: Some(id),
                lookup_key: _,
            }) => Self::PriceId(id.clone()),
            Some(StripePriceRef {
                lookup_key: Some(key),
                price_id: None,
            }) => Self::LookupKey(key.clone()),
            Some(StripePriceRef {
                lookup_key: None,
                price_id: None,
            })
            | None => Self::LookupKey(format!("{namespace}-{name}")),
        }
    }
}

/// What a tier wants to be sold; nothing if it is free or sold by a person.
#[must_use]
pub fn of_tier(tier: &Tier, meta: &Meta) -> Option<Wanted> {
    let price = tier
        .spec
        .price
        .as_ref()
        .filter(|_| !tier.spec.contact_sales)?;
    Some(Wanted {
        name: text(&tier.spec.display_name),
        description: tier.spec.description.as_deref().map(text),
        currency: price.currency.clone(),
        amount: price.amount,
        interval: Some(price.interval),
        by: By::new(
            tier.spec.stripe.as_ref(),
            &meta.owner.namespace,
            &meta.owner.name,
        ),
    })
}

/// What a credit pack wants to be sold.
#[must_use]
pub fn of_pack(pack: &CreditPack, meta: &Meta) -> Wanted {
    Wanted {
        name: text(&pack.spec.display_name),
        description: pack.spec.description.as_deref().map(text),
        currency: pack.spec.price.currency.clone(),
        amount: pack.spec.price.amount,
        interval: None,
        by: By::new(
            pack.spec.stripe.as_ref(),
            &meta.owner.namespace,
            &meta.owner.name,
        ),
    }
}

/// A text without the blanks around it, which a service may drop and would then never be found as written.
fn text(text: &str) -> String {
    text.trim().to_owned()
}

/// What is known of an offer.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub meta: Meta,
    /// When it was made.
    pub since: Timestamp,
    /// What it wants to be sold, if anything.
    pub wanted: Option<Wanted>,
    /// Our product.
    pub product: Option<Product>,
    /// The price that the lookup key or the price id names.
    pub current: Option<Price>,
    /// The product of an adopted price is archived, so that Stripe sells it to nobody.
    pub shelved: bool,
    /// Other prices of ours that our product is on sale for.
    pub stale: Vec<Price>,
}

/// What to do for an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Before anything external.
    AddFinalizer,
    /// Make the product, or find it.
    MakeProduct(ProductParams),
    /// Write name and `active` of the product.
    UpdateProduct(String, ProductParams, bool),
    /// Make the price; it takes the lookup key over.
    MakePrice(PriceParams),
    /// Archive a price, or bring it back.
    SetPriceActive(String, bool),
    /// After everything external.
    RemoveFinalizer,
}

/// The next thing to do.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    let Observed {
        meta,
        since: _,
        wanted,
        product: _,
        current,
        shelved: _,
        stale: _,
    } = observed;
    if meta.deleting {
        return plan_retirement(observed).unwrap_or(if meta.finalized {
            Next::Do(Action::RemoveFinalizer)
        } else {
            Next::Done
        });
    }
    if !meta.finalized {
        return Next::Do(Action::AddFinalizer);
    }
    match wanted {
        None => plan_retirement(observed).unwrap_or(Next::Done),
        Some(wanted) => match &wanted.by {
            By::PriceId(id) => plan_adoption(observed, wanted, id),
            By::LookupKey(key) => plan_offer(observed, wanted, key, current.as_ref()),
        },
    }
}

fn plan_offer(
    observed: &Observed,
    wanted: &Wanted,
    lookup_key: &str,
    current: Option<&Price>,
) -> Next<Action> {
    let meta = &observed.meta;
    let params = ProductParams {
        name: wanted.name.clone(),
        description: wanted.description.clone(),
        owner: meta.owner.clone(),
        since: observed.since,
    };
    let Some(product) = &observed.product else {
        return Next::Do(Action::MakeProduct(params));
    };
    let written = product.name == wanted.name && product.description == wanted.description;
    if !(written && product.active) {
        return Next::Do(Action::UpdateProduct(product.id.clone(), params, true));
    }
    let make = || {
        Next::Do(Action::MakePrice(PriceParams {
            product: product.id.clone(),
            lookup_key: lookup_key.to_owned(),
            currency: wanted.currency.clone(),
            amount: wanted.amount,
            interval: wanted.interval,
            owner: meta.owner.clone(),
        }))
    };
    let Some(price) = current else {
        return make();
    };
    let set_active = |active| Next::Do(Action::SetPriceActive(price.id.clone(), active));
    let (ours, of_product) = (meta.owns(price.owner.as_ref()), price.product == product.id);
    let right = of_product && differences(price, wanted).is_empty();
    match (ours, right, price.active) {
        (true, true, true) => archive(&observed.stale).unwrap_or(Next::Done),
        (true, true, false) => set_active(true),
        // No list of our product's prices will show it once it has lost the lookup key.
        (true, false, true) if !of_product => set_active(false),
        (true, false, _) | (false, _, false) => make(),
        (false, _, true) => key_is_taken(lookup_key, price),
    }
}

fn archive(stale: &[Price]) -> Option<Next<Action>> {
    let price = stale.first()?;
    Some(Next::Do(Action::SetPriceActive(price.id.clone(), false)))
}

fn key_is_taken(lookup_key: &str, price: &Price) -> Next<Action> {
    let id = &price.id;
    let whose = match &price.owner {
        Some(owner) => format!("{} {}/{}", owner.kind, owner.namespace, owner.name),
        None => "somebody else".to_owned(),
    };
    Blocker::person(
        reason::CONFLICT,
        format!(
            "lookup key {lookup_key} belongs to price {id} of {whose}: archive that price, \
             set another stripe.lookupKey, or adopt it with stripe.priceId"
        ),
    )
    .into()
}

fn plan_adoption(observed: &Observed, wanted: &Wanted, id: &str) -> Next<Action> {
    let Some(price) = &observed.current else {
        let message = format!("Stripe has no price {id}: correct stripe.priceId");
        return Blocker::person(reason::PRICE_NOT_FOUND, message).into();
    };
    let mut wrong = differences(price, wanted);
    if !price.active {
        wrong.push("it is archived".to_owned());
    }
    if observed.shelved {
        wrong.push("its product is archived".to_owned());
    }
    if wrong.is_empty() {
        // It is on sale, so that what we made before need not be.
        return plan_retirement(observed).unwrap_or(Next::Done);
    }
    let wrong = wrong.join(", ");
    Blocker::person(
        reason::PRICE_MISMATCH,
        format!(
            "price {id} in Stripe is not what spec.price says ({wrong}): correct one of the two"
        ),
    )
    .into()
}

/// In what a price is not as wanted, in words.
fn differences(price: &Price, wanted: &Wanted) -> Vec<String> {
    let mut wrong = Vec::new();
    if price.currency != wanted.currency {
        wrong.push(format!("its currency is {}", price.currency));
    }
    if price.amount != Some(wanted.amount) {
        let amount = price.amount.map_or("tiered".to_owned(), |a| a.to_string());
        wrong.push(format!("its amount is {amount}"));
    }
    if price.interval != wanted.interval {
        wrong.push(format!("its interval is {}", interval(price.interval)));
    }
    wrong
}

fn interval(interval: Option<Interval>) -> &'static str {
    match interval {
        Some(Interval::Month) => "a month",
        Some(Interval::Year) => "a year",
        None => "none that Glyph sells by",
    }
}

/// The next of our prices and products to archive, but for what an adopted price needs.
fn plan_retirement(observed: &Observed) -> Option<Next<Action>> {
    let product = observed.product.as_ref().filter(|product| product.active);
    let needed = observed.current.as_ref().map(|price| &price.product);
    archive(&observed.stale).or_else(|| {
        let product = product.filter(|product| Some(&product.id) != needed)?;
        let params = ProductParams {
            name: product.name.clone(),
            description: product.description.clone(),
            owner: observed.meta.owner.clone(),
            since: observed.since,
        };
        let archived = Action::UpdateProduct(product.id.clone(), params, false);
        Some(Next::Do(archived))
    })
}

/// Product and price for the status, and what its conditions say.
#[must_use]
pub fn found(
    observed: &Observed,
    next: &Next<Action>,
) -> (Option<String>, Option<String>, Findings) {
    let Observed {
        meta: _,
        since: _,
        wanted,
        product,
        current,
        shelved: _,
        stale: _,
    } = observed;
    let ours = || product.as_ref().map(|product| product.id.clone());
    let adopted = || current.as_ref().map(|price| price.product.clone());
    match (next, wanted) {
        // Ours is remembered until it is archived.
        (Next::Wait(blocker), _) => (ours(), None, Findings::blocked(blocker)),
        (Next::Do(_), _) => {
            let blocker = Blocker::wait(reason::PROGRESSING, "product and price are being made");
            (ours(), None, Findings::blocked(&blocker))
        }
        (Next::Done, None) => (
            None,
            None,
            Findings::ready(
                reason::FREE,
                "it costs nothing, so Stripe holds nothing for it",
            ),
        ),
        (Next::Done, Some(wanted)) => {
            let price_id = current.as_ref().map(|price| price.id.clone());
            let message = format!(
                "sold in Stripe for {} minor units of {} by price {}",
                wanted.amount,
                wanted.currency,
                price_id.as_deref().unwrap_or("")
            );
            (
                adopted(),
                price_id,
                Findings::ready(reason::ON_SALE, message),
            )
        }
    }
}

#[cfg(test)]
mod tests;
