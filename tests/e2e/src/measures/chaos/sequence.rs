//! Drawing a sequence of operations from a seed, by proptest's strategies, so that most of it can be done: an outline
//! of the world, in which everything that is tried succeeds, says what makes sense next.

use anyhow::{Result, anyhow};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::operation::{After, Card, Edit, Failing, Level, Means, Operation, Span, Webhooks};

/// So many operations lie between one rest and the next.
const BETWEEN_RESTS: usize = 5;
/// How often an operation that makes no sense is drawn anew.
const MOST_DRAWS: usize = 200;

/// The `run`th sequence of `steps` operations, and the rests between them.
///
/// # Errors
/// When proptest refuses to draw.
pub(super) fn draw(seed: u64, run: usize, steps: usize) -> Result<Vec<Operation>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&u64::try_from(run)?.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = operation();
    let mut outline = Outline::default();
    let mut all = Vec::new();
    for step in 1..=steps {
        let mut drawn = Operation::AwaitCall;
        for _ in 0..MOST_DRAWS {
            let tree = strategy.new_tree(&mut runner);
            let one = tree.map_err(|error| anyhow!("{error}"))?.current();
            if outline.makes_sense(one) {
                drawn = one;
                break;
            }
        }
        outline.take(drawn);
        all.push(drawn);
        if step.is_multiple_of(BETWEEN_RESTS) || step == steps {
            outline.take(Operation::Settle);
            all.push(Operation::Settle);
        }
    }
    Ok(all)
}

fn operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        8 => wish(),
        6 => payment(),
        6 => credits(),
        3 => span().prop_map(Operation::Pass),
        4 => disturbance(),
        3 => edit().prop_map(Operation::InStripe),
    ]
    .boxed()
}

fn level() -> impl Strategy<Value = Level> {
    proptest::sample::select(&Level::ALL[..])
}

fn wish() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => level().prop_map(Operation::Subscribe),
        4 => level().prop_map(Operation::Choose),
        2 => any::<bool>().prop_map(Operation::End),
        1 => any::<bool>().prop_map(Operation::Revert),
        1 => Just(Operation::Unsubscribe),
    ]
}

fn payment() -> impl Strategy<Value = Operation> {
    let card = || {
        prop_oneof![
            8 => Just(Card::Pays),
            1 => Just(Card::Declined),
            1 => Just(Card::Fails),
        ]
    };
    let stored = prop_oneof![Just(Card::Pays), Just(Card::Fails)];
    prop_oneof![
        6 => card().prop_map(Operation::Pay),
        2 => stored.prop_map(Operation::ReplaceCard),
        2 => card().prop_map(Operation::PayInvoice),
    ]
}

fn credits() -> impl Strategy<Value = Operation> {
    use Means::{Bank, Card, DeclinedCard, FailingBank};
    let means = proptest::sample::select(vec![Card, Card, Card, DeclinedCard, Bank, FailingBank]);
    let part = prop_oneof![Just(None), (1..1900_i64).prop_map(Some)];
    prop_oneof![
        4 => Just(Operation::Buy),
        5 => means.prop_map(Operation::PayPack),
        2 => any::<bool>().prop_map(Operation::BankSpeaks),
        3 => (0..4_usize, part).prop_map(|(pack, part)| Operation::Refund(pack, part)),
        2 => (0..4_usize).prop_map(Operation::Dispute),
        2 => any::<bool>().prop_map(Operation::CloseDispute),
        1 => (0..4_usize).prop_map(Operation::DropPurchase),
        1 => (1..5000_i64).prop_map(Operation::Give),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    use Span::{Day, Days5, Hour, Month};
    proptest::sample::select(vec![Hour, Day, Days5, Month, Month])
}

fn disturbance() -> impl Strategy<Value = Operation> {
    use Failing::{Error, ErrorAfter, Html, Reset, ResetAfter, TooMany};
    let failing =
        proptest::sample::select(vec![Error, ErrorAfter, TooMany, Reset, ResetAfter, Html]);
    use Webhooks::{Doubled, Dropped, Held, Reversed};
    let webhooks = proptest::sample::select(vec![Dropped, Held, Reversed, Doubled]);
    prop_oneof![
        2 => (failing, 1..8_u32).prop_map(|(how, count)| Operation::Outage(how, count)),
        2 => webhooks.prop_map(Operation::Disturb),
        2 => Just(Operation::Kill),
        1 => Just(Operation::Down),
        2 => Just(Operation::AwaitCall),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    use After::{Canceled, PastDue, Unpaid};
    let after = proptest::sample::select(vec![Canceled, Unpaid, PastDue]);
    prop_oneof![
        4 => level().prop_map(Edit::Plan),
        3 => any::<bool>().prop_map(Edit::EndsWithPeriod),
        1 => Just(Edit::EndsNow),
        2 => any::<bool>().prop_map(Edit::PauseCollection),
        1 => level().prop_map(Edit::ArchivePrice),
        1 => level().prop_map(Edit::ArchiveProduct),
        1 => Just(Edit::LoseMetadata),
        1 => Just(Edit::Rename),
        2 => after.prop_map(Edit::AfterRetries),
    ]
}

/// The world in outline: everything that is tried succeeds.
#[derive(Default)]
struct Outline {
    /// The tier of the Subscription that is there.
    wish: Option<Level>,
    paid: bool,
    /// The stored card fails, and a renewal with it.
    fails: bool,
    overdue: bool,
    ends: bool,
    reverts: bool,
    purchases: usize,
    open: usize,
    ordered: usize,
    bought: usize,
    disputes: usize,
    disturbed: bool,
    down: bool,
}

impl Outline {
    fn makes_sense(&self, operation: Operation) -> bool {
        use Operation as O;
        let running = self.wish.is_some() && self.paid;
        match operation {
            O::Subscribe(_) => self.wish.is_none(),
            O::Choose(level) => self.wish.is_some_and(|chosen| chosen != level),
            O::End(ends) => running && ends != self.ends,
            O::Revert(reverts) => running && reverts != self.reverts,
            O::Unsubscribe => self.wish.is_some(),
            O::Pay(_) => self.wish.is_some() && !self.paid,
            O::ReplaceCard(card) => running && (card == Card::Fails) != self.fails,
            O::PayInvoice(_) => self.overdue,
            O::Buy => self.open < 2,
            O::PayPack(_) => self.open > 0,
            O::BankSpeaks(_) => self.ordered > 0,
            O::Refund(..) | O::Dispute(_) => self.bought > 0,
            O::CloseDispute(_) => self.disputes > 0,
            O::DropPurchase(_) => self.purchases > 0,
            O::Disturb(_) => !self.disturbed,
            O::Kill | O::Down => !self.down,
            O::InStripe(edit) => match edit {
                Edit::Plan(_)
                | Edit::EndsWithPeriod(_)
                | Edit::EndsNow
                | Edit::PauseCollection(_) => running,
                _ => true,
            },
            O::Give(_) | O::Pass(_) | O::Outage(..) | O::AwaitCall | O::Settle => true,
        }
    }

    fn take(&mut self, operation: Operation) {
        use Operation as O;
        match operation {
            O::Subscribe(level) => (self.wish, self.paid) = (Some(level), false),
            O::Choose(level) => self.wish = Some(level),
            O::End(ends) => self.ends = ends,
            O::Revert(reverts) => self.reverts = reverts,
            O::Unsubscribe | O::InStripe(Edit::EndsNow) => {
                let former = std::mem::take(self);
                *self = Self {
                    wish: None,
                    paid: false,
                    fails: false,
                    overdue: false,
                    ends: false,
                    reverts: false,
                    ..former
                };
            }
            O::Pay(Card::Pays) => (self.paid, self.fails) = (true, false),
            O::ReplaceCard(card) => self.fails = card == Card::Fails,
            O::PayInvoice(Card::Pays) => self.overdue = false,
            O::Pass(Span::Month) if self.ends => (self.wish, self.paid) = (None, false),
            O::Pass(Span::Month) => self.overdue = self.paid && self.fails,
            O::Buy => (self.purchases, self.open) = (self.purchases + 1, self.open + 1),
            O::PayPack(means) => {
                let (ordered, bought) = match means {
                    Means::Card => (0, 1),
                    Means::DeclinedCard => return,
                    Means::Bank | Means::FailingBank => (1, 0),
                };
                self.open -= 1;
                self.ordered += ordered;
                self.bought += bought;
            }
            O::BankSpeaks(paid) => {
                self.ordered -= 1;
                self.bought += usize::from(paid);
            }
            O::Dispute(_) => self.disputes += 1,
            O::CloseDispute(_) => self.disputes -= 1,
            O::Disturb(_) => self.disturbed = true,
            O::Down => self.down = true,
            O::Settle => (self.disturbed, self.down) = (false, false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_each_run_another() {
        let one = draw(7, 0, 30).expect("a sequence");
        assert_eq!(one, draw(7, 0, 30).expect("a sequence"));
        assert_ne!(one, draw(7, 1, 30).expect("a sequence"));
        let rests = one.iter().filter(|o| **o == Operation::Settle).count();
        assert_eq!((one.len(), rests), (36, 6));
        assert_eq!(one.last(), Some(&Operation::Settle));
    }

    #[test]
    fn every_operation_is_drawn_sooner_or_later() {
        let mut kinds = std::collections::BTreeSet::new();
        for run in 0..60 {
            let all = draw(1, run, 30).expect("a sequence");
            kinds.extend(all.into_iter().map(Operation::kind));
        }
        assert_eq!(kinds.len(), 24, "{kinds:?}");
    }
}
