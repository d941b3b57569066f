use serde_json::json;

use super::*;

fn read<W: Wire>(value: Value) -> W::Object {
    serde_json::from_value::<W>(value).unwrap().into()
}

fn subscription(change: impl FnOnce(&mut Value)) -> billing::StripeSubscription {
    let mut value = json!({
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "status": "active",
        "items": {"data": [{
            "id": "si_1",
            "price": {"id": "price_1", "unit_amount": 2900},
            "current_period_start": 1_795_400_000,
            "current_period_end": 1_798_000_000,
        }]},
        "cancel_at_period_end": true,
        "created": 1_795_400_000,
        "metadata": {},
    });
    change(&mut value);
    read::<Subscription>(value)
}

/// CASE 28, periods.
#[test]
fn the_period_is_read_from_the_item() {
    let period = subscription(|_| {}).period.unwrap();
    assert_eq!(
        (period.0.as_second(), period.1.as_second()),
        (1_795_400_000, 1_798_000_000)
    );
}

/// CASE 29, an enum value.
#[test]
fn a_state_of_tomorrow_is_no_state_and_no_error() {
    assert_eq!(
        subscription(|s| s["status"] = json!("hibernating")).state,
        None
    );
    let past_due = subscription(|s| s["status"] = json!("past_due")).state;
    assert_eq!(past_due, Some(SubscriptionState::PastDue));
}

#[test]
fn a_subscription_without_items_has_no_price_and_no_period() {
    let bare = subscription(|s| s["items"]["data"] = json!([]));
    assert_eq!((bare.price, bare.item, bare.period), (None, None, None));
}

#[test]
fn a_reference_may_be_an_id_or_the_whole_object() {
    let whole = subscription(|s| s["customer"] = json!({"id": "cus_2", "email": null}));
    assert_eq!(whole.customer, "cus_2");
}

#[test]
fn a_deleted_customer_has_no_more_than_its_id() {
    let gone = read::<Customer>(json!({"id": "cus_1", "object": "customer", "deleted": true}));
    assert!(gone.deleted);
    assert_eq!(gone.owner, None);
}

#[test]
fn a_price_by_the_day_or_every_three_months_is_none_of_ours() {
    let price = |recurring: Value| {
        read::<Price>(json!({
            "id": "price_1", "product": "prod_1", "lookup_key": null, "currency": "usd",
            "unit_amount": null, "recurring": recurring, "active": true,
        }))
    };
    assert_eq!(
        price(json!({"interval": "day", "interval_count": 1})).interval,
        None
    );
    assert_eq!(
        price(json!({"interval": "month", "interval_count": 3})).interval,
        None
    );
    let monthly = price(json!({"interval": "month", "interval_count": 1}));
    assert_eq!(
        (monthly.interval, monthly.amount),
        (Some(Interval::Month), None)
    );
}

#[test]
fn a_session_whose_state_we_do_not_know_cannot_be_paid() {
    let session = read::<Checkout>(json!({
        "id": "cs_1", "url": null, "status": "dreaming", "customer": null, "subscription": null,
        "expires_at": 1_795_400_000, "metadata": null,
    }));
    assert_eq!(session.state, CheckoutState::Expired);
}

#[test]
fn a_page_goes_on_after_its_last_object_or_where_a_search_says() {
    let page = |more: bool, next: Value| {
        let page = json!({"data": [{"id": "cus_1"}, {"id": "cus_2"}], "has_more": more, "next_page": next});
        serde_json::from_value::<Page<Customer>>(page)
            .unwrap()
            .cursor()
    };
    assert_eq!(page(true, Value::Null).as_deref(), Some("cus_2"));
    assert_eq!(page(true, json!("token")).as_deref(), Some("token"));
    assert_eq!(page(false, Value::Null), None);
}

#[test]
fn an_invoice_is_shown_while_it_can_be_paid() {
    let of = |invoice: Value| subscription(|s| s["latest_invoice"] = invoice).invoice_url;
    let page =
        |status: &str| json!({"id": "in_1", "status": status, "hosted_invoice_url": "https://pay"});
    assert_eq!(of(page("open")).as_deref(), Some("https://pay"));
    assert_eq!(
        (of(page("paid")), of(json!("in_1")), of(Value::Null)),
        (None, None, None)
    );
}

/// CASE 28.
#[test]
fn of_several_items_with_other_periods_the_tiers_own_is_read_first() {
    let tiers = json!({"glyph_kind": "Tier", "glyph_namespace": "shop", "glyph_name": "pro", "glyph_uid": "u"});
    let price = |id: &str, metadata: Value| {
        json!({
            "id": id, "product": "prod_1", "lookup_key": null, "currency": "usd", "unit_amount": 9900,
            "recurring": {"interval": "month", "interval_count": 1}, "active": true, "metadata": metadata,
        })
    };
    let both = subscription(|s| {
        let items = s["items"]["data"].as_array_mut().unwrap();
        items[0]["price"] = price("price_seats", json!({}));
        items.push(json!({
            "id": "si_2", "quantity": 2, "price": price("price_pro", tiers),
            "current_period_start": 1_795_400_000, "current_period_end": 1_826_936_000,
        }));
    });
    assert_eq!(both.item.as_deref(), Some("si_2"));
    assert_eq!(
        (both.price.as_deref(), both.quantity),
        (Some("price_pro"), 2)
    );
    let end = |period: Option<(Timestamp, Timestamp)>| period.unwrap().1.as_second();
    assert_eq!(end(both.period), 1_826_936_000);
    assert_eq!(end(both.others[0].period), 1_798_000_000);
    assert!(!both.is_single());
    assert!(subscription(|_| {}).is_single());
}

#[test]
fn a_pause_of_the_collection_and_the_latest_invoice_are_read() {
    let pause = json!({"behavior": "void", "resumes_at": 1_798_000_000});
    let paused = subscription(|s| s["pause_collection"] = pause);
    let pause = paused.pause.unwrap();
    assert_eq!(pause.behavior, "void");
    assert_eq!(pause.resumes_at.unwrap().as_second(), 1_798_000_000);
    let endless = json!({"behavior": "keep_as_draft", "resumes_at": null});
    let endless = subscription(|s| s["pause_collection"] = endless);
    assert_eq!(endless.pause.unwrap().resumes_at, None);
    assert_eq!(
        subscription(|s| s["pause_collection"] = Value::Null).pause,
        None
    );
    for invoice in [json!("in_1"), json!({"id": "in_1", "status": "paid"})] {
        let read = subscription(|s| s["latest_invoice"] = invoice).invoice;
        assert_eq!(read.as_deref(), Some("in_1"));
    }
}
