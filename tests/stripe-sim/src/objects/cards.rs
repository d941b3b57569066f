//! Test cards and what each does when it is charged: <https://docs.stripe.com/testing>.

use crate::error::ApiError;

/// What a charge comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The money is there.
    Approved,
    /// The bank says no.
    Declined(ApiError),
    /// The person has to confirm first (3-D Secure).
    NeedsConfirmation,
}

/// What a card does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Pays,
    Declines {
        code: &'static str,
        decline_code: Option<&'static str>,
        message: &'static str,
    },
    /// Can be attached, but every charge of it is declined.
    DeclinesOnceAttached,
    ConfirmsAlways,
    /// Asks while the person is there, and pays later without them.
    ConfirmsOnSession,
}

/// A test card: number, brand, the id and token that stand for it, and what it does.
#[derive(Debug)]
pub(crate) struct TestCard {
    pub(crate) number: &'static str,
    pub(crate) brand: &'static str,
    name: &'static str,
    behaviour: Behaviour,
}

impl TestCard {
    /// By which a stored card is known again.
    pub(crate) fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }
}

const GENERIC: Behaviour = Behaviour::Declines {
    code: "card_declined",
    decline_code: Some("generic_decline"),
    message: "Your card was declined.",
};

const CARDS: &[TestCard] = &[
    TestCard {
        number: "4242424242424242",
        brand: "visa",
        name: "visa",
        behaviour: Behaviour::Pays,
    },
    TestCard {
        number: "5555555555554444",
        brand: "mastercard",
        name: "mastercard",
        behaviour: Behaviour::Pays,
    },
    TestCard {
        number: "4000000000000002",
        brand: "visa",
        name: "visa_chargeDeclined",
        behaviour: GENERIC,
    },
    TestCard {
        number: "4000000000009995",
        brand: "visa",
        name: "visa_chargeDeclinedInsufficientFunds",
        behaviour: Behaviour::Declines {
            code: "card_declined",
            decline_code: Some("insufficient_funds"),
            message: "Your card has insufficient funds.",
        },
    },
    TestCard {
        number: "4000000000000069",
        brand: "visa",
        name: "chargeDeclinedExpiredCard",
        behaviour: Behaviour::Declines {
            code: "expired_card",
            decline_code: None,
            message: "Your card has expired.",
        },
    },
    TestCard {
        number: "4000000000000341",
        brand: "visa",
        name: "chargeCustomerFail",
        behaviour: Behaviour::DeclinesOnceAttached,
    },
    TestCard {
        number: "4000002760003184",
        brand: "visa",
        name: "authenticationRequired",
        behaviour: Behaviour::ConfirmsAlways,
    },
    TestCard {
        number: "4000002500003155",
        brand: "visa",
        name: "authenticationRequiredOnSetup",
        behaviour: Behaviour::ConfirmsOnSession,
    },
];

fn generic_decline() -> ApiError {
    ApiError::card(
        "card_declined",
        Some("generic_decline"),
        "Your card was declined.",
    )
}

/// The test card with a number, typed with or without spaces.
pub(crate) fn by_number(number: &str) -> Option<&'static TestCard> {
    let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    CARDS.iter().find(|card| card.number == digits)
}

/// The test card that `pm_card_…` or `tok_…` stands for.
pub(crate) fn by_name(id: &str) -> Option<&'static TestCard> {
    let name = id
        .strip_prefix("pm_card_")
        .or_else(|| id.strip_prefix("tok_"))?;
    CARDS.iter().find(|card| card.name == name)
}

/// What a charge of the card with these last four digits comes to. `confirmed`: the person has just confirmed it;
/// `off_session`: nobody is there to ask.
pub(crate) fn verdict(last4: &str, off_session: bool, confirmed: bool) -> Verdict {
    let behaviour = CARDS
        .iter()
        .find(|card| card.last4() == last4)
        .map_or(Behaviour::Pays, |card| card.behaviour);
    match behaviour {
        Behaviour::Pays => Verdict::Approved,
        Behaviour::Declines {
            code,
            decline_code,
            message,
        } => Verdict::Declined(ApiError::card(code, decline_code, message)),
        Behaviour::DeclinesOnceAttached => Verdict::Declined(generic_decline()),
        Behaviour::ConfirmsOnSession if off_session => Verdict::Approved,
        Behaviour::ConfirmsAlways if off_session => Verdict::Declined(ApiError::card(
            "authentication_required",
            Some("authentication_required"),
            "Your card was declined. This transaction requires authentication.",
        )),
        Behaviour::ConfirmsAlways | Behaviour::ConfirmsOnSession if confirmed => Verdict::Approved,
        Behaviour::ConfirmsAlways | Behaviour::ConfirmsOnSession => Verdict::NeedsConfirmation,
    }
}

/// Whether attaching the card to a customer is refused, as it is for cards that decline at once.
pub(crate) fn refused_on_attach(last4: &str) -> Option<ApiError> {
    let card = CARDS.iter().find(|card| card.last4() == last4)?;
    match card.behaviour {
        Behaviour::Declines {
            code,
            decline_code,
            message,
        } => Some(ApiError::card(code, decline_code, message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_cards_of_the_plan_do_what_stripe_says() {
        let last4 = |number| by_number(number).map(TestCard::last4).unwrap_or_default();
        assert_eq!(
            verdict(last4("4242 4242 4242 4242"), false, false),
            Verdict::Approved
        );
        assert!(matches!(
            verdict(last4("4000 0000 0000 0002"), false, false),
            Verdict::Declined(_)
        ));
        assert_eq!(
            verdict(last4("4000 0027 6000 3184"), false, false),
            Verdict::NeedsConfirmation
        );
        assert_eq!(
            verdict(last4("4000 0027 6000 3184"), false, true),
            Verdict::Approved
        );
        assert!(matches!(
            verdict(last4("4000 0027 6000 3184"), true, false),
            Verdict::Declined(_)
        ));
        assert!(by_number("1234").is_none());
    }
}
