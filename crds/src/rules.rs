//! The checks that the API server makes at `kubectl apply`, where several fields or kinds share one: a CEL
//! rule and the sentence a person reads when it refuses. Rules of a single field stand with the field.
//!
//! A sentence says what to change. Where the plain schema would refuse in its own words (pattern, range,
//! date-time), the check is a rule instead; every string and list a rule reads has a maximal length, which
//! the API server needs to bound the rule's cost.

use kube::core::{Message, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};

/// Longest name that fits a label value, which is where names of resources travel.
pub(crate) const LABEL_LENGTH: u32 = 63;
/// Longest display name: what Stripe takes as a product's or customer's name, with room to spare.
pub(crate) const DISPLAY_NAME_LENGTH: u32 = 250;

/// Longest description of a product: far less than Stripe takes, and what a checkout page can show.
pub(crate) const DESCRIPTION_LENGTH: u32 = 1000;

/// A rule and its sentence.
pub(crate) fn rule(expression: &str, sentence: impl Into<String>) -> Rule {
    Rule::new(expression).message(Message::Message(sentence.into()))
}

/// The resource's own name is short enough for a label. For the root of a kind.
pub(crate) fn name_fits_a_label() -> Rule {
    let expression = format!("self.metadata.name.size() <= {LABEL_LENGTH}");
    let sentence = format!(
        "metadata.name must have at most {LABEL_LENGTH} characters, because labels carry it"
    );
    rule(&expression, sentence)
}

/// `field` names a Kubernetes resource. Its length is bounded by the schema.
pub(crate) fn resource_name(field: &str) -> Rule {
    let sentence = format!(
        "{field} must be a resource name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
    );
    rule(
        "!format.dns1123Subdomain().validate(self).hasValue()",
        sentence,
    )
}

/// `field` has something to read in it; `hint` says what.
pub(crate) fn not_blank(field: &str, hint: &str) -> Rule {
    rule(
        "self.trim() != ''",
        format!("{field} must not be empty; {hint}"),
    )
}

/// A price's currency.
pub(crate) fn currency() -> Rule {
    rule(
        "self.matches('^[a-z]{3}$')",
        "currency must be three lower-case letters (ISO 4217), such as usd",
    )
}

/// A price's amount.
pub(crate) fn amount() -> Rule {
    between(
        "amount",
        1,
        99_999_999,
        ", in the currency's minor unit: 2900 is 29.00 usd",
    )
}

/// The most credits that one pack or grant can hold.
pub const MOST_CREDITS: i64 = 1_000_000_000_000;

/// A number of credits.
pub(crate) fn credits() -> Rule {
    between("credits", 1, MOST_CREDITS, "")
}

/// The integer `field` is from `min` to `max`; `note` ends the sentence.
pub(crate) fn between(field: &str, min: i64, max: i64, note: &str) -> Rule {
    let expression = format!("self >= {min} && self <= {max}");
    rule(
        &expression,
        format!("{field} must be from {min} to {max}{note}"),
    )
}

/// `field` stays what it was when the resource was made; `instead` says what to do.
pub(crate) fn immutable(field: &str, instead: &str) -> Rule {
    rule(
        "self == oldSelf",
        format!("{field} cannot be changed; {instead}"),
    )
}

/// The duration `field` is from `min` to 30 days, in the part of Go's notation that no reader takes amiss.
pub(crate) fn duration_from(field: &str, min: &str) -> Rule {
    // The lengths keep `duration()` from overflowing, which would end in an error and not in the sentence.
    let expression = format!(
        "self != '' && self.matches('^([0-9]{{1,5}}h)?([0-9]{{1,6}}m)?([0-9]{{1,8}}s)?$') \
         && duration(self) >= duration('{min}') && duration(self) <= duration('720h')"
    );
    rule(
        &expression,
        format!(
            "{field} must be from {min} to 720h (30 days), in hours, minutes and seconds such as 24h, 15m or 1h30m"
        ),
    )
}

/// `field` is a time that every reader understands. The schema's own `date-time` lets through times
/// without a zone, which are no instants.
pub(crate) fn timestamp(field: &str) -> Rule {
    rule(
        r"self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$') && !format.datetime().validate(self).hasValue()",
        format!("{field} must be an RFC 3339 time with its zone, such as 2027-01-31T00:00:00Z"),
    )
}

/// Schema of a time that [`timestamp`] checks.
pub(crate) fn timestamp_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 40 })
}
