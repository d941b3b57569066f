//! A way past every endpoint: products, customers, payments and the rest here, subscriptions in `billing`.

use super::billing;
use crate::client::{Bench, id, text};

/// Calls every endpoint at least once, with every kind of parameter, and some that are refused.
pub(super) async fn walk(bench: &Bench) {
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
    billing::subscriptions(bench, &customer, &price).await;
    billing::test_clocks(bench, &price).await;
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
