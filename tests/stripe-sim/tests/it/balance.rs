//! The customer's invoice balance: what a downgrade leaves to their credit, and what takes it.

use serde_json::{Value, json};

use crate::client::{Bench, id, text};

#[tokio::test]
async fn a_downgrade_that_is_invoiced_leaves_credit_that_the_next_invoice_takes() {
    let bench = Bench::start().await;
    bench.control().freeze_clock(true);
    let customer = bench.paying_customer().await;
    let dear = "currency=usd&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro";
    let dear = bench.made("/v1/prices", dear).await;
    let body = format!("customer={customer}&items[0][price]={dear}");
    let subscription = bench.post("/v1/subscriptions", &body).await.ok();
    let item = &subscription["items"]["data"][0];
    let price = bench.monthly_price().await;
    let path = format!(
        "/v1/subscriptions/{}?expand[]=latest_invoice",
        id(&subscription)
    );
    let change = format!(
        "items[0][id]={}&items[0][price]={price}&proration_behavior=always_invoice",
        id(item)
    );
    let lower = bench.post(&path, &change).await.ok();
    assert_eq!(
        balances(&lower["latest_invoice"]),
        [-7000, 0, -7000, 0].map(Some)
    );
    assert_eq!(lower["latest_invoice"]["status"], "paid");
    assert_eq!(balance(&bench, &customer).await, -7000);
    let told = bench.get("/v1/events?type=customer.updated").await.ok();
    assert_eq!(
        told["data"][0]["data"]["previous_attributes"]["balance"],
        json!(0)
    );

    let end = item["current_period_end"].as_i64().expect("an end");
    for (days, left) in [(0, -4100), (31, -1200), (62, 0)] {
        bench.control().set_clock(end + days * 86_400 + 3600);
        let invoice = bench.get(&path).await.ok()["latest_invoice"].clone();
        let due = (2900 + balances(&invoice)[3].unwrap_or_default()).max(0);
        assert_eq!(
            balances(&invoice)[..3],
            [Some(2900), Some(due), Some(left)],
            "{days}"
        );
        assert_eq!(text(&invoice, "status"), "paid");
        assert_eq!(balance(&bench, &customer).await, left);
    }
}

/// Total, amount due, the customer's balance after and before.
fn balances(invoice: &Value) -> [Option<i64>; 4] {
    ["total", "amount_due", "ending_balance", "starting_balance"]
        .map(|field| invoice[field].as_i64())
}

async fn balance(bench: &Bench, customer: &str) -> Value {
    bench.get(&format!("/v1/customers/{customer}")).await.ok()["balance"].clone()
}
