//! Giving back, in Redis: the script `give_back.lua`.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use super::link::Line;
use super::{RedisCounters, UNREADABLE, credits_key, returned_key};
use crate::counted::Counted;
use crate::{Charge, CountersError, GIVE_BACK_WITHIN, GivenBack, MOST_GIVEN_BACK};

const SOURCE: &str = include_str!("../give_back.lua");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SOURCE));

impl RedisCounters {
    pub(super) async fn give_charge_back(
        &self,
        charge: &Charge,
    ) -> Result<GivenBack, CountersError> {
        charge.validate()?;
        let floors = self.floors_of(charge);
        let arguments = &|command: &mut Cmd| arguments(command, charge, &floors);
        let hash = SCRIPT.get_hash();
        let run = |mut line: Line| async move { line.run(SOURCE, hash, arguments).await };
        let numbers: Vec<u64> = self.ask(&charge.customer, run).await?;
        let unreadable = || CountersError::Failed(UNREADABLE.into());
        let (&[verdict, now, returned], credits) =
            numbers.split_first_chunk().ok_or_else(unreadable)?;
        let now = i64::try_from(now).map_err(|_| unreadable())?;
        self.note(charge, returned, credits, now);
        Ok(match verdict {
            0 => GivenBack::Now,
            1 => GivenBack::Before,
            2 => GivenBack::TooLate,
            _ => GivenBack::TooMany,
        })
    }

    /// What is known to be given back: of the quota, then of each grant.
    fn floors_of(&self, charge: &Charge) -> Vec<u64> {
        let marks = self.marks();
        let quota = marks.quotas.floor(&charge.customer, charge.period).returned;
        let grants = charge.credits.iter().map(|drawn| &drawn.grant);
        let credits = grants.map(|grant| marks.credits.floor(&charge.customer, grant).returned);
        std::iter::once(quota).chain(credits).collect()
    }

    fn note(&self, charge: &Charge, returned: u64, credits: &[u64], now: i64) {
        let counted = |returned| Counted { used: 0, returned };
        let mut marks = self.marks();
        let (customer, period) = (&*charge.customer, charge.period);
        marks
            .quotas
            .record(customer, period, counted(returned), now);
        if !credits.is_empty() {
            let grants = charge.credits.iter().map(|drawn| &drawn.grant);
            let credits = grants.zip(credits.iter().map(|returned| counted(*returned)));
            marks.credits.raise(customer, credits, now);
        }
    }
}

/// The script's KEYS and ARGV, as documented at its head.
fn arguments(command: &mut Cmd, charge: &Charge, floors: &[u64]) {
    let Charge {
        customer,
        id,
        at,
        period,
        calls,
        credits,
    } = charge;
    let returns = format!("glyph:{{{customer}}}:returns:{}", charge.hour());
    let keys = if credits.is_empty() { 2 } else { 3 };
    command.arg(keys).arg(returned_key(customer, *period));
    command.arg(returns);
    if keys > 2 {
        command.arg(credits_key(customer));
    }
    let mut floors = floors.iter().copied();
    command.arg(id).arg(*at).arg(*calls);
    command.arg(floors.next().unwrap_or(0)).arg(period.end);
    command.arg(GIVE_BACK_WITHIN).arg(MOST_GIVEN_BACK);
    for (drawn, floor) in credits.iter().zip(floors) {
        command.arg(&*drawn.grant).arg(drawn.credits).arg(floor);
    }
}
