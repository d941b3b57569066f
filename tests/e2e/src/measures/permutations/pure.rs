//! All cases on the operator's own pure decisions: every delivery wakes its resource, which reads Stripe as it stands
//! after that event or any later one, never as it stood before what was read last. All ways to choose what is seen
//! are followed at once, so that what stands in the end is a set; it must have one member, the same for every case.
//!
//! Equal passes are made once: a case is a walk over numbered sets.

mod pack;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, EVENTS};

/// The events up to this one are about the subscription, in Stripe's order: its checkout's completion, its creation,
/// its update to active, its invoice's payment. The other two are the pack's: completed, and paid later.
const OF_THE_PLAN: usize = 4;

/// A resource that is woken: one pass over it, with Stripe as it stands after so many of the six events.
trait Woken {
    /// All that a pass leaves behind.
    type State: Clone + PartialEq;

    /// What stands before the first event.
    fn begin(&self) -> Result<Self::State, String>;

    /// One pass; an error where more is asked of Stripe than a purchase needs.
    fn pass(&self, state: &Self::State, after: usize) -> Result<Self::State, String>;
}

/// A resource's states by number, and where each pass leads.
struct Numbered<W: Woken> {
    woken: W,
    states: Vec<W::State>,
    passes: BTreeMap<(usize, usize), usize>,
}

impl<W: Woken> Numbered<W> {
    fn new(woken: W) -> Result<Self, String> {
        let states = vec![woken.begin()?];
        let passes = BTreeMap::new();
        Ok(Self {
            woken,
            states,
            passes,
        })
    }

    fn pass(&mut self, state: usize, after: usize) -> Result<usize, String> {
        if let Some(known) = self.passes.get(&(state, after)) {
            return Ok(*known);
        }
        let reached = self.woken.pass(&self.states[state], after)?;
        let known = self.states.iter().position(|one| *one == reached);
        let number = known.unwrap_or_else(|| {
            self.states.push(reached);
            self.states.len() - 1
        });
        self.passes.insert((state, after), number);
        Ok(number)
    }
}

/// One way it can stand: how many events' effects were seen, and the two resources' states.
type Way = (usize, usize, usize);

struct Walk {
    plan: Numbered<plan::Plan>,
    pack: Numbered<pack::Pack>,
    sets: Vec<BTreeSet<Way>>,
    steps: Vec<[Option<usize>; EVENTS]>,
}

impl Walk {
    fn new() -> Result<Self, String> {
        Ok(Self {
            plan: Numbered::new(plan::Plan)?,
            pack: Numbered::new(pack::Pack)?,
            sets: vec![BTreeSet::from([(0, 0, 0)])],
            steps: vec![[None; EVENTS]],
        })
    }

    /// The set that `set` comes to by a delivery.
    fn step(&mut self, set: usize, event: usize) -> Result<usize, String> {
        if let Some(known) = self.steps[set][event] {
            return Ok(known);
        }
        let mut reached = BTreeSet::new();
        for (seen, plan, pack) in self.sets[set].clone() {
            for after in seen.max(event + 1)..=EVENTS {
                reached.insert(if event < OF_THE_PLAN {
                    (after, self.plan.pass(plan, after)?, pack)
                } else {
                    (after, plan, self.pack.pass(pack, after)?)
                });
            }
        }
        let known = self.sets.iter().position(|one| *one == reached);
        let number = known.unwrap_or_else(|| {
            self.sets.push(reached);
            self.steps.push([None; EVENTS]);
            self.sets.len() - 1
        });
        self.steps[set][event] = Some(number);
        Ok(number)
    }

    /// How the two resources can stand after a case.
    fn ends(&mut self, case: &Case) -> Result<BTreeSet<(usize, usize)>, String> {
        let mut set = 0;
        for event in case.deliveries() {
            set = self.step(set, event)?;
        }
        let ways = self.sets[set].iter();
        Ok(ways.map(|(_, plan, pack)| (*plan, *pack)).collect())
    }
}

/// The cases that end otherwise than the events in order, each once; or what is wrong with that end.
pub(super) fn differing() -> Vec<String> {
    match walk_all() {
        Ok(differing) => differing,
        Err(wrong) => vec![wrong],
    }
}

fn walk_all() -> Result<Vec<String>, String> {
    let mut walk = Walk::new()?;
    let wanted = walk.ends(&Case::nth(0))?;
    let [(plan, pack)] = wanted.iter().copied().collect::<Vec<_>>()[..] else {
        return Err(format!(
            "in order and once, there are {} ends",
            wanted.len()
        ));
    };
    plan::is_bought(&walk.plan.states[plan])?;
    pack::is_bought(&walk.pack.states[pack])?;
    let mut differing = Vec::new();
    for number in 0..Case::COUNT {
        let case = Case::nth(number);
        let ends = walk.ends(&case)?;
        if ends != wanted {
            differing.push(format!(
                "pure: {case:?} can end in {} ways, not as in order",
                ends.len()
            ));
        }
    }
    Ok(differing)
}
