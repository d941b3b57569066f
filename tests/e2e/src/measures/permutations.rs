//! `permutations`: Stripe's events of a first purchase in every order, each delivered one to three times, on the
//! operator's pure decisions; and drawn cases of them as signed webhooks to a real operator. However they come, the
//! same stands in the end, and credits are granted once.

mod pure;
mod real;

use anyhow::Result;
use serde_json::json;

use super::draw::{Draw, draw_seed};
use crate::report::{Report, Table};
use crate::story::Story;

/// How many events a first purchase is told by.
const EVENTS: usize = 6;
/// How often one may be delivered.
const MOST_COPIES: usize = 3;

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Permutations {
    /// How many cases are drawn for the real operator.
    #[arg(long, default_value_t = 200)]
    pub real: usize,
    /// What they are drawn from; printed at the start. Default: a new one each time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many customers buy at once.
    #[arg(long, default_value_t = 20)]
    pub lanes: usize,
}

/// An order of the events, and how often each is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    order: [usize; EVENTS],
    copies: [usize; EVENTS],
}

impl Case {
    /// How many there are: 6! × 3⁶.
    const COUNT: usize = 720 * 729;

    /// The `number`th of all.
    fn nth(number: usize) -> Self {
        let (mut of_order, mut of_copies) = (number / 729, number % 729);
        let mut left: Vec<usize> = (0..EVENTS).collect();
        let order = std::array::from_fn(|place| {
            let radix = EVENTS - place;
            let taken = left.remove(of_order % radix);
            of_order /= radix;
            taken
        });
        let copies = std::array::from_fn(|_| {
            let one = 1 + of_copies % MOST_COPIES;
            of_copies /= MOST_COPIES;
            one
        });
        Self { order, copies }
    }

    /// The deliveries: all in this order, then once more those that come twice, then those that come thrice, so that
    /// a copy comes long after the first.
    fn deliveries(&self) -> impl Iterator<Item = usize> {
        (0..MOST_COPIES).flat_map(move |round| {
            let again = move |event: &usize| self.copies[*event] > round;
            self.order.into_iter().filter(again)
        })
    }
}

impl Permutations {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or the purchases do not work at all.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let seed = self.seed.map_or_else(draw_seed, Ok)?;
        story.tell(&format!(
            "seed {seed}: --seed {seed} draws the same cases again"
        ));
        let mut broken = pure::differing();
        let (pure, on_paper) = (Case::COUNT, broken.len());
        story.tell(&format!(
            "{pure} cases on the pure decisions, {on_paper} differ"
        ));
        let mut draw = Draw::new(seed);
        let cases: Vec<_> = (0..self.real)
            .map(|_| Case::nth(draw.below(Case::COUNT)))
            .collect();
        broken.extend(real::differing(cases, self.lanes, &mut story).await?);
        let mut table = Table::new(&["where", "cases", "differed"]);
        table.row(["pure".to_owned(), pure.to_string(), on_paper.to_string()]);
        let really = broken.len() - on_paper;
        table.row(["real".to_owned(), self.real.to_string(), really.to_string()]);
        let json = json!({"pure": pure, "real": self.real, "differed": broken.len()});
        broken.truncate(20);
        Ok(Report {
            table,
            json,
            broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_order_and_each_multiplicity_is_there_once() {
        let all: BTreeSet<_> = (0..Case::COUNT)
            .map(|number| {
                let Case { order, copies } = Case::nth(number);
                (order, copies)
            })
            .collect();
        assert_eq!(all.len(), 524_880);
        assert!(all.iter().all(|(order, copies)| {
            order.iter().collect::<BTreeSet<_>>().len() == EVENTS
                && copies.iter().all(|copies| (1..=3).contains(copies))
        }));
    }

    #[test]
    fn copies_come_in_later_rounds() {
        let case = Case {
            order: [2, 0, 1, 3, 4, 5],
            copies: [1, 3, 2, 1, 1, 1],
        };
        let deliveries: Vec<_> = case.deliveries().collect();
        assert_eq!(deliveries, [2, 0, 1, 3, 4, 5, 2, 1, 1]);
    }

    #[test]
    fn on_the_pure_decisions_no_order_and_no_copy_makes_a_difference() {
        assert_eq!(pure::differing(), Vec::<String>::new());
    }
}
