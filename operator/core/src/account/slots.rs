//! The limit on a customer's API keys, by names: a key lives in one of so many slots, and a slot's next name is free only
//! when its last key was revoked, which is for good. Two who want the same slot want the same name, and Kubernetes lets
//! one have it; so the limit holds without a lock, however old what each of them saw.

use super::names::base;

/// A key of the customer.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it was revoked, which is for good. One that has expired was not: it could be prolonged.
    pub revoked: bool,
}

/// The name of a new key of `customer`, who may have `limit`; none when all are taken. Keys that were not made in a slot
/// take one up as well while they live.
#[must_use]
pub fn next_name(customer: &str, held: &[Held<'_>], limit: usize) -> Option<String> {
    let base = base(customer);
    let mut slots = vec![Slot::default(); limit];
    let mut outside = 0;
    for key in held {
        match place(&base, key.name) {
            Some((slot, number)) if slot < limit => {
                let slot = &mut slots[slot];
                slot.last = slot.last.max(number);
                slot.taken |= !key.revoked;
            }
            _ => outside += usize::from(!key.revoked),
        }
    }
    let taken = slots.iter().filter(|slot| slot.taken).count();
    if taken + outside >= limit {
        return None;
    }
    let free = slots.iter().position(|slot| !slot.taken)?;
    Some(format!("{base}-k{free}-{}", slots[free].last + 1))
}

#[derive(Clone, Default)]
struct Slot {
    last: u64,
    taken: bool,
}

/// Slot and number of a key made here.
fn place(base: &str, name: &str) -> Option<(usize, u64)> {
    let (slot, number) = name
        .strip_prefix(base)?
        .strip_prefix("-k")?
        .split_once('-')?;
    Some((slot.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(names: &[(&'static str, bool)]) -> Vec<Held<'static>> {
        let one = |(name, revoked): &(&'static str, bool)| Held {
            name,
            revoked: *revoked,
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn slots_are_filled_in_order_and_a_revoked_key_frees_its_own() {
        let next = |names: &[(&'static str, bool)]| next_name("ada", &held(names), 2);
        assert_eq!(next(&[]).as_deref(), Some("ada-k0-1"));
        assert_eq!(next(&[("ada-k0-1", false)]).as_deref(), Some("ada-k1-1"));
        let full = [("ada-k0-1", false), ("ada-k1-1", false)];
        assert_eq!(next(&full), None);
        let freed = [("ada-k0-1", false), ("ada-k1-1", true)];
        assert_eq!(next(&freed).as_deref(), Some("ada-k1-2"));
    }

    #[test]
    fn keys_made_by_hand_count_while_they_live() {
        let next = |revoked| next_name("ada", &held(&[("laptop", revoked)]), 1);
        assert_eq!(next(false), None);
        assert_eq!(next(true).as_deref(), Some("ada-k0-1"));
        assert_eq!(next_name("ada", &[], 0), None);
    }

    #[test]
    fn a_limit_that_was_lowered_gives_no_more() {
        let above = held(&[("ada-k5-1", false), ("ada-k6-1", false)]);
        assert_eq!(next_name("ada", &above, 2), None);
        assert_eq!(next_name("ada", &above, 3).as_deref(), Some("ada-k0-1"));
    }

    proptest! {
        /// Many who each saw some older state try at once: what Kubernetes lets pass is never over the limit.
        #[test]
        fn whatever_old_state_each_has_seen_the_limit_holds(
            limit in 1_usize..5,
            deeds in proptest::collection::vec((any::<bool>(), 0_usize..40, any::<prop::sample::Index>()), 1..60),
        ) {
            // Each state is all keys in order, with whether each was revoked.
            let mut states: Vec<Vec<(String, bool)>> = vec![Vec::new()];
            for (makes, age, which) in deeds {
                let mut now = states.last().cloned().unwrap_or_default();
                if makes {
                    let seen = &states[states.len() - 1 - age.min(states.len() - 1)];
                    let held: Vec<_> = seen.iter().map(|(name, revoked)| Held { name, revoked: *revoked }).collect();
                    if let Some(name) = next_name("ada", &held, limit)
                        && !now.iter().any(|(taken, _)| *taken == name)
                    {
                        now.push((name, false));
                    }
                } else if !now.is_empty() {
                    let at = which.index(now.len());
                    now[at].1 = true;
                }
                let live = now.iter().filter(|(_, revoked)| !revoked).count();
                prop_assert!(live <= limit, "{now:?}");
                states.push(now);
            }
        }
    }
}
