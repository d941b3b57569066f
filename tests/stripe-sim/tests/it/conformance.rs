//! Stripe's OpenAPI and stripe-mock as the measure.

use glyph_harness::stripe_mock::StripeMock;
use glyph_stripe_sim::conformance::{DIFFERENCES, Spec, conforms, unused_endpoints};
use serde_json::Value;

use crate::client::{Bench, id, path_of, text};

/// Calls every endpoint at least once, with every kind of parameter, and some that are refused.
async fn walk(bench: &Bench) {
    let product = bench.made("/v1/products", "name=P&description=d&images[]=https://x.io/a.png&marketing_features[0][name]=f&metadata[a]=b&unit_label=call&default_price_data[currency]=usd&default_price_data[unit_amount]=100&default_price_data[recurring][interval]=year").await;
    bench
        .post(
            &format!("/v1/products/{product}"),
            "description=&active=true&metadata[a]=",
        )
        .await
        .ok();
    bench
        .get(&format!("/v1/products/{product}?expand[]=default_price"))
        .await
        .ok();
    bench.get("/v1/products?active=true&limit=3").await.ok();
    bench
        .get("/v1/products/search?query=active:%27true%27")
        .await
        .ok();
    let unused = bench.made("/v1/products", "name=Q&id=prod_own").await;
    bench.delete(&format!("/v1/products/{unused}")).await.ok();

    let price = bench.made("/v1/prices", &format!("currency=usd&product={product}&unit_amount=2900&recurring[interval]=month&recurring[interval_count]=1&lookup_key=starter&nickname=n&tax_behavior=exclusive&transfer_lookup_key=true")).await;
    let once = bench
        .made(
            "/v1/prices",
            "currency=eur&product_data[name]=Credits&unit_amount_decimal=500",
        )
        .await;
    bench
        .post(
            &format!("/v1/prices/{price}"),
            "active=true&nickname=m&metadata[x]=y",
        )
        .await
        .ok();
    bench
        .get(&format!("/v1/prices/{price}?expand[]=product"))
        .await
        .ok();
    bench.get("/v1/prices?lookup_keys[0]=starter&type=recurring&recurring[interval]=month&expand[]=data.product").await.ok();
    bench
        .get("/v1/prices/search?query=active:%27true%27&limit=1")
        .await
        .ok();

    let customer = customers(bench).await;
    sessions(bench, &customer, &price, &once).await;
    subscriptions(bench, &customer, &price).await;
    test_clocks(bench, &price).await;
    the_rest(bench, &customer).await;
}

async fn customers(bench: &Bench) -> String {
    let customer = bench.made("/v1/customers", "email=ann@example.com&name=Ann&phone=1&description=d&metadata[uid]=u&address[city]=Bern&address[country]=CH&preferred_locales[]=de&tax_exempt=none&payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa").await;
    let path = format!("/v1/customers/{customer}");
    bench
        .post(
            &path,
            "name=Anna&address=&metadata=&invoice_settings[footer]=f",
        )
        .await
        .ok();
    bench
        .get(&format!(
            "{path}?expand[]=subscriptions&expand[]=invoice_settings.default_payment_method"
        ))
        .await
        .ok();
    bench
        .get("/v1/customers?email=ann@example.com&created[gte]=1")
        .await
        .ok();
    bench
        .get("/v1/customers/search?query=email:%27x%27&limit=2")
        .await
        .ok();
    bench
        .get(&format!("{path}/payment_methods?type=card"))
        .await
        .ok();
    let gone = bench.made("/v1/customers", "").await;
    bench.delete(&format!("/v1/customers/{gone}")).await.ok();
    bench.get(&format!("/v1/customers/{gone}")).await.ok();
    assert_eq!(bench.get("/v1/customers/cus_none").await.status, 404);

    let method = bench.made("/v1/payment_methods", "type=card&card[number]=4242424242424242&card[exp_month]=1&card[exp_year]=2040&card[cvc]=123&billing_details[name]=Ann&billing_details[address][city]=Bern&metadata[a]=b").await;
    bench
        .made("/v1/payment_methods", "type=card&card[token]=tok_visa")
        .await;
    bench
        .post(
            &format!("/v1/payment_methods/{method}/attach"),
            &format!("customer={customer}"),
        )
        .await
        .ok();
    bench
        .get(&format!("/v1/payment_methods/{method}?expand[]=customer"))
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/payment_methods?customer={customer}&type=card"
        ))
        .await
        .ok();
    bench
        .post(&format!("/v1/payment_methods/{method}/detach"), "")
        .await
        .ok();
    customer
}

async fn sessions(bench: &Bench, customer: &str, price: &str, once: &str) {
    let session = bench.made("/v1/checkout/sessions", &format!("mode=subscription&customer={customer}&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://x.io&cancel_url=https://x.io/no&client_reference_id=r&metadata[uid]=u&subscription_data[metadata][uid]=u&subscription_data[description]=d&allow_promotion_codes=true&billing_address_collection=auto&locale=en&payment_method_types[0]=card&ui_mode=hosted_page&expand[]=line_items")).await;
    let path = format!("/v1/checkout/sessions/{session}");
    bench.post(&path, "metadata[a]=b").await.ok();
    bench.get(&format!("{path}/line_items?limit=5")).await.ok();
    assert_eq!(
        bench
            .submit(&format!("/c/pay/{session}"), "card_number=4242424242424242")
            .await
            .status,
        303
    );
    bench.get(&format!("{path}?expand[]=subscription.latest_invoice&expand[]=customer&expand[]=invoice&expand[]=line_items")).await.ok();
    bench
        .get("/v1/checkout/sessions?status=complete&expand[]=data.line_items")
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/checkout/sessions?customer={customer}&customer_details[email]=ann@example.com"
        ))
        .await
        .ok();
    let payment = bench.made("/v1/checkout/sessions", &format!("mode=payment&customer_email=bob@example.com&line_items[0][price]={once}&line_items[0][quantity]=2&success_url=https://x.io&payment_intent_data[metadata][uid]=u&payment_intent_data[description]=d&customer_creation=always")).await;
    assert_eq!(
        bench
            .submit(&format!("/c/pay/{payment}"), "card_number=4000000000000002")
            .await
            .status,
        402
    );
    bench
        .get(&format!(
            "/v1/checkout/sessions/{payment}?expand[]=payment_intent"
        ))
        .await
        .ok();
    assert_eq!(
        bench
            .submit(&format!("/c/pay/{payment}"), "card_number=4242424242424242")
            .await
            .status,
        303
    );
    bench
        .get(&format!(
            "/v1/checkout/sessions/{payment}?expand[]=payment_intent.payment_method"
        ))
        .await
        .ok();
    let intent = text(
        &bench
            .get(&format!("/v1/checkout/sessions/{payment}"))
            .await
            .ok(),
        "payment_intent",
    );
    money(bench, &intent, once).await;
    let inline = bench.made("/v1/checkout/sessions", "mode=subscription&success_url=https://x.io&line_items[0][quantity]=1&line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount]=5&line_items[0][price_data][product_data][name]=I&line_items[0][price_data][recurring][interval]=week&subscription_data[trial_period_days]=7").await;
    bench
        .post(&format!("/v1/checkout/sessions/{inline}/expire"), "")
        .await
        .ok();
}

async fn money(bench: &Bench, intent: &str, once: &str) {
    bench
        .get(&format!(
            "/v1/payment_intents/{intent}?expand[]=latest_charge.refunds"
        ))
        .await
        .ok();
    let charges = bench
        .get(&format!("/v1/charges?payment_intent={intent}"))
        .await
        .ok();
    let charge = id(&charges["data"][0]);
    bench
        .get(&format!("/v1/charges/{charge}?expand[]=refunds"))
        .await
        .ok();
    let refund = bench
        .made(
            "/v1/refunds",
            &format!("payment_intent={intent}&amount=10&reason=duplicate&metadata[a]=b"),
        )
        .await;
    bench
        .get(&format!("/v1/refunds/{refund}?expand[]=charge"))
        .await
        .ok();
    bench
        .get(&format!("/v1/refunds?charge={charge}"))
        .await
        .ok();
    let dispute = bench.control().dispute(intent).expect("a dispute");
    bench
        .get(&format!(
            "/v1/disputes?charge={charge}&expand[]=data.charge"
        ))
        .await
        .ok();
    bench
        .post(&format!("/v1/disputes/{dispute}/close"), "")
        .await
        .ok();
    bench.get(&format!("/v1/disputes/{dispute}")).await.ok();
    let session = bench.made("/v1/checkout/sessions", &format!("mode=payment&line_items[0][price]={once}&line_items[0][quantity]=1&success_url=https://x.io&customer_creation=always&payment_method_types[0]=us_bank_account")).await;
    bench
        .submit(
            &format!("/c/pay/{session}"),
            "payment_method=us_bank_account&email=ann@example.com",
        )
        .await;
    bench
        .get(&format!("/v1/checkout/sessions/{session}?expand[]=payment_intent.latest_charge&expand[]=payment_intent.payment_method"))
        .await
        .ok();
    assert!(bench.control().conclude_debit(&session, true));
    bench
        .get(&format!(
            "/v1/checkout/sessions/{session}?expand[]=payment_intent.latest_charge"
        ))
        .await
        .ok();
}

async fn subscriptions(bench: &Bench, customer: &str, price: &str) {
    let waiting = bench.post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}&items[0][quantity]=2&payment_behavior=default_incomplete&payment_settings[save_default_payment_method]=on_subscription&metadata[a]=b&description=d&expand[]=latest_invoice.payments&expand[]=latest_invoice.confirmation_secret")).await.ok();
    let intent = text(
        &waiting["latest_invoice"]["payments"]["data"][0]["payment"],
        "payment_intent",
    );
    assert_eq!(
        bench
            .post(
                &format!("/v1/payment_intents/{intent}/confirm"),
                "payment_method=pm_card_chargeCustomerFail"
            )
            .await
            .status,
        402
    );
    let asked = bench
        .post(
            &format!("/v1/payment_intents/{intent}/confirm"),
            "payment_method=pm_card_authenticationRequired&return_url=https://x.io",
        )
        .await
        .ok();
    bench
        .get(&format!("/v1/payment_intents/{intent}?expand[]=customer"))
        .await
        .ok();
    bench
        .submit(
            &path_of(&text(&asked["next_action"]["redirect_to_url"], "url")),
            "answer=complete",
        )
        .await;
    bench
        .get(&format!("/v1/payment_intents?customer={customer}"))
        .await
        .ok();

    let path = format!("/v1/subscriptions/{}", id(&waiting));
    let item = id(&waiting["items"]["data"][0]);
    bench.post(&path, &format!("items[0][id]={item}&items[0][quantity]=3&proration_behavior=always_invoice&cancel_at_period_end=true&metadata[c]=d&cancellation_details[feedback]=other")).await.ok();
    bench
        .get(&format!(
            "{path}?expand[]=items.data.price.product&expand[]=default_payment_method"
        ))
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/subscriptions?customer={customer}&status=all&price={price}"
        ))
        .await
        .ok();
    bench
        .get("/v1/subscriptions/search?query=status:%27active%27")
        .await
        .ok();
    bench
        .get(&format!("/v1/subscription_items/{item}"))
        .await
        .ok();
    bench
        .post(
            &format!("/v1/subscription_items/{item}"),
            "quantity=1&metadata[e]=f",
        )
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/subscription_items?subscription={}",
            id(&waiting)
        ))
        .await
        .ok();
    let added = bench
        .made(
            "/v1/prices",
            "currency=usd&unit_amount=100&recurring[interval]=month&product_data[name]=Extra",
        )
        .await;
    let added = bench
        .made(
            "/v1/subscription_items",
            &format!("subscription={}&price={added}", id(&waiting)),
        )
        .await;
    bench
        .delete(&format!("/v1/subscription_items/{added}"))
        .await
        .ok();
    schedules(bench, &id(&waiting), price).await;
    bench.delete(&path).await.ok();

    let sent = bench.post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}&collection_method=send_invoice&days_until_due=3")).await.ok();
    let invoice = text(&sent, "latest_invoice");
    bench
        .post(
            &format!("/v1/invoices/{invoice}/pay"),
            "paid_out_of_band=true",
        )
        .await
        .ok();
    bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}&trial_period_days=5"),
        )
        .await;
    bench
        .post(
            &format!("/v1/subscriptions/{}", id(&sent)),
            "pause_collection[behavior]=void&pause_collection[resumes_at]=4000000000",
        )
        .await
        .ok();
    let poor = bench.made("/v1/customers", "").await;
    let paused = bench.made("/v1/subscriptions", &format!("customer={poor}&items[0][price]={price}&trial_period_days=5&trial_settings[end_behavior][missing_payment_method]=pause")).await;
    bench.control().advance(40 * 86_400);
    bench
        .post(
            &format!("/v1/subscriptions/{paused}/resume"),
            "billing_cycle_anchor=now&proration_behavior=none",
        )
        .await
        .ok();
    bench.get(&format!("/v1/invoices/{invoice}?expand[]=payments&expand[]=customer&expand[]=parent.subscription_details.subscription")).await.ok();
    bench
        .get(&format!("/v1/invoices?customer={customer}&status=paid"))
        .await
        .ok();
    let drafts = bench
        .get("/v1/invoices?status=open&expand[]=data.payments")
        .await
        .ok();
    if let Some(open) = drafts["data"].as_array().and_then(|all| all.first()) {
        bench
            .post(
                &format!("/v1/invoices/{}/pay", id(open)),
                "payment_method=pm_card_visa",
            )
            .await
            .ok();
    }
}

async fn schedules(bench: &Bench, subscription: &str, price: &str) {
    bench
        .post(
            &format!("/v1/subscriptions/{subscription}"),
            "cancel_at_period_end=false",
        )
        .await
        .ok();
    let from = format!("from_subscription={subscription}");
    for end in ["release", "cancel"] {
        let schedule = bench.post("/v1/subscription_schedules", &from).await.ok();
        let path = format!("/v1/subscription_schedules/{}", id(&schedule));
        let phase = &schedule["phases"][0];
        let (start, until) = (&phase["start_date"], &phase["end_date"]);
        bench.post(&path, &format!("end_behavior=release&metadata[a]=b&proration_behavior=none&phases[0][items][0][price]={price}&phases[0][items][0][quantity]=1&phases[0][start_date]={start}&phases[0][end_date]={until}&phases[1][items][0][price]={price}&phases[1][items][0][quantity]=5&phases[1][items][0][metadata][c]=d&phases[1][duration][interval]=month&phases[1][duration][interval_count]=1&phases[1][proration_behavior]=none&phases[1][metadata][e]=f")).await.ok();
        bench
            .get(&format!("{path}?expand[]=subscription&expand[]=customer"))
            .await
            .ok();
        bench
            .get("/v1/subscription_schedules?scheduled=false")
            .await
            .ok();
        if end == "release" {
            bench.post(&format!("{path}/release"), "").await.ok();
        }
    }
    let other = bench
        .get(&format!(
            "/v1/subscriptions/{subscription}?expand[]=schedule"
        ))
        .await
        .ok();
    let held = text(&other["schedule"], "id");
    bench
        .post(&format!("/v1/subscription_schedules/{held}/release"), "")
        .await
        .ok();
    let customer = bench.paying_customer().await;
    let more = bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}"),
        )
        .await;
    let schedule = bench
        .made(
            "/v1/subscription_schedules",
            &format!("from_subscription={more}"),
        )
        .await;
    bench
        .post(
            &format!("/v1/subscription_schedules/{schedule}/cancel"),
            "invoice_now=false&prorate=false",
        )
        .await
        .ok();
}

async fn test_clocks(bench: &Bench, price: &str) {
    let all = "/v1/test_helpers/test_clocks";
    let clock = bench.made(all, "frozen_time=1893456000&name=Renewal").await;
    let customer = bench
        .made(
            "/v1/customers",
            &format!("test_clock={clock}&invoice_settings[default_payment_method]=pm_card_visa"),
        )
        .await;
    let subscription = bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}"),
        )
        .await;
    bench
        .made(
            "/v1/subscription_schedules",
            &format!("from_subscription={subscription}&expand[]=test_clock"),
        )
        .await;
    let path = format!("{all}/{clock}");
    let advance = format!("{path}/advance");
    bench.post(&advance, "frozen_time=1896200000").await.ok();
    bench.get(&path).await.ok();
    bench.get(&format!("{all}?limit=2")).await.ok();
    bench
        .get(&format!(
            "/v1/customers?test_clock={clock}&expand[]=data.test_clock"
        ))
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/subscriptions?test_clock={clock}&expand[]=data.test_clock"
        ))
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/invoices?subscription={subscription}&expand[]=data.test_clock"
        ))
        .await
        .ok();
    bench.delete(&path).await.ok();
}

async fn the_rest(bench: &Bench, customer: &str) {
    bench
        .post(
            "/v1/billing_portal/sessions",
            &format!("customer={customer}&return_url=https://x.io&locale=auto"),
        )
        .await
        .ok();
    let endpoint = bench.made("/v1/webhook_endpoints", "url=http://127.0.0.1:1/hook&enabled_events[0]=customer.created&description=d&metadata[a]=b").await;
    let path = format!("/v1/webhook_endpoints/{endpoint}");
    bench.get(&path).await.ok();
    bench
        .post(&path, "disabled=true&enabled_events[0]=*&description=")
        .await
        .ok();
    bench.get("/v1/webhook_endpoints?limit=1").await.ok();
    bench.delete(&path).await.ok();
    let events = bench.get("/v1/events?limit=100").await.ok();
    let mut last = id(&events["data"]
        .as_array()
        .and_then(|all| all.last())
        .cloned()
        .unwrap_or_default());
    loop {
        let more = bench
            .get(&format!("/v1/events?limit=100&starting_after={last}"))
            .await
            .ok();
        let Some(end) = more["data"].as_array().and_then(|all| all.last()).map(id) else {
            break;
        };
        last = end;
    }
    bench.get(&format!("/v1/events/{last}")).await.ok();
    bench
        .get("/v1/events?types[0]=invoice.paid&types[1]=customer.created&created[gte]=1")
        .await
        .ok();
    assert_eq!(bench.post("/v1/customers", "colour=red").await.status, 400);
    assert_eq!(bench.post("/v1/products", "").await.status, 400);
}

#[tokio::test]
async fn every_parameter_of_every_endpoint_is_stripes() {
    let spec = Spec::load(&StripeMock::openapi().await.expect("Stripe's OpenAPI"))
        .expect("a readable OpenAPI");
    let problems = spec.check_parameters();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn every_answer_fits_its_schema_and_every_request_passes_stripe_mock() {
    let bench = Bench::start().await;
    walk(&bench).await;
    let mock = StripeMock::start().await.expect("stripe-mock");
    let spec = StripeMock::openapi().await.expect("Stripe's OpenAPI");
    let log = bench.control().requests();
    let report = conforms(&log, mock.url(), &spec)
        .await
        .expect("a checked log");
    assert!(
        report.problems.is_empty(),
        "{} problems:\n{}",
        report.problems.len(),
        report.problems.join("\n")
    );
    assert_eq!(unused_endpoints(&log), Vec::<String>::new());
    assert_eq!(
        report.requests + 1,
        report.answers,
        "only the product without a name is not sent"
    );
}

#[tokio::test]
async fn the_check_finds_what_does_not_conform() {
    let bench = Bench::start().await;
    bench.made("/v1/customers", "name=A").await;
    let mut log = bench.control().requests();
    log[0].answer["colour"] = Value::from("red");
    log[0].answer["livemode"] = Value::from("no");
    log[0].body = "colour=red".to_owned();
    let mock = StripeMock::start().await.expect("stripe-mock");
    let report = conforms(
        &log,
        mock.url(),
        &StripeMock::openapi().await.expect("Stripe's OpenAPI"),
    )
    .await
    .expect("a checked log");
    assert_eq!(report.problems.len(), 3, "{:?}", report.problems);
}

#[tokio::test]
async fn every_tolerated_difference_is_still_one() {
    let spec = Spec::load(&StripeMock::openapi().await.expect("Stripe's OpenAPI"))
        .expect("a readable OpenAPI");
    for difference in DIFFERENCES {
        assert!(
            !spec.knows(difference.schema, difference.field),
            "{difference:?} is in Stripe's OpenAPI by now"
        );
    }
}
