//! What `Tier` and `CreditPack` have in common: a product and a price in Stripe.

use glyph_operator_core::Meta;
use glyph_operator_core::billing::{Owner, Price, PriceParams, Product, ProductParams};
use glyph_operator_core::offer::{Action, By, Observed, Wanted};
use glyph_operator_core::status::Intends;
use glyph_operator_core::tier::former_prices;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::object::HasStatus;

use crate::failure::Failure;
use crate::making::{Make, make, single};
use crate::ports::{Billing, CallResult, Identity};
use crate::world::{FINALIZER, World};
use crate::writer::{Reported, add_finalizer, remove_finalizers};

/// What a resource records of its offer.
pub struct Recorded<'a> {
    /// When the resource was made.
    pub since: Timestamp,
    pub product: Option<&'a String>,
    pub under_way: bool,
}

/// A status that records an offer.
pub trait Offered: Intends {
    fn set_product(&mut self, id: String);
    fn set_price(&mut self, id: String);
}

impl Offered for glyph_crds::TierStatus {
    fn set_product(&mut self, id: String) {
        self.stripe_product_id = Some(id);
    }

    fn set_price(&mut self, id: String) {
        self.former_price_ids = former_prices(self, Some(&id));
        self.stripe_price_id = Some(id);
    }
}

impl Offered for glyph_crds::CreditPackStatus {
    fn set_product(&mut self, id: String) {
        self.stripe_product_id = Some(id);
    }

    fn set_price(&mut self, id: String) {
        self.stripe_price_id = Some(id);
    }
}

/// When a resource was made; all that is Stripe's of it is younger.
pub fn made_at(object: &impl ResourceExt) -> Timestamp {
    object
        .creation_timestamp()
        .map_or(Timestamp::UNIX_EPOCH, |made| made.0)
}

/// Reads product and prices; nothing where nothing was ever sold.
pub async fn observe<B: Billing, I: Identity>(
    world: &World<B, I>,
    meta: Meta,
    wanted: Option<Wanted>,
    recorded: Recorded<'_>,
) -> Result<Observed, Failure> {
    let billing = &world.shared.billing;
    let Recorded {
        since,
        product,
        under_way,
    } = recorded;
    let product = match meta.finalized {
        true => observe_product(billing, &meta, since, product, under_way).await?,
        false => None,
    };
    let current = match wanted.as_ref().map(|w| &w.by) {
        _ if meta.deleting || !meta.finalized => None,
        Some(By::PriceId(id)) => billing.price(id).await?,
        Some(By::LookupKey(key)) => billing.find_price(key).await?,
        None => None,
    };
    let by_hand = matches!(wanted.as_ref().map(|w| &w.by), Some(By::PriceId(_)));
    let shelved = match current.as_ref().filter(|_| by_hand) {
        Some(price) => {
            (billing.product(&price.product).await?).is_none_or(|product| !product.active)
        }
        None => false,
    };
    let mut stale = match &product {
        Some(product) => billing.prices_of(&product.id).await?,
        None => Vec::new(),
    };
    let current_id = current.as_ref().map(|price| &price.id);
    stale.retain(|price| meta.owns(price.owner.as_ref()) && Some(&price.id) != current_id);
    Ok(Observed {
        meta,
        since,
        wanted,
        product,
        current,
        shelved,
        stale,
    })
}

/// Our product: the recorded one if it is ours, else what a create that was under way has come to.
async fn observe_product<B: Billing>(
    billing: &B,
    meta: &Meta,
    since: Timestamp,
    recorded: Option<&String>,
    under_way: bool,
) -> Result<Option<Product>, Failure> {
    if let Some(id) = recorded {
        let product = billing.product(id).await?;
        let ours = product.filter(|product| meta.owns(product.owner.as_ref()));
        if ours.is_some() {
            return Ok(ours);
        }
    }
    if !under_way {
        return Ok(None);
    }
    let found = billing.find_products(&meta.owner, since).await?;
    if found.is_empty() {
        return Ok(None);
    }
    single::<MakeProduct, B>(found).map(Some)
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
        // Whoever buys has to know the new price before the old one is archived.
        Action::MakePrice(params) => {
            make::<MakePrice, _, _, _>(world, object, params, |status, price| {
                status.set_price(price.id.clone());
            })
            .await
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
        billing.find_products(&params.owner, params.since).await
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
