//! What `Tier` and `CreditPack` have in common: a product and a price in Stripe.

use glyph_operator_core::Meta;
use glyph_operator_core::billing::{Owner, Price, PriceParams, Product, ProductParams};
use glyph_operator_core::offer::{Action, By, Observed, Wanted};
use glyph_operator_core::status::Intends;
use kube::core::object::HasStatus;

use crate::failure::Failure;
use crate::making::{Make, make};
use crate::ports::{Billing, CallResult, Identity};
use crate::world::{FINALIZER, World};
use crate::writer::{Reported, add_finalizer, remove_finalizers};

/// What a status records of an offer.
pub struct Recorded<'a> {
    pub product: Option<&'a String>,
    pub price: Option<&'a String>,
    pub under_way: bool,
}

/// A status that records a product.
pub trait Offered: Intends {
    fn set_product(&mut self, id: String);
}

impl Offered for glyph_crds::TierStatus {
    fn set_product(&mut self, id: String) {
        self.stripe_product_id = Some(id);
    }
}

impl Offered for glyph_crds::CreditPackStatus {
    fn set_product(&mut self, id: String) {
        self.stripe_product_id = Some(id);
    }
}

/// Reads product and prices; nothing where nothing was ever sold.
pub async fn observe<B: Billing, I: Identity>(
    world: &World<B, I>,
    meta: Meta,
    wanted: Option<Wanted>,
    recorded: Recorded<'_>,
) -> Result<Observed, Failure> {
    let billing = &world.shared.billing;
    let retiring = wanted.is_none() || meta.deleting;
    if retiring && !meta.finalized {
        let (product, current, former) = (None, None, None);
        return Ok(Observed {
            meta,
            wanted,
            product,
            current,
            former,
        });
    }
    let mut product = match recorded.product {
        Some(id) => billing
            .product(id)
            .await?
            .filter(|p| meta.owns(p.owner.as_ref())),
        None => None,
    };
    if product.is_none() && (retiring || recorded.under_way) {
        product = billing.find_products(&meta.owner).await?.pop();
    }
    let current = match wanted.as_ref().map(|w| &w.by) {
        Some(By::PriceId(id)) => billing.price(id).await?,
        Some(By::LookupKey(key)) => billing.find_price(key).await?,
        None => None,
    };
    let former = match recorded.price {
        Some(id) if current.as_ref().is_none_or(|price| price.id != *id) => {
            billing.price(id).await?
        }
        _ => None,
    };
    Ok(Observed {
        meta,
        wanted,
        product,
        current,
        former,
    })
}

/// Does one action.
pub async fn apply<B, I, K>(
    world: &World<B, I>,
    object: &mut K,
    action: Action,
) -> Result<(), Failure>
where
    B: Billing,
    I: Identity,
    K: Reported + HasStatus<Status: Offered>,
{
    let billing = &world.shared.billing;
    match action {
        Action::AddFinalizer => add_finalizer(world, object, FINALIZER).await,
        Action::MakeProduct(params) => {
            make::<MakeProduct, _, _, _>(world, object, params, |status, product| {
                status.set_product(product.id.clone());
            })
            .await
        }
        Action::UpdateProduct(id, params, active) => {
            billing.update_product(&id, &params, active).await?;
            Ok(())
        }
        // It is found by its lookup key from now on; status keeps the former one until that is archived.
        Action::MakePrice(params) => {
            make::<MakePrice, _, _, _>(world, object, params, |_, _| {}).await
        }
        Action::SetPriceActive(id, active) => {
            billing.set_price_active(&id, active).await?;
            Ok(())
        }
        Action::RemoveFinalizer => remove_finalizers(world, object).await,
    }
}

struct MakeProduct;

impl<B: Billing> Make<B> for MakeProduct {
    type Params = ProductParams;
    type Made = Product;
    const OPERATION: &'static str = "CreateProduct";

    async fn look(billing: &B, params: &ProductParams) -> CallResult<Vec<Product>> {
        billing.find_products(&params.owner).await
    }

    async fn create(billing: &B, key: &str, params: &ProductParams) -> CallResult<Product> {
        billing.create_product(key, params).await
    }

    fn id(made: &Product) -> &str {
        &made.id
    }
}

struct MakePrice;

impl<B: Billing> Make<B> for MakePrice {
    type Params = PriceParams;
    type Made = Price;
    const OPERATION: &'static str = "CreatePrice";

    async fn look(billing: &B, params: &PriceParams) -> CallResult<Vec<Price>> {
        let holder = billing.find_price(&params.lookup_key).await?;
        Ok(holder
            .into_iter()
            .filter(|price| is_it(price, params))
            .collect())
    }

    async fn create(billing: &B, key: &str, params: &PriceParams) -> CallResult<Price> {
        billing.create_price(key, params).await
    }

    fn id(made: &Price) -> &str {
        &made.id
    }
}

fn is_it(price: &Price, params: &PriceParams) -> bool {
    let PriceParams {
        product,
        lookup_key: _,
        currency,
        amount,
        interval,
        owner,
    } = params;
    let ours = |found: &Option<Owner>| found.as_ref().is_some_and(|found| found.uid == owner.uid);
    ours(&price.owner)
        && price.active
        && price.product == *product
        && price.currency == *currency
        && price.amount == Some(*amount)
        && price.interval == *interval
}
