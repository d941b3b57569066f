use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn conditions(findings: Findings, old: &[Condition], now: &str) -> Vec<Condition> {
    findings.into_conditions(old, Some(1), at(now))
}

fn of<'a>(conditions: &'a [Condition], type_: &str) -> &'a Condition {
    conditions.iter().find(|c| c.type_ == type_).unwrap()
}

const EARLY: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2026-01-02T00:00:00Z";

#[test]
fn all_four_conditions_are_always_there() {
    let blockers = [
        Blocker::wait("W", "w"),
        Blocker::customer("C", "c"),
        Blocker::person("P", "p"),
        Blocker::drift("D", "d"),
    ];
    let mut all: Vec<_> = blockers.iter().map(Findings::blocked).collect();
    all.push(Findings::ready("R", "r"));
    all.push(Findings::failed(&[], &FailureClass::Transient, "x"));
    for findings in all {
        let types: Vec<_> = conditions(findings, &[], EARLY)
            .into_iter()
            .map(|c| c.type_)
            .collect();
        assert_eq!(types, [READY, SYNCED, STALLED, DRIFTED]);
    }
}

#[test]
fn the_transition_time_stays_until_a_status_flips() {
    let first = conditions(Findings::ready("A", "a"), &[], EARLY);
    let same = conditions(Findings::ready("B", "b"), &first, LATE);
    assert_eq!(of(&same, READY).last_transition_time.0, at(EARLY));
    assert_eq!(of(&same, READY).reason, "B");
    let flipped = conditions(Findings::blocked(&Blocker::person("P", "p")), &same, LATE);
    assert_eq!(of(&flipped, READY).last_transition_time.0, at(LATE));
    assert_eq!(of(&flipped, DRIFTED).last_transition_time.0, at(EARLY));
}

#[test]
fn a_failed_call_leaves_ready_as_it_was_and_says_what_is_wrong() {
    let well = conditions(Findings::ready("Active", "paid"), &[], EARLY);
    let away = conditions(
        Findings::failed(&well, &FailureClass::Transient, "reset"),
        &well,
        LATE,
    );
    assert_eq!(of(&away, READY).status, "True");
    assert_eq!(
        (
            of(&away, SYNCED).status.as_str(),
            of(&away, SYNCED).reason.as_str()
        ),
        ("False", "Unavailable")
    );
    assert_eq!(of(&away, STALLED).status, "False");
    let class = FailureClass::Credential("STRIPE_SECRET_KEY");
    let missing = conditions(Findings::failed(&[], &class, "it is not set"), &[], LATE);
    assert_eq!(of(&missing, STALLED).status, "True");
    assert!(of(&missing, READY).message.contains("STRIPE_SECRET_KEY"));
}

#[test]
fn a_long_outage_is_one_status_whatever_the_network_says() {
    let class = FailureClass::Transient;
    let first = conditions(
        Findings::failed(&[], &class, "connection refused"),
        &[],
        EARLY,
    );
    let second = conditions(Findings::failed(&first, &class, "timed out"), &first, LATE);
    assert_eq!(first, second);
}

#[test]
fn news_is_told_once() {
    let waits = Findings::blocked(&Blocker::customer("AwaitingPayment", "pay at x"));
    let waiting = conditions(waits.clone(), &[], EARLY);
    let told = notes(&[], &waiting);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].reason.as_str(), told[0].warning),
        ("AwaitingPayment", false)
    );
    assert_eq!(notes(&waiting, &conditions(waits, &waiting, LATE)), []);
    let paid = conditions(Findings::ready("Active", "paid"), &waiting, LATE);
    assert_eq!(notes(&waiting, &paid)[0].reason, "Active");
}

#[test]
fn what_needs_a_person_is_a_warning() {
    let stuck = conditions(
        Findings::blocked(&Blocker::person("Conflict", "change it")),
        &[],
        EARLY,
    );
    let told = notes(&[], &stuck);
    assert_eq!((told.len(), told[0].warning), (1, true));
    let well = conditions(Findings::ready("Active", "paid"), &[], EARLY);
    let refused = Findings::failed(&well, &FailureClass::Credential("STRIPE_SECRET_KEY"), "x");
    let told = notes(&well, &conditions(refused, &well, LATE));
    assert_eq!(
        (told[0].reason.as_str(), told[0].warning),
        (reason::CREDENTIAL_MISSING, true)
    );
}

#[test]
fn a_message_longer_than_the_schema_takes_is_cut_between_characters() {
    let message = "ü".repeat(2000);
    let cut = conditions(Findings::ready("A", message), &[], EARLY);
    assert_eq!(cut[0].message.len(), LONGEST_MESSAGE);
}
