//! How many resources there are, and which of them are not as they should be, by kind and reason: as their conditions say.

use std::collections::BTreeMap;
use std::fmt;

use glyph_crds::common::condition::{STALLED, SYNCED};
use glyph_crds::{
    ApiKey, CreditGrant, CreditPack, CreditPurchase, GlyphApi, GlyphCustomer, Subscription, Tier,
};
use glyph_operator_core::status::Status;

use super::business::Writer;
use crate::watches::{Stores, Watched};
use crate::writer::Reported;

/// What is counted.
#[derive(Default)]
struct Counts {
    all: BTreeMap<String, u64>,
    stalled: BTreeMap<String, u64>,
    unsynced: BTreeMap<(String, String), u64>,
    malformed: BTreeMap<String, u64>,
}

impl Counts {
    fn add<K: Reported + Watched>(&mut self, stores: &Stores) {
        let kind = K::kind(&()).into_owned();
        let [all, stalled, malformed] = [&mut self.all, &mut self.stalled, &mut self.malformed]
            .map(|counts| counts.entry(kind.clone()).or_default());
        for object in K::store(stores).state() {
            *all += 1;
            let Ok(object) = &object.0 else {
                *malformed += 1;
                continue;
            };
            let conditions = object.status().map(Status::conditions).unwrap_or_default();
            let is = |condition: &str, wanted: &str| {
                let found = conditions.iter().find(|one| one.type_ == condition);
                found.filter(|one| one.status == wanted)
            };
            *stalled += u64::from(is(STALLED, "True").is_some());
            if let Some(synced) = is(SYNCED, "False") {
                let place = (kind.clone(), synced.reason.clone());
                *self.unsynced.entry(place).or_default() += 1;
            }
        }
    }
}

/// Writes them.
pub(super) fn write(writer: &mut Writer<'_>, stores: &[Stores]) -> fmt::Result {
    let mut counts = Counts::default();
    for stores in stores {
        counts.add::<Tier>(stores);
        counts.add::<CreditPack>(stores);
        counts.add::<GlyphCustomer>(stores);
        counts.add::<Subscription>(stores);
        counts.add::<ApiKey>(stores);
        counts.add::<CreditPurchase>(stores);
        counts.add::<CreditGrant>(stores);
        counts.add::<GlyphApi>(stores);
    }
    let Counts {
        all,
        stalled,
        unsynced,
        malformed,
    } = &counts;
    for (name, help, counts) in [
        ("resources", "Resources there are, by kind", all),
        (
            "stalled_resources",
            "Resources that wait for a person, by kind",
            stalled,
        ),
        (
            "malformed_resources",
            "Resources that cannot be read, by kind",
            malformed,
        ),
    ] {
        let by_kind = counts
            .iter()
            .map(|(kind, count)| ([("kind", kind.as_str())], *count));
        writer.gauges(name, help, by_kind)?;
    }
    let by_reason = unsynced.iter().map(|((kind, reason), count)| {
        (
            [("kind", kind.as_str()), ("reason", reason.as_str())],
            *count,
        )
    });
    let help = "Resources that Stripe or Cognito does not hold as their spec asks, by kind and the reason of Synced";
    writer.gauges("unsynced_resources", help, by_reason)
}
