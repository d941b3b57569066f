//! The client against the simulator: a stateful Stripe with its own clock, and faults on demand.

use std::sync::{Arc, Mutex};

use glyph_crds::common::Interval;
use glyph_operator_core::billing::{
    CheckoutParams, CheckoutState, Collection, Customer, CustomerParams, FailureClass, Owner,
    Price, PriceParams, ProductParams, SubscriptionParams,
};
use glyph_runtime::credentials::CredentialArgs;
use glyph_stripe_sim::{Options, StripeSim};
use jiff::Timestamp;

use super::client::Deadlines;
use super::*;
use crate::ports::Billing;

mod conformance;
mod faults;
mod objects;

const KEY: &str = "sk_test_canary0123456789";

/// A simulator, a client of it, and the key that the client finds in its settings.
struct World {
    sim: StripeSim,
    stripe: StripeBilling,
    key: Arc<Mutex<String>>,
    metrics: Metrics,
}

impl World {
    async fn start() -> Self {
        let sim = start_sim().await;
        let base = sim.base_url();
        Self::at(sim, &base, Deadlines::default())
    }

    /// A client that reaches `sim` at `base`.
    fn at(sim: StripeSim, base: &str, deadlines: Deadlines) -> Self {
        let key = Arc::new(Mutex::new(KEY.to_owned()));
        let metrics = Metrics::default();
        let credentials = credentials(&key);
        let client = Client::with_deadlines(&args(base, 1000), credentials, &metrics, deadlines);
        Self {
            sim,
            stripe: StripeBilling(client.unwrap()),
            key,
            metrics,
        }
    }

    fn customers(&self) -> usize {
        self.sim
            .control()
            .counts()
            .get("customer")
            .map_or(0, |count| count.live)
    }

    /// Idempotency keys and answers' status of the requests to make customers.
    fn tries(&self) -> Vec<(String, u16)> {
        let requests = self.sim.control().requests();
        let posts = requests.iter().filter(|request| request.method == "POST");
        posts
            .map(|post| {
                (
                    post.idempotency_key.clone().unwrap_or_default(),
                    post.status,
                )
            })
            .collect()
    }
}

async fn start_sim() -> StripeSim {
    let options = Options {
        api_key: KEY.to_owned(),
        ..Options::default()
    };
    StripeSim::start(options).await.unwrap()
}

fn args(base: &str, per_second: u32) -> StripeArgs {
    StripeArgs {
        stripe_api_base: base.parse().unwrap(),
        stripe_max_requests_per_second: per_second,
    }
}

fn credentials(key: &Arc<Mutex<String>>) -> Credentials {
    let key = key.clone();
    let environment = move |name: &str| (name == SECRET_KEY).then(|| key.lock().unwrap().clone());
    Credentials::with_environment(&CredentialArgs::default(), environment).unwrap()
}

fn owner(kind: &str, uid: &str) -> Owner {
    Owner {
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: format!("the-{uid}"),
        uid: uid.to_owned(),
    }
}

fn ada() -> CustomerParams {
    CustomerParams {
        email: "ada@example.com".to_owned(),
        name: Some("Ada Lovelace".to_owned()),
        cognito_sub: None,
        owner: owner("GlyphCustomer", "uid-ada"),
        instead_of: None,
    }
}

/// A product and a monthly price of $29.
async fn starter(stripe: &StripeBilling) -> Price {
    let owner = owner("Tier", "uid-starter");
    let product = ProductParams {
        name: "Starter".to_owned(),
        description: None,
        owner: owner.clone(),
        since: Timestamp::UNIX_EPOCH,
    };
    let product = stripe.create_product("product-1", &product).await.unwrap();
    let params = PriceParams {
        product: product.id,
        lookup_key: "shop-starter".to_owned(),
        currency: "usd".to_owned(),
        amount: 2900,
        interval: Some(Interval::Month),
        owner,
    };
    stripe.create_price("price-1", &params).await.unwrap()
}

fn checkout_of(customer: &str, price: &str) -> CheckoutParams {
    CheckoutParams {
        customer: customer.to_owned(),
        price: price.to_owned(),
        trial_days: None,
        trial_without_card: false,
        success_url: "https://shop.example/paid".to_owned(),
        cancel_url: "https://shop.example/back".to_owned(),
        owner: owner("Subscription", "uid-sub"),
    }
}

#[test]
fn the_base_is_a_plain_http_url_and_may_carry_a_path() {
    let metrics = Metrics::default();
    let key = Arc::new(Mutex::new(KEY.to_owned()));
    let made = |base: &str| StripeBilling::new(&args(base, 20), credentials(&key), &metrics);
    for good in ["https://api.stripe.com/", "http://127.0.0.1:1/stripe/"] {
        assert!(made(good).is_ok(), "{good}");
    }
    for bad in ["ftp://example.com/", "/v1", "https://example.com/?a=b"] {
        assert!(matches!(made(bad), Err(SetupError::Base)), "{bad}");
    }
}
