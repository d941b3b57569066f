//! Each check finds what it is for.

use serde_json::json;

use super::super::model::{Model, Word};
use super::super::operation::{Card, Edit, Level, Operation};
use super::*;

fn session(id: &str, owner: &str, payment_status: &str) -> Value {
    json!({"id": id, "mode": "payment", "status": "open", "payment_status": payment_status, "metadata": {"glyph_uid": owner}})
}

fn grant(name: &str, session: &str) -> glyph_crds::CreditGrant {
    let spec = json!({
        "customerRef": {"name": "ada"}, "credits": 1000, "source": {"type": "CheckoutSession", "id": session},
    });
    glyph_crds::CreditGrant::new(name, serde_json::from_value(spec).expect("a spec"))
}

#[test]
fn two_that_live_two_customers_and_two_links_are_never_right() {
    let live = json!({"id": "sub_1", "status": "past_due"});
    let ended = json!({"id": "sub_2", "status": "canceled"});
    let mut seen = Seen::default();
    seen.stripe.subscriptions = vec![live.clone(), ended];
    seen.stripe.customers = vec![json!({"id": "cus_1"})];
    seen.stripe.sessions = vec![
        session("cs_1", "a", "unpaid"),
        session("cs_2", "b", "unpaid"),
    ];
    assert_eq!(never(&seen), Vec::<String>::new());
    seen.stripe.subscriptions.push(live);
    seen.stripe.customers.push(json!({"id": "cus_2"}));
    seen.stripe.sessions.push(session("cs_3", "a", "unpaid"));
    assert_eq!(never(&seen).len(), 3);
}

#[test]
fn credits_without_money_and_credits_twice_are_never_right() {
    let mut seen = Seen::default();
    let mut paid = session("cs_1", "a", "paid");
    paid["status"] = json!("complete");
    seen.stripe.sessions = vec![paid];
    seen.grants = vec![grant("one", "cs_1")];
    assert_eq!(never(&seen), Vec::<String>::new());
    seen.grants.push(grant("two", "cs_1"));
    seen.grants.push(grant("three", "cs_2"));
    assert_eq!(never(&seen).len(), 2, "one twice, one without money");
}

#[test]
fn the_last_word_is_the_specs_unless_a_person_changed_it_in_stripe_afterwards() {
    let mut model = Model::new(0);
    let plan = |model: &Model| model.wish().map(|wish| wish.plan);
    model.take(Operation::Subscribe(Level::Team));
    assert_eq!(plan(&model), Some(Word::Spec));
    model.take(Operation::InStripe(Edit::Plan(Level::Starter)));
    assert_eq!(
        plan(&model),
        Some(Word::Open),
        "the spec may not be acted on yet"
    );
    model.take(Operation::Choose(Level::Professional));
    assert_eq!(plan(&model), Some(Word::Spec));
    model.take(Operation::ReplaceCard(Card::Fails));
    model.take(Operation::Choose(Level::Starter));
    assert_eq!(plan(&model), Some(Word::Open), "it may be refused");
}
