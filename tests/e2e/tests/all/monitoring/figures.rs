//! The business figures against an example worked by hand: the story and the table of docs/metrics.md, played by the real
//! operator and Stripe's simulator over three months.

use std::fs;

use anyhow::{Context as _, Result};
use glyph_crds::common::{Interval, LocalRef, RecurringPrice};
use glyph_crds::{GlyphCustomer, Grace, Subscription, Tier, TierSpec};
use glyph_e2e::checkout::{self, CARD_THAT_FAILS, CARD_THAT_PAYS};
use glyph_e2e::resources;
use glyph_e2e::scrape::Scrape;
use glyph_e2e::world::{SOON, Wanted, World};
use glyph_harness::{ControlPlane, poll_until, workspace_root};
use serde_json::json;

const BEGINS: &str = "2028-03-01T09:00";
const TIERS: [&str; 3] = ["starter", "professional", "professional-yearly"];
const CUSTOMERS: [&str; 12] = [
    "anna", "ben", "cleo", "dan", "eve", "finn", "gus", "hal", "ida", "jo", "kim", "leo",
];

/// What is done.
enum Deed {
    /// The customer subscribes to the tier and pays at the link.
    Subscribes(&'static str, &'static str),
    /// The same, with 14 days of trial.
    Tries(&'static str, &'static str),
    /// Moves to another tier.
    Moves(&'static str, &'static str),
    /// Ends with what is paid.
    Cancels(&'static str),
    /// The card cannot be charged any more.
    LosesTheCard(&'static str),
    /// Time passes up to something that the operator should see at once.
    Nothing,
    /// The row of the table is compared.
    Look,
}

use Deed::{Cancels, Look, LosesTheCard, Moves, Nothing, Subscribes, Tries};

/// The story; docs/metrics.md tells it by customer.
const STORY: &[(&str, &[Deed])] = &[
    (
        "2028-03-01T09:00",
        &[
            Subscribes("anna", "starter"),
            Subscribes("ben", "starter"),
            Subscribes("cleo", "professional"),
            Subscribes("dan", "professional-yearly"),
            Subscribes("eve", "starter"),
            Subscribes("finn", "professional"),
            Subscribes("leo", "starter"),
        ],
    ),
    ("2028-03-10T12:00", &[Cancels("leo")]),
    (
        "2028-03-25T12:00",
        &[
            Tries("gus", "starter"),
            Tries("hal", "starter"),
            Cancels("hal"),
        ],
    ),
    ("2028-04-01T12:00", &[Look]),
    ("2028-04-05T12:00", &[Subscribes("ida", "starter")]),
    ("2028-04-08T14:00", &[Nothing]),
    ("2028-04-10T12:00", &[Cancels("ben")]),
    (
        "2028-04-15T12:00",
        &[Moves("eve", "professional"), Moves("finn", "starter")],
    ),
    ("2028-04-20T12:00", &[LosesTheCard("ida")]),
    (
        "2028-04-29T12:00",
        &[Subscribes("jo", "starter"), LosesTheCard("jo")],
    ),
    ("2028-05-01T12:00", &[Look]),
    ("2028-05-05T15:00", &[Nothing]),
    ("2028-05-10T12:00", &[Subscribes("leo", "professional")]),
    ("2028-05-29T15:00", &[Nothing]),
    ("2028-06-01T12:00", &[Look]),
];

#[tokio::test]
async fn revenue_churn_and_the_rest_are_what_the_example_on_the_page_says_month_by_month()
-> Result<()> {
    let plane = ControlPlane::shared().await?;
    let world = World::start(plane, "figures", Wanted::operator_only().movable()).await?;
    world.pass_time(world.seconds_until(BEGINS)?)?;
    open_the_shop(&world).await?;
    let page = fs::read_to_string(workspace_root().join("docs/metrics.md"))?;
    let mut looked = 0;
    for (when, deeds) in STORY {
        let ahead = world.seconds_until(when)?;
        if ahead > 0 {
            world.at_rest().await?;
            world.pass_time(ahead)?;
        }
        for deed in *deeds {
            perform(deed, &world)
                .await
                .with_context(|| (*when).to_owned())?;
            if matches!(deed, Look) {
                compare(&world, when, &page).await?;
                looked += 1;
            }
        }
    }
    assert_eq!(looked, 3);
    what_happened_was_counted(&world).await?;
    // The same right after a restart, by another process.
    world.operator.kill();
    world.operator.start_again().await?;
    compare(&world, "2028-06-01T12:00", &page).await
}

/// Ten began paying (leo twice), two tried, of whom one stayed; leo, hal, ben and ida have ended.
async fn what_happened_was_counted(world: &World<'_>) -> Result<()> {
    let scrape = Scrape::of(&world.operator).await?;
    let change = |change| scrape.sum("glyph_subscription_changes_total", &[("change", change)]);
    let changes = [
        "started",
        "trial_started",
        "converted",
        "upgraded",
        "downgraded",
        "ended",
    ];
    assert_eq!(changes.map(change), [10.0, 2.0, 1.0, 1.0, 1.0, 4.0]);
    let links = |step| {
        let labels = [("of", "subscription"), ("step", step)];
        scrape.sum("glyph_checkouts_total", &labels)
    };
    assert_eq!(["started", "paid"].map(links), [12.0, 12.0]);
    Ok(())
}

async fn open_the_shop(world: &World<'_>) -> Result<()> {
    let free = resources::free_tier(resources::DEFAULT_TIER, Some(100));
    world.create(&free).await?;
    let prices = [
        (2_900, Interval::Month),
        (9_900, Interval::Month),
        (99_000, Interval::Year),
    ];
    for (name, (amount, interval)) in TIERS.into_iter().zip(prices) {
        let price = Some(RecurringPrice {
            currency: "usd".to_owned(),
            amount,
            interval,
        });
        let degrade_to = Some(LocalRef {
            name: resources::DEFAULT_TIER.to_owned(),
        });
        let grace = Some(Grace {
            days: 7,
            degrade_to,
        });
        let spec = TierSpec {
            price,
            grace,
            ..resources::paid_tier(name).spec
        };
        world.create(&Tier::new(name, spec)).await?;
    }
    for name in CUSTOMERS {
        let customer = resources::customer(name, &world.email(name));
        world.create(&customer).await?;
    }
    Ok(())
}

async fn perform(deed: &Deed, world: &World<'_>) -> Result<()> {
    match *deed {
        Subscribes(customer, tier) => subscribe(world, customer, tier, None).await,
        Tries(customer, tier) => subscribe(world, customer, tier, Some(14)).await,
        Moves(customer, tier) => wish(world, customer, json!({"tier": tier})).await,
        Cancels(customer) => wish(world, customer, json!({"cancelAtPeriodEnd": true})).await,
        LosesTheCard(customer) => {
            let id = |c: &GlyphCustomer| c.status.as_ref()?.stripe_customer_id.clone();
            let id = world.until(customer, "a Stripe customer", SOON, id).await?;
            checkout::replace_card(world.stripe.control(), &id, CARD_THAT_FAILS).await
        }
        Nothing | Look => Ok(()),
    }
}

/// By a Subscription of the customer's and the tier's name: one that ended does not come back.
async fn subscribe(
    world: &World<'_>,
    customer: &str,
    tier: &str,
    trial: Option<u32>,
) -> Result<()> {
    let name = format!("{customer}-{tier}");
    let mut wished = resources::subscription(&name, customer, tier);
    wished.spec.trial_days = trial;
    world.create(&wished).await?;
    let link = |s: &Subscription| s.status.as_ref()?.checkout_url.clone();
    let link = world.until(&name, "a link to pay at", SOON, link).await?;
    checkout::pay(&link, CARD_THAT_PAYS).await?;
    let paid = |s: &Subscription| s.status.as_ref()?.state;
    world
        .until(&name, "to be subscribed", SOON, paid)
        .await
        .map(drop)
}

/// Changes the customer's first Subscription.
async fn wish(world: &World<'_>, customer: &str, spec: serde_json::Value) -> Result<()> {
    let first = STORY
        .iter()
        .flat_map(|(_, deeds)| *deeds)
        .find_map(|deed| match deed {
            Subscribes(who, tier) | Tries(who, tier) if *who == customer => Some(tier),
            _ => None,
        });
    let name = format!(
        "{customer}-{}",
        first.context("the customer never subscribes")?
    );
    let patch = json!({ "spec": spec });
    world.patch::<Subscription>(&name, &patch).await.map(drop)
}

/// The row that the scrape comes to must stand on the page.
async fn compare(world: &World<'_>, when: &str, page: &str) -> Result<()> {
    let (day, mut last) = (&when[..10], String::new());
    let same = poll_until("the row of the page", SOON, async || {
        last = row(day, &Scrape::of(&world.operator).await.ok()?);
        page.contains(&last).then_some(())
    });
    let wanted = page
        .lines()
        .find(|line| line.starts_with(&format!("| {day}")));
    same.await
        .with_context(|| format!("the page says {wanted:?}, the scrape {last:?}"))?;
    Ok(())
}

/// A row of the table, by the formulas of the page.
fn row(day: &str, scrape: &Scrape) -> String {
    let sum = |name: &str| scrape.sum(name, &[]);
    let of_tier = |tier| {
        scrape.sum(
            "glyph_mrr_minor_units",
            &[("tier", tier), ("currency", "usd")],
        )
    };
    let (revenue, paying) = (sum("glyph_mrr_minor_units"), sum("glyph_paying_customers"));
    let [starter, professional, yearly] = TIERS.map(of_tier);
    let (left, before) = (
        sum("glyph_churned_customers_30_days"),
        sum("glyph_paying_customers_30_days_ago"),
    );
    let (converted, ended) = (
        sum("glyph_trials_converted_30_days"),
        sum("glyph_trials_ended_30_days"),
    );
    format!(
        "| {day} | {starter} | {professional} | {yearly} | {revenue} | {paying} | {} | {left} of {before} | {converted} of {ended} |",
        revenue / paying.max(1.0)
    )
}
