use glyph_usage::{Credits, Decision, Outcome};
use serde_json::json;

use super::*;
use crate::fixtures::{KEY, World, customer, glyph_api, metered, now, peppers, request};
use crate::index::Kind;
use crate::request::RequestView;
use crate::verdict::Denial;
use crate::{Authorized, Counted, authorize};

/// `POST /dear` pays on success, `GET /health` is public.
fn world() -> World {
    let mut world = World::usual();
    let endpoints = json!([
        {"name": "dear", "path": "/dear", "cost": 5, "chargeOn": "Success"},
        {"name": "cheap", "path": "/cheap"},
        {"name": "free", "path": "/free", "cost": 0, "chargeOn": "Success"},
        {"name": "health", "path": "/health", "auth": "None"},
    ]);
    world.apply(Kind::Api, glyph_api("api", json!({"endpoints": endpoints})));
    world
}

fn asking(path: &'static str) -> RequestView<'static> {
    RequestView {
        path: path.as_bytes(),
        method: "GET",
        ..request()
    }
}

/// The verdict on a request, of whose cost `taken` comes from a grant, if it is admitted.
fn verdict(world: &World, path: &'static str, decision: Decision, taken: u64) -> Verdict {
    let drawn = Drawn {
        grant: "grant-1".into(),
        credits: taken,
    };
    let outcome = Outcome {
        decision,
        used: 1,
        remaining: None,
        rate: None,
        credits: Some(Credits { taken, left: 0 }),
        drawn: if taken > 0 { vec![drawn] } else { Vec::new() },
    };
    metered(&asking(path), world.basis())?.settle(Counted::Judged(outcome))
}

fn sealed_now(verdict: &Verdict) -> String {
    sealed(verdict, &peppers(), now(), || "charge1".to_owned())
}

fn reopened(verdict: &Verdict) -> Receipt {
    opened(&sealed_now(verdict), &peppers()).expect("our own receipt")
}

fn ada() -> Option<(String, String)> {
    Some(("uid-ada".to_owned(), "id-laptop".to_owned()))
}

#[test]
fn what_was_taken_comes_back_as_it_was_where_the_endpoint_pays_on_success() {
    let world = world();
    let passed = verdict(&world, "/dear", Decision::Admitted, 2);
    let receipt = reopened(&passed);
    assert_eq!((receipt.refused, receipt.whose), (false, ada()));
    assert_eq!(receipt.endpoint, "dear");
    let charge = receipt.charge.unwrap();
    let spend = metered(&asking("/dear"), world.basis()).unwrap();
    assert_eq!(charge.period, spend.spend().period);
    assert_eq!(
        (&*charge.customer, charge.id.as_str()),
        ("uid-ada", "charge1")
    );
    assert_eq!((charge.at, charge.calls), (now().as_second(), 3));
    let drawn = Drawn {
        grant: "grant-1".into(),
        credits: 2,
    };
    assert_eq!(charge.credits, [drawn]);
    let uncredited = verdict(&world, "/dear", Decision::Admitted, 0);
    let charge = reopened(&uncredited).charge.unwrap();
    assert_eq!((charge.calls, charge.credits.len()), (5, 0));
}

#[test]
fn nothing_is_given_back_of_what_took_nothing_or_pays_always() {
    let world = world();
    for (path, decision) in [
        ("/cheap", Decision::Admitted),
        ("/elsewhere", Decision::Admitted),
        ("/free", Decision::Admitted),
        ("/dear", Decision::QuotaExceeded),
    ] {
        let receipt = reopened(&verdict(&world, path, decision, 0));
        assert_eq!(receipt.charge, None, "{path}");
        assert_eq!(receipt.refused, decision != Decision::Admitted);
        assert_eq!(receipt.whose, ada());
    }
    let away = metered(&asking("/dear"), world.basis()).unwrap();
    let uncounted = away.settle(Counted::AwayAdmitted);
    assert_eq!(reopened(&uncounted).charge, None, "it was never counted");
}

#[test]
fn a_refusal_says_whose_it_is_once_that_is_known() {
    let mut world = world();
    let stranger: Verdict = Err(Denial::unavailable("a test"));
    let receipt = reopened(&stranger);
    assert_eq!((receipt.refused, receipt.whose), (true, None));
    assert_eq!(receipt.endpoint, UNMATCHED);
    let suspended = json!({"spec": {"suspended": true}});
    world.apply(Kind::Customer, customer("ada", suspended));
    let denial = metered(&asking("/cheap"), world.basis()).map(|_| ());
    let denied: Verdict = Err(denial.unwrap_err());
    let receipt = reopened(&denied);
    assert_eq!((receipt.whose, receipt.endpoint.as_str()), (ada(), "cheap"));
    assert_eq!(counted(&denied).unwrap().0.uid(), "uid-ada");
    assert!(counted(&stranger).is_none());
}

#[test]
fn a_request_of_nobodys_has_an_endpoint_all_the_same() {
    let world = world();
    let Authorized::Open(permit) = authorize(&asking("/health"), world.basis()).unwrap() else {
        panic!("it is public")
    };
    let receipt = reopened(&Ok(*permit));
    assert_eq!((receipt.whose, receipt.endpoint.as_str()), (None, "health"));
}

#[test]
fn a_receipt_that_was_changed_or_sealed_by_nobody_we_know_is_none() {
    let text = sealed_now(&verdict(&world(), "/dear", Decision::Admitted, 2));
    assert!(opened(&text, &peppers()).is_some());
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(opened(&changed, &peppers()), None, "{changed}");
    }
    let other = Peppers::parse("2:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=").unwrap();
    assert_eq!(opened(&text, &other), None);
    let (said, _) = text.rsplit_once(' ').unwrap();
    for forged in ["", " ", said, &said.replace("dear", "cheap")] {
        assert_eq!(opened(forged, &peppers()), None);
    }
    // The hash of a key is public: it stands in the key's status.
    let hash = peppers().newest().hash(KEY);
    assert_eq!(opened(&format!("{KEY} {hash}"), &peppers()), None);
}

#[test]
fn a_receipt_outlives_the_pepper_it_was_sealed_with_while_that_is_known() {
    let text = sealed_now(&verdict(&world(), "/dear", Decision::Admitted, 0));
    let both = "1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,2:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=";
    let rotated = Peppers::parse(both).unwrap();
    assert!(opened(&text, &rotated).is_some());
}
