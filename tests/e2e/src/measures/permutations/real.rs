//! Drawn cases on a real operator: customers of one world buy, and their events are delivered as Stripe signs them,
//! in the drawn order, each as often as drawn. Stripe itself delivers nothing.

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, stream};
use glyph_crds::{CreditGrant, CreditPack, CreditPurchase, Subscription};
use glyph_harness::net::send;
use glyph_harness::{ControlPlane, Program, Service};
use glyph_runtime::clock::{Clock as _, SystemClock};
use glyph_stripe_sim::{Payment, WebhookMode, signature};
use hyper::Request;
use serde_json::{Value, json};

use super::{Case, EVENTS};
use crate::checkout::CARD_THAT_PAYS;
use crate::flow::{difference, is_settled, timeless};
use crate::resources;
use crate::story::Story;
use crate::world::{Kind, SOON, Stage};

const TIER: &str = "starter";
const PACK: &str = "thousand";
const CREDITS: i64 = 1000;

/// The cases that end otherwise than the events in order, each once.
pub(super) async fn differing(
    cases: Vec<Case>,
    lanes: usize,
    story: &mut Story,
) -> Result<Vec<String>> {
    let plane = ControlPlane::shared().await?;
    let stage = Stage::start(plane, "permutations").await?;
    let settings = stage
        .operator_settings()
        // The limit is for Stripe itself.
        .set("STRIPE_MAX_REQUESTS_PER_SECOND", "500");
    let operator = Service::start(Program::Operator, settings).await?;
    stage.stripe.control().set_webhook_mode(WebhookMode {
        dropped: true,
        ..WebhookMode::default()
    });
    stage.create(&resources::paid_tier(TIER)).await?;
    let pack: CreditPack = resources::credit_pack(PACK, CREDITS)?;
    stage.create(&pack).await?;
    buy(&stage, &operator, "in-order", &Case::nth(0)).await?;
    story.tell("the events in order, each once: bought");
    let mut bought = Vec::new();
    let mut buying = stream::iter(cases.iter().enumerate())
        .map(async |(number, case)| {
            let name = format!("drawn-{number}");
            let outcome = buy(&stage, &operator, &name, case).await;
            (name, case, outcome)
        })
        .buffer_unordered(lanes.max(1));
    while let Some(one) = buying.next().await {
        bought.push(one);
        if bought.len().is_multiple_of(50) {
            story.tell(&format!("{} of {} cases bought", bought.len(), cases.len()));
        }
    }
    drop(buying);
    // Everything that was delivered has had its effect by now, and what is found twice stays twice.
    let wanted = end(&stage, "in-order").await?;
    let mut differing = Vec::new();
    for (name, case, outcome) in bought {
        let differs = match outcome {
            Err(error) => format!("{error:#}"),
            Ok(()) => difference(&wanted, &end(&stage, &name).await?),
        };
        if !differs.is_empty() {
            differing.push(format!("real: {name}, {case:?}:\n{differs}"));
        }
    }
    Ok(differing)
}

/// A customer subscribes and buys credits; what Stripe has to say of it is delivered as the case has it.
async fn buy(stage: &Stage<'_>, operator: &Service, name: &str, case: &Case) -> Result<()> {
    stage
        .create(&resources::customer(name, &stage.email(name)))
        .await?;
    stage
        .create(&resources::subscription(name, name, TIER))
        .await?;
    let purchase: CreditPurchase = resources::credit_purchase(name, name, PACK)?;
    stage.create(&purchase).await?;
    let plan = session(
        stage
            .until::<Subscription, _>(name, "a link", SOON, open)
            .await?,
    )?;
    let pack = session(
        stage
            .until::<CreditPurchase, _>(name, "a link", SOON, open)
            .await?,
    )?;
    let control = stage.stripe.control();
    for session in [&plan, &pack] {
        let paid = control.pay(session, CARD_THAT_PAYS, None);
        ensure!(
            matches!(paid, Payment::Done(_)),
            "the card is refused: {paid:?}"
        );
    }
    let events = events(stage, &plan, &pack)?;
    for event in case.deliveries() {
        deliver(stage, operator, &events[event]).await?;
    }
    stage
        .until::<Subscription, _>(name, "to be paid", SOON, |one| {
            let one = json!(one);
            (is_settled(&one) && one["status"]["state"] == "active").then_some(())
        })
        .await?;
    stage
        .until::<CreditPurchase, _>(name, "to be granted", SOON, |one| {
            let one = json!(one);
            (is_settled(&one) && one["status"]["grant"].is_string()).then_some(())
        })
        .await
}

/// The session whose link is in the status.
fn open<K: Kind>(resource: &K) -> Option<Value> {
    let status = json!(resource)["status"].take();
    status["checkoutUrl"].is_string().then_some(status)
}

fn session(status: Value) -> Result<String> {
    let id = status["checkoutSessionId"].as_str();
    id.map(ToOwned::to_owned)
        .context("a status has a link and no session")
}

/// The six events, in Stripe's order.
fn events(stage: &Stage<'_>, plan: &str, pack: &str) -> Result<[Value; EVENTS]> {
    let control = stage.stripe.control();
    let sessions = control.objects("checkout.session");
    let of = |id: &str, field: &str| {
        let found = sessions.iter().find(|session| session["id"] == id);
        found.map_or(Value::Null, |session| session[field].clone())
    };
    let (subscription, payment) = (of(plan, "subscription"), of(pack, "payment_intent"));
    let all = control.objects("event");
    let find = |kind: &str, wanted: &dyn Fn(&Value) -> bool| {
        let found = all
            .iter()
            .find(|one| one["type"] == kind && wanted(&one["data"]["object"]));
        found
            .cloned()
            .with_context(|| format!("Stripe has no {kind} to tell of"))
    };
    let ours = |object: &Value| object["id"] == subscription;
    let billed =
        |object: &Value| object["parent"]["subscription_details"]["subscription"] == subscription;
    Ok([
        find("checkout.session.completed", &|object| object["id"] == plan)?,
        find("customer.subscription.created", &ours)?,
        find("customer.subscription.updated", &ours)?,
        find("invoice.paid", &billed)?,
        find("checkout.session.completed", &|object| object["id"] == pack)?,
        find("payment_intent.succeeded", &|object| {
            object["id"] == payment
        })?,
    ])
}

/// Delivers an event as Stripe does.
async fn deliver(stage: &Stage<'_>, operator: &Service, event: &Value) -> Result<()> {
    let body = event.to_string();
    let now = SystemClock.now().as_second();
    let signature = signature(&stage.secrets.webhook_secret, now, body.as_bytes());
    let request = Request::post(format!("http://{}/webhooks/stripe", operator.address()))
        .header("content-type", "application/json")
        .header("stripe-signature", signature)
        .body(body)?;
    let answer = send(request).await?;
    ensure!(
        answer.status == 200,
        "the webhook {} is answered with {} {}",
        event["type"],
        answer.status,
        answer.text()
    );
    Ok(())
}

/// What stands of a customer, without ids, times and the customer's name.
async fn end(stage: &Stage<'_>, name: &str) -> Result<String> {
    let status = |resource: Value| timeless(&resource["status"]);
    let subscription = stage.namespace.api::<Subscription>().get(name).await?;
    let purchase = stage.namespace.api::<CreditPurchase>().get(name).await?;
    let grants = stage.namespace.api::<CreditGrant>();
    let grants = grants.list(&Default::default()).await?.items;
    let granted: Vec<i64> = grants
        .iter()
        .filter(|grant| grant.spec.customer_ref.name == name)
        .map(|grant| grant.spec.credits)
        .collect();
    let control = stage.stripe.control();
    let customers = control.objects("customer");
    let email = stage.email(name);
    let customers: Vec<_> = customers
        .iter()
        .filter(|one| one["email"] == email.as_str())
        .map(|one| one["id"].clone())
        .collect();
    let of_them = |kind: &str| {
        let all = control.objects(kind).into_iter();
        let ours = all.filter(|one| customers.contains(&one["customer"]));
        ours.map(|one| one["status"].clone()).collect::<Vec<_>>()
    };
    let end = json!({
        "subscription": status(json!(subscription)),
        "purchase": status(json!(purchase)),
        "granted": granted,
        "customers": customers.len(),
        "subscriptions": of_them("subscription"),
        "sessions": of_them("checkout.session"),
    });
    Ok(serde_json::to_string_pretty(&end)?.replace(name, "…"))
}
