//! Pagination, filters, search and expand.

use serde_json::{Value, json};

use crate::client::{Bench, id, text};

fn ids(list: &Value) -> Vec<String> {
    list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(id)
        .collect()
}

#[tokio::test]
async fn pages_follow_the_cursor_newest_first_and_come_back() {
    let bench = Bench::start().await;
    let mut all = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        all.push(bench.made("/v1/customers", &format!("name={name}")).await);
    }
    all.reverse();
    let first = bench.get("/v1/customers?limit=2").await.ok();
    assert_eq!(
        (ids(&first), &first["has_more"]),
        (all[..2].to_vec(), &json!(true))
    );
    let second = bench
        .get(&format!("/v1/customers?limit=2&starting_after={}", all[1]))
        .await
        .ok();
    assert_eq!(
        (ids(&second), &second["has_more"]),
        (all[2..4].to_vec(), &json!(true))
    );
    let last = bench
        .get(&format!("/v1/customers?limit=2&starting_after={}", all[3]))
        .await
        .ok();
    assert_eq!(
        (ids(&last), &last["has_more"]),
        (all[4..].to_vec(), &json!(false))
    );
    let back = bench
        .get(&format!("/v1/customers?limit=2&ending_before={}", all[4]))
        .await
        .ok();
    assert_eq!(
        (ids(&back), &back["has_more"]),
        (all[2..4].to_vec(), &json!(true))
    );
    let head = bench
        .get(&format!("/v1/customers?ending_before={}", all[1]))
        .await
        .ok();
    assert_eq!(
        (ids(&head), &head["has_more"]),
        (all[..1].to_vec(), &json!(false))
    );
}

#[tokio::test]
async fn a_limit_or_cursor_out_of_range_is_refused() {
    let bench = Bench::start().await;
    for query in ["limit=0", "limit=101", "limit=x", "starting_after=cus_none"] {
        assert_eq!(
            bench.get(&format!("/v1/customers?{query}")).await.status,
            400,
            "{query}"
        );
    }
    let customer = bench.made("/v1/customers", "").await;
    let both = format!("/v1/customers?starting_after={customer}&ending_before={customer}");
    assert_eq!(bench.get(&both).await.status, 400);
}

#[tokio::test]
async fn lists_filter_by_their_own_fields_and_by_time() {
    let bench = Bench::start().await;
    bench.control().freeze_clock(true);
    let start = bench.control().now();
    let early = bench.made("/v1/customers", "email=a@x.io").await;
    bench.control().advance(100);
    let late = bench.made("/v1/customers", "email=b@x.io").await;
    let bench = &bench;
    let found = |query: String| async move {
        ids(&bench.get(&format!("/v1/customers?{query}")).await.ok())
    };
    assert_eq!(found("email=b%40x.io".to_owned()).await, [late.as_str()]);
    assert_eq!(found(format!("created[gt]={start}")).await, [late.as_str()]);
    assert_eq!(
        found(format!("created[lte]={start}")).await,
        [early.as_str()]
    );
    assert_eq!(found(format!("created={start}")).await, [early.as_str()]);
}

#[tokio::test]
async fn events_are_found_by_type_time_and_cursor_for_thirty_days() {
    let bench = Bench::start().await;
    bench.control().freeze_clock(true);
    let start = bench.control().now();
    bench.made("/v1/customers", "name=a").await;
    bench.monthly_price().await;
    bench.control().advance(100);
    let customer = bench.made("/v1/customers", "name=b").await;
    bench
        .post(&format!("/v1/customers/{customer}"), "name=c")
        .await
        .ok();
    let bench = &bench;
    let found = |query: String| async move {
        bench.get(&format!("/v1/events?{query}")).await.ok()["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|event| (id(event), text(event, "type")))
            .collect::<Vec<_>>()
    };
    let types = |events: &[(String, String)]| -> Vec<String> {
        events.iter().map(|(_, kind)| kind.clone()).collect()
    };
    let created = found("type=customer.created".to_owned()).await;
    assert_eq!(types(&created), ["customer.created", "customer.created"]);
    let after = format!("type=customer.created&starting_after={}", created[0].0);
    assert_eq!(found(after).await, created[1..]);
    let before = format!("type=customer.created&ending_before={}", created[1].0);
    assert_eq!(found(before).await, created[..1]);
    let several = "types[]=customer.updated&types[]=price.created";
    assert_eq!(
        types(&found(several.to_owned()).await),
        ["customer.updated", "price.created"]
    );
    let late = format!("created[gte]={}", start + 100);
    assert_eq!(
        types(&found(late).await),
        ["customer.updated", "customer.created"]
    );
    let early = format!("type=customer.*&created[lt]={}", start + 100);
    assert_eq!(found(early).await, created[1..]);
    let both = bench.get("/v1/events?type=a.b&types[]=a.b").await;
    assert_eq!(both.status, 400);
    bench.control().advance(30 * 86_400);
    assert_eq!(found(String::new()).await, []);
    let gone = format!("/v1/events/{}", created[0].0);
    assert_eq!(bench.get(&gone).await.status, 404);
}

#[tokio::test]
async fn search_lags_behind_by_a_minute() {
    let bench = Bench::start().await;
    bench.control().freeze_clock(true);
    let customer = bench
        .made("/v1/customers", "metadata[uid]=u-1&email=a@x.io")
        .await;
    let search = "/v1/customers/search?query=metadata%5B%27uid%27%5D%3A%27u-1%27";
    assert_eq!(ids(&bench.get(search).await.ok()), Vec::<String>::new());
    assert_eq!(
        ids(&bench.get("/v1/customers?email=a@x.io").await.ok()),
        [customer.as_str()]
    );
    bench.control().advance(60);
    assert_eq!(ids(&bench.get(search).await.ok()), [customer.as_str()]);

    bench
        .post(&format!("/v1/customers/{customer}"), "metadata[uid]=")
        .await
        .ok();
    assert_eq!(
        ids(&bench.get(search).await.ok()),
        [customer.as_str()],
        "the old value is still seen"
    );
    bench.control().set_search_lag(0);
    assert_eq!(ids(&bench.get(search).await.ok()), Vec::<String>::new());
    assert_eq!(
        bench
            .get("/v1/customers/search?query=nonsense")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn search_has_pages() {
    let bench = Bench::start().await;
    bench.control().set_search_lag(0);
    for _ in 0..3 {
        bench.made("/v1/customers", "name=Same").await;
    }
    let path = "/v1/customers/search?limit=2&query=name%3A%27same%27";
    let first = bench.get(path).await.ok();
    assert_eq!((ids(&first).len(), &first["has_more"]), (2, &json!(true)));
    let page = first["next_page"].as_str().expect("a next page");
    let second = bench.get(&format!("{path}&page={page}")).await.ok();
    assert_eq!(
        (ids(&second).len(), &second["next_page"]),
        (1, &Value::Null)
    );
}

#[tokio::test]
async fn expand_replaces_ids_and_includes_what_is_only_there_when_asked_for() {
    let bench = Bench::start().await;
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let body = format!(
        "customer={customer}&items[0][price]={price}&expand[0]=latest_invoice.payments&expand[1]=customer"
    );
    let subscription = bench.post("/v1/subscriptions", &body).await.ok();
    assert_eq!(subscription["customer"]["email"], "ann@example.com");
    assert_eq!(
        subscription["latest_invoice"]["payments"]["data"][0]["status"],
        "paid"
    );
    assert_eq!(
        subscription["latest_invoice"]["parent"]["subscription_details"]["subscription"],
        subscription["id"]
    );

    let list = bench
        .get("/v1/subscriptions?expand[]=data.customer&expand[]=data.items.data.price.product")
        .await;
    assert_eq!(list.status, 400, "five levels are one too many");
    let list = bench
        .get("/v1/subscriptions?expand[]=data.customer")
        .await
        .ok();
    assert_eq!(list["data"][0]["customer"]["id"], customer.as_str());
    let one = bench
        .get(&format!(
            "/v1/subscriptions/{}?expand[]=items.data.price.product",
            id(&subscription)
        ))
        .await
        .ok();
    assert_eq!(
        one["items"]["data"][0]["price"]["product"]["name"],
        "Starter"
    );
    let customer = bench.get(&format!("/v1/customers/{customer}?expand[]=subscriptions&expand[]=invoice_settings.default_payment_method")).await.ok();
    assert_eq!(
        customer["subscriptions"]["data"][0]["id"],
        subscription["id"]
    );
    assert_eq!(
        customer["invoice_settings"]["default_payment_method"]["card"]["last4"],
        "4242"
    );
}

#[tokio::test]
async fn what_cannot_be_expanded_is_refused() {
    let bench = Bench::start().await;
    let customer = bench.made("/v1/customers", "").await;
    for path in ["email", "data.email", "metadata", "nothing"] {
        let refused = bench
            .get(&format!("/v1/customers/{customer}?expand[]={path}"))
            .await;
        assert_eq!(
            refused.error("message"),
            format!("This property cannot be expanded ({path}).")
        );
    }
    let list = bench.get("/v1/subscriptions?expand[]=customer").await;
    assert_eq!(
        list.status, 400,
        "fields of a list's elements are below `data`"
    );
}
