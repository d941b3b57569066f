//! The model: what was asked for, and who had the last word, stepped by the same operations as the world. Pure.
//!
//! Money and states are Stripe's to say; the model says what must follow from them (`docs/billing.md`).

use super::operation::{Card, Edit, Level, Operation, Span};
use super::seen::{Seen, billed, is_live, state_of, uid};
use glyph_crds::SubscriptionState;

/// The credits of a pack, and its price in cents.
pub(super) const PACK: (i64, i64) = (1000, 1900);

/// Who had the last word on something of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<T> {
    /// The spec.
    Spec,
    /// A person in Stripe, and it was accepted.
    Stripe(T),
    /// One of several, as it happened: a charge that could be declined, an edit that met another.
    Open,
}

/// A Subscription that is there.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) level: Level,
    pub(super) ends: bool,
    pub(super) reverts: bool,
    pub(super) plan: Word<Level>,
    pub(super) end: Word<bool>,
    /// The spec may not have been acted on since it was edited.
    unseen: bool,
    /// It was paid, and that may not have been seen.
    new: bool,
    /// At the last rest another tier was to come with the next period.
    pending: bool,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// The Subscriptions that are there, oldest first.
    pub(super) wishes: Vec<Wish>,
    /// The admin's grants, in credits.
    pub(super) given: Vec<i64>,
    /// The purchases that are there, by name.
    pub(super) purchases: Vec<String>,
    /// The purchases that were deleted, by name.
    pub(super) dropped: Vec<String>,
    /// The card that renewals are charged to, if it was replaced.
    card: Card,
    /// How many Subscriptions were ever made.
    pub(super) made: usize,
    /// When it last was known that nothing was overdue, in Unix seconds.
    pub(super) paid_at: i64,
    /// Since the last rest a price could not be used for a while.
    pub(super) archived: bool,
    /// Since the last rest an overdue invoice may have been paid.
    pub(super) may_have_recovered: bool,
    /// `graceUntil` at the last rest, in Unix seconds.
    pub(super) grace: Option<i64>,
}

impl Model {
    pub(super) fn new(now: i64) -> Self {
        Self {
            wishes: Vec::new(),
            given: Vec::new(),
            purchases: Vec::new(),
            dropped: Vec::new(),
            card: Card::Pays,
            made: 0,
            paid_at: now,
            archived: false,
            may_have_recovered: false,
            grace: None,
        }
    }

    /// The Subscription that is there, the newest of several.
    pub(super) fn wish(&self) -> Option<&Wish> {
        self.wishes.last()
    }

    /// Takes an operation that was done.
    pub(super) fn take(&mut self, operation: Operation) {
        use Operation as O;
        let card = self.card;
        match operation {
            O::Subscribe(level) => {
                self.made += 1;
                self.wishes
                    .push(Wish::new(format!("plan-{:02}", self.made), level));
            }
            O::Choose(level) => self.edit(|wish| wish.level = level),
            O::End(ends) => self.edit(|wish| wish.ends = ends),
            O::Revert(reverts) => self.edit(|wish| wish.reverts = reverts),
            O::Unsubscribe => drop(self.wishes.pop()),
            O::Pay(paid_by) => {
                self.card = paid_by;
                self.may_have_recovered = true;
                if let Some(wish) = self.wishes.last_mut() {
                    wish.new = true;
                }
            }
            O::ReplaceCard(stored) => {
                self.card = stored;
                self.may_have_recovered = true;
                if let Some(wish) = self.wishes.last_mut().filter(|wish| wish.unseen) {
                    wish.plan = Word::Open;
                }
            }
            O::PayInvoice(_) => self.may_have_recovered = true,
            O::Buy => {
                let number = self.purchases.len() + self.dropped.len() + 1;
                self.purchases.push(format!("pack-{number:02}"));
            }
            O::DropPurchase(number) => {
                let name = self.purchases.remove(number % self.purchases.len().max(1));
                self.dropped.push(name);
            }
            O::Give(credits) => self.given.push(credits),
            O::Pass(span) => self.pass(span),
            O::InStripe(edit) => {
                self.archived |= matches!(edit, Edit::ArchivePrice(_) | Edit::ArchiveProduct(_));
                if let Some(wish) = self.wishes.last_mut() {
                    wish.edited_in_stripe(edit, card);
                }
            }
            _ => {}
        }
    }

    /// The spec of the Subscription that is there is edited, and has the word.
    fn edit(&mut self, change: impl FnOnce(&mut Wish)) {
        let pays = self.card == Card::Pays && !self.archived;
        if let Some(wish) = self.wishes.last_mut() {
            change(wish);
            wish.unseen = true;
            wish.plan = if pays { Word::Spec } else { Word::Open };
            wish.end = Word::Spec;
        }
    }

    fn pass(&mut self, span: Span) {
        self.may_have_recovered = true;
        if let Some(wish) = self.wishes.last_mut()
            && span == Span::Month
            && (wish.pending || wish.unseen)
        {
            wish.plan = match wish.plan {
                Word::Stripe(_) | Word::Open => Word::Open,
                Word::Spec => Word::Spec,
            };
        }
    }

    /// All came to rest as `seen`.
    pub(super) fn rested(&mut self, seen: &Seen) {
        let overdue = |one: &serde_json::Value| state_of(one) == Some(SubscriptionState::PastDue);
        let live: Vec<_> = seen
            .stripe
            .subscriptions
            .iter()
            .filter(|one| is_live(one))
            .collect();
        if !live.iter().any(|one| overdue(one)) {
            self.paid_at = seen.now.as_second();
        }
        (self.may_have_recovered, self.archived) = (false, false);
        self.grace = None;
        for wish in &mut self.wishes {
            let resource = seen
                .subscriptions
                .iter()
                .find(|one| one.metadata.name.as_ref() == Some(&wish.name));
            let Some(resource) = resource else { continue };
            let status = resource.status.as_ref();
            let acted =
                status.is_some_and(|s| s.observed_generation == resource.metadata.generation);
            (wish.unseen, wish.new) = (!acted, false);
            let grace = status.and_then(|s| s.grace_until.as_ref());
            self.grace = self.grace.or(grace.map(|until| until.0.as_second()));
            let running = seen
                .subscription_of(uid(resource))
                .filter(|one| is_live(one));
            wish.pending = running.is_some_and(|one| seen.pending(one).is_some());
            if let (Word::Open, Some(running)) = (wish.plan, running) {
                wish.plan = match billed(running) {
                    Some(level) if acted && !wish.reverts => Word::Stripe(level),
                    _ => Word::Open,
                };
            }
            if let (Word::Open, Some(running)) = (wish.end, running) {
                wish.end = match running["cancel_at_period_end"].as_bool() {
                    Some(ends) if acted && !wish.reverts => Word::Stripe(ends),
                    _ => Word::Open,
                };
            }
        }
    }
}

impl Wish {
    fn new(name: String, level: Level) -> Self {
        Self {
            name,
            level,
            ends: false,
            reverts: false,
            plan: Word::Spec,
            end: Word::Spec,
            unseen: true,
            new: false,
            pending: false,
        }
    }

    /// A person has edited it in Stripe, while `card` was stored.
    fn edited_in_stripe(&mut self, edit: Edit, card: Card) {
        match edit {
            Edit::Plan(_) if self.unseen || self.new || self.pending => self.plan = Word::Open,
            Edit::Plan(_) if self.reverts && card != Card::Pays => self.plan = Word::Open,
            Edit::Plan(_) if self.reverts => self.plan = Word::Spec,
            Edit::Plan(level) => self.plan = Word::Stripe(level),
            Edit::ArchivePrice(_) | Edit::ArchiveProduct(_) if self.unseen => {
                self.plan = Word::Open;
            }
            Edit::EndsWithPeriod(_) if self.unseen => self.end = Word::Open,
            Edit::EndsWithPeriod(_) if self.reverts || self.new && self.ends => {
                self.end = Word::Spec;
            }
            Edit::EndsWithPeriod(ends) => self.end = Word::Stripe(ends),
            _ => {}
        }
    }
}
