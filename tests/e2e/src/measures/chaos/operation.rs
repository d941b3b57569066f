//! What can be done to the world, as values: drawn, printed as Rust that can be pasted into `found`, and done again.

use glyph_stripe_sim::{AfterRetries, FaultKind, When};

/// A tier with a price; the default tier is what is there without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// $29 a month, no grace.
    Starter,
    /// $49 a month, three days of grace, then the limits of `starter`.
    Team,
    /// $99 a month, three days of grace, then 402.
    Professional,
}

impl Level {
    /// All, cheapest first.
    pub(super) const ALL: [Self; 3] = [Self::Starter, Self::Team, Self::Professional];

    /// Name of the Tier.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Starter => "starter",
            Self::Team => "team",
            Self::Professional => "professional",
        }
    }

    /// The one with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// Cents a month.
    pub(super) fn amount(self) -> i64 {
        match self {
            Self::Starter => 2900,
            Self::Team => 4900,
            Self::Professional => 9900,
        }
    }

    /// Days of grace, and what holds after them.
    pub(super) fn grace(self) -> Option<(u32, Option<Self>)> {
        match self {
            Self::Starter => None,
            Self::Team => Some((3, Some(Self::Starter))),
            Self::Professional => Some((3, None)),
        }
    }
}

/// A card, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Card {
    /// Pays, now and later.
    Pays,
    /// Is declined by the page.
    Declined,
    /// Can be stored, and is declined whenever it is charged.
    Fails,
}

impl Card {
    /// Stripe's test card that does it.
    pub(super) fn number(self) -> &'static str {
        match self {
            Self::Pays => "4242424242424242",
            Self::Declined => "4000000000000002",
            Self::Fails => "4000000000000341",
        }
    }
}

/// What a credit purchase is paid by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// A card that pays.
    Card,
    /// A card that the page declines.
    DeclinedCard,
    /// A bank account that pays, days later.
    Bank,
    /// A bank account that is refused, days later.
    FailingBank,
}

/// How much time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Hour,
    Day,
    /// Longer than any grace.
    Days5,
    /// Longer than any month.
    Month,
}

impl Span {
    /// In seconds, in the pieces in which it passes: in no piece more happens than the operator can be told of.
    pub(super) fn pieces(self) -> Vec<i64> {
        const DAY: i64 = 86_400;
        match self {
            Self::Hour => vec![3_700],
            Self::Day => vec![DAY],
            Self::Days5 => vec![DAY; 5],
            Self::Month => vec![4 * DAY; 8],
        }
    }
}

/// How Stripe fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// 500 before the effect.
    Error,
    /// 500 after the effect.
    ErrorAfter,
    /// 429.
    TooMany,
    /// The connection breaks before the effect.
    Reset,
    /// The connection breaks after the effect.
    ResetAfter,
    /// A page of HTML, nothing done.
    Html,
}

impl Failing {
    /// The simulator's fault.
    pub(super) fn kind(self) -> FaultKind {
        match self {
            Self::Error => FaultKind::ServerError { when: When::Before },
            Self::ErrorAfter => FaultKind::ServerError { when: When::After },
            Self::TooMany => FaultKind::RateLimit {
                should_retry: None,
                retry_after: None,
            },
            Self::Reset => FaultKind::Reset { when: When::Before },
            Self::ResetAfter => FaultKind::Reset { when: When::After },
            Self::Html => FaultKind::BadGateway { when: When::Before },
        }
    }
}

/// How webhooks are disturbed until all comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Webhooks {
    /// Never delivered.
    Dropped,
    /// Held until all comes to rest.
    Held,
    /// Held, and then delivered backwards.
    Reversed,
    /// Delivered twice.
    Doubled,
}

/// What a person changes in Stripe's dashboard or portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Another plan.
    Plan(Level),
    /// End with the period, or not.
    EndsWithPeriod(bool),
    /// End now.
    EndsNow,
    /// Collect no payments, or go on.
    PauseCollection(bool),
    /// Archive the price of a tier.
    ArchivePrice(Level),
    /// Archive the product of a tier.
    ArchiveProduct(Level),
    /// Take what the customer's metadata say of Glyph away.
    LoseMetadata,
    /// Another name and address of the customer.
    Rename,
    /// What becomes of a subscription after the last try to collect.
    AfterRetries(After),
}

/// The account's setting for the time after the last try to collect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Canceled,
    Unpaid,
    PastDue,
}

impl After {
    /// The simulator's word.
    pub(super) fn setting(self) -> AfterRetries {
        match self {
            Self::Canceled => AfterRetries::Canceled,
            Self::Unpaid => AfterRetries::Unpaid,
            Self::PastDue => AfterRetries::PastDue,
        }
    }
}

/// One operation. One that cannot be done when its turn comes is passed over, so that any sequence can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// A Subscription is created.
    Subscribe(Level),
    /// Another `spec.tier`.
    Choose(Level),
    /// `spec.cancelAtPeriodEnd`.
    End(bool),
    /// `spec.driftPolicy`: `Revert`, or `Accept`.
    Revert(bool),
    /// The Subscription is deleted.
    Unsubscribe,
    /// The open link of the subscription is paid.
    Pay(Card),
    /// The customer stores another card.
    ReplaceCard(Card),
    /// The customer pays the open invoice on its page.
    PayInvoice(Card),
    /// A CreditPurchase is created.
    Buy,
    /// The oldest open link of a purchase is paid.
    PayPack(Means),
    /// The bank speaks on the debit that is under way.
    BankSpeaks(bool),
    /// A part of the price of the n-th paid pack (of as many as there are) is given back, or all that is left.
    Refund(usize, Option<i64>),
    /// The n-th paid pack is disputed.
    Dispute(usize),
    /// An open dispute is decided: won, or lost.
    CloseDispute(bool),
    /// A CreditPurchase is deleted: the n-th.
    DropPurchase(usize),
    /// A person gives so many credits.
    Give(i64),
    /// Time passes.
    Pass(Span),
    /// The next requests to Stripe fail: so many.
    Outage(Failing, u32),
    /// Webhooks are disturbed.
    Disturb(Webhooks),
    /// SIGKILL, and a new operator at once.
    Kill,
    /// SIGKILL, and no operator until all comes to rest.
    Down,
    /// Waits until the operator has asked Stripe for one thing more.
    AwaitCall,
    /// A person changes something in Stripe.
    InStripe(Edit),
    /// Disturbances end, all comes to rest, and everything is looked at.
    Settle,
}

impl Operation {
    /// What it is counted as.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Subscribe(_) => "subscribe",
            Self::Choose(_) => "choose another tier",
            Self::End(_) => "cancelAtPeriodEnd",
            Self::Revert(_) => "driftPolicy",
            Self::Unsubscribe => "delete the Subscription",
            Self::Pay(_) => "pay the subscription's link",
            Self::ReplaceCard(_) => "replace the card",
            Self::PayInvoice(_) => "pay the open invoice",
            Self::Buy => "buy a pack",
            Self::PayPack(_) => "pay a pack's link",
            Self::BankSpeaks(_) => "the bank speaks",
            Self::Refund(..) => "refund",
            Self::Dispute(_) => "dispute",
            Self::CloseDispute(_) => "decide a dispute",
            Self::DropPurchase(_) => "delete a purchase",
            Self::Give(_) => "give credits",
            Self::Pass(_) => "time passes",
            Self::Outage(..) => "Stripe fails",
            Self::Disturb(_) => "webhooks disturbed",
            Self::Kill => "kill and start again",
            Self::Down => "kill",
            Self::AwaitCall => "await a call",
            Self::InStripe(_) => "edit in Stripe",
            Self::Settle => "rest",
        }
    }
}
