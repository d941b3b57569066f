//! `Tier` and `CreditPack`: what is sold has a product and a price in Stripe. One plan for both kinds.
//!
//! A price is found by its lookup key and is ours by its owner's UID. Prices cannot be changed in Stripe,
//! so another amount is another price: the old one is archived, then a new one takes the lookup key over.

use glyph_crds::common::{Interval, StripePriceRef};
use glyph_crds::{CreditPack, Tier};

use crate::billing::{Price, PriceParams, Product, ProductParams};
use crate::condition::Findings;
use crate::{Blocker, Meta, Next, reason};

/// What a resource wants to be sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Product name.
    pub name: String,
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
        name: tier.spec.display_name.clone(),
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
        name: pack.spec.display_name.clone(),
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

/// What is known of an offer.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub meta: Meta,
    /// What it wants to be sold, if anything.
    pub wanted: Option<Wanted>,
    /// The product that status names, or else one that is marked as ours.
    pub product: Option<Product>,
    /// The price that the lookup key or the price id names.
    pub current: Option<Price>,
    /// The price that status names, where it is another one.
    pub former: Option<Price>,
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
        wanted,
        product,
        current,
        former,
    } = observed;
    let wanted = wanted.as_ref().filter(|_| !meta.deleting);
    match wanted {
        None => plan_retirement(meta, product.as_ref(), [current, former]),
        Some(wanted) => match &wanted.by {
            By::PriceId(id) => plan_adoption(wanted, id, current.as_ref()),
            By::LookupKey(_) if !meta.finalized => Next::Do(Action::AddFinalizer),
            By::LookupKey(key) => plan_offer(
                meta,
                wanted,
                key,
                product.as_ref(),
                current.as_ref(),
                former.as_ref(),
            ),
        },
    }
}

fn plan_offer(
    meta: &Meta,
    wanted: &Wanted,
    lookup_key: &str,
    product: Option<&Product>,
    current: Option<&Price>,
    former: Option<&Price>,
) -> Next<Action> {
    let params = ProductParams {
        name: wanted.name.clone(),
        owner: meta.owner.clone(),
    };
    let Some(product) = product else {
        return Next::Do(Action::MakeProduct(params));
    };
    if product.name != wanted.name || !product.active {
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
    let ours = meta.owns(price.owner.as_ref());
    let right = ours && price.product == product.id && differences(price, wanted).is_empty();
    match (ours, right, price.active) {
        (_, true, false) => Next::Do(Action::SetPriceActive(price.id.clone(), true)),
        (true, false, true) => Next::Do(Action::SetPriceActive(price.id.clone(), false)),
        (_, false, false) => make(),
        (false, _, true) => key_is_taken(lookup_key, price),
        (true, true, true) => match former {
            Some(old) if old.active && meta.owns(old.owner.as_ref()) => {
                Next::Do(Action::SetPriceActive(old.id.clone(), false))
            }
            _ => Next::Done,
        },
    }
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

fn plan_adoption(wanted: &Wanted, id: &str, price: Option<&Price>) -> Next<Action> {
    let Some(price) = price else {
        let message = format!("Stripe has no price {id}: correct stripe.priceId");
        return Blocker::person(reason::PRICE_NOT_FOUND, message).into();
    };
    let mut wrong = differences(price, wanted);
    if !price.active {
        wrong.push("it is archived".to_owned());
    }
    if wrong.is_empty() {
        return Next::Done;
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

fn plan_retirement(
    meta: &Meta,
    product: Option<&Product>,
    prices: [&Option<Price>; 2],
) -> Next<Action> {
    for price in prices.into_iter().flatten() {
        if price.active && meta.owns(price.owner.as_ref()) {
            return Next::Do(Action::SetPriceActive(price.id.clone(), false));
        }
    }
    match product {
        Some(product) if product.active && meta.owns(product.owner.as_ref()) => {
            let params = ProductParams {
                name: product.name.clone(),
                owner: meta.owner.clone(),
            };
            Next::Do(Action::UpdateProduct(product.id.clone(), params, false))
        }
        _ if meta.finalized => Next::Do(Action::RemoveFinalizer),
        _ => Next::Done,
    }
}

/// Product and price for the status, and what its conditions say.
#[must_use]
pub fn found(
    observed: &Observed,
    next: &Next<Action>,
) -> (Option<String>, Option<String>, Findings) {
    let Observed {
        meta: _,
        wanted,
        product,
        current,
        former: _,
    } = observed;
    let product_id = match wanted.as_ref().map(|w| &w.by) {
        Some(By::PriceId(_)) => current.as_ref().map(|price| price.product.clone()),
        Some(By::LookupKey(_)) => product.as_ref().map(|product| product.id.clone()),
        None => None,
    };
    match (next, wanted) {
        (Next::Wait(blocker), _) => (product_id, None, Findings::blocked(blocker)),
        (Next::Do(_), _) => {
            let blocker = Blocker::wait(reason::PROGRESSING, "product and price are being made");
            (product_id, None, Findings::blocked(&blocker))
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
                product_id,
                price_id,
                Findings::ready(reason::ON_SALE, message),
            )
        }
    }
}

#[cfg(test)]
mod tests;
