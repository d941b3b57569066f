//! What each place says of the customer, as one line of text. Read only, but for the requests the customer makes.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use glyph_crds::{CreditGrant, GlyphCustomer, Subscription};
use glyph_harness::net::Answer;
use glyph_stripe_sim::Control;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::place::Place;
use super::{ACCOUNT, deeds};
use crate::caller::{PATH, code};
use crate::world::{Kind, World};

/// The customer, as the story knows it.
#[derive(Default)]
pub(super) struct Customer {
    uid: String,
    key: String,
    subscription: Option<&'static str>,
}

impl Customer {
    /// The customer's UID and key.
    pub(super) fn signed_up(&mut self, uid: String, key: String) {
        (self.uid, self.key) = (uid, key);
    }

    /// The Subscription that is spoken of from now on.
    pub(super) fn subscribed_by(&mut self, name: &'static str) {
        self.subscription = Some(name);
    }

    /// That Subscription.
    ///
    /// # Errors
    /// When there is none yet.
    pub(super) fn subscription(&self) -> Result<&'static str> {
        self.subscription
            .context("the customer has not subscribed yet")
    }

    /// What a place says.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn look(&self, place: Place, world: &World<'_>) -> Result<String> {
        match place {
            Place::Stripe => Ok(stripe(world)),
            Place::Kubernetes => kubernetes(world).await,
            Place::Redis => self.redis(world).await,
            Place::Envoy => self.in_force(world).await,
        }
    }

    /// Makes so many requests; gives how many came to what: `42 × 200, 2 × 429 quota_exceeded`.
    ///
    /// # Errors
    /// When one is not answered.
    pub(super) async fn ask(&self, world: &World<'_>, requests: usize) -> Result<String> {
        let before = world.upstream.requests();
        let mut came = BTreeMap::<String, u64>::new();
        for _ in 0..requests {
            let answer = self.get(world, PATH).await?;
            let what = format!("{} {}", answer.status, code(&answer));
            *came.entry(what.trim_end().to_owned()).or_default() += 1;
        }
        let admitted = came.get("200").copied().unwrap_or_default();
        let reached = world.upstream.requests() - before;
        let came = came.iter().map(|(what, times)| format!("{times} × {what}"));
        let mut said = came.collect::<Vec<_>>().join(", ");
        if reached != admitted {
            said = format!("{said}, and {reached} reached the API");
        }
        Ok(said)
    }

    async fn get(&self, world: &World<'_>, path: &str) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.key);
        let caller = &world.gateway()?.caller;
        caller.get(path, &[("authorization", &bearer)]).await
    }

    /// What a request that costs nothing is told: tier, quota and credits; or the refusal.
    async fn in_force(&self, world: &World<'_>) -> Result<String> {
        let answer = self.get(world, ACCOUNT).await?;
        if answer.status != 200 {
            return Ok(format!("{} {}", answer.status, code(&answer)));
        }
        let echo: Value = answer.json()?;
        let tier = echo["headers"]["x-glyph-tier"][0].as_str();
        let quota = parameter(&answer.header("ratelimit-policy"), "q");
        let left = parameter(&answer.header("ratelimit"), "r");
        let credits = answer.header("x-glyph-credits-remaining");
        let tier = tier.context("the API is not told the tier")?;
        let mut said = format!("{tier}: {left} of {quota} left");
        if !credits.is_empty() {
            said = format!("{said}, {credits} credits");
        }
        Ok(said)
    }

    /// Every counter there is of the customer that decides: of each month by its beginning, and of credits.
    async fn redis(&self, world: &World<'_>) -> Result<String> {
        const ALL: &str = "local all = {} \
            for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
            if redis.call('TYPE', key).ok == 'hash' then local sum = 0 \
            for _, used in ipairs(redis.call('HVALS', key)) do sum = sum + used end \
            all[#all + 1] = key .. '=' .. sum else \
            all[#all + 1] = key .. '=' .. redis.call('GET', key) end end \
            return redis.status_reply(table.concat(all, ' '))";
        let of_customer = format!("glyph:{{{}}}:", self.uid);
        let line = format!("EVAL \"{ALL}\" 0 {of_customer}*");
        let said = world.redis.command_line(&line).await?;
        let said = said.strip_prefix('+').with_context(|| said.clone())?;
        let mut months = BTreeMap::new();
        let mut credits = None;
        for counter in said.split_whitespace() {
            let (key, count) = counter.split_once('=').context("not a counter")?;
            match key.strip_prefix(&of_customer).context("another's")? {
                "credits" => credits = Some(format!("{count} credits")),
                // Figures for people, which decide nothing.
                key if key.starts_with("usage:") => {}
                key => {
                    let start: i64 = key.strip_prefix("quota:").context("no quota")?.parse()?;
                    months.insert(start, format!("{count} since {}", moment(start)?));
                }
            }
        }
        let all: Vec<String> = months.into_values().chain(credits).collect();
        Ok(all.join(", "))
    }
}

/// The number that a parameter of a field's item `"month"` is.
fn parameter(field: &str, name: &str) -> String {
    let month = field.split(", ").find(|item| item.starts_with("\"month\""));
    let parameters = month.unwrap_or_default().split(';');
    let values = parameters.filter_map(|one| one.strip_prefix(name)?.strip_prefix('='));
    values.collect()
}

/// The subscriptions that live, all that was paid, and what is owed.
fn stripe(world: &World<'_>) -> String {
    let control = world.stripe.control();
    let live = control.objects("subscription").into_iter().filter(|one| {
        let status = one["status"].as_str();
        !matches!(status, Some("canceled" | "incomplete_expired"))
    });
    let mut parts: Vec<String> = live.map(|one| subscription(&one, control)).collect();
    if parts.is_empty() {
        parts.push("nothing".to_owned());
    }
    let paid = |charge: &Value| match charge["paid"] == true {
        true => charge["amount"].as_i64().unwrap_or_default(),
        false => 0,
    };
    let paid = control.objects("charge").iter().map(paid).sum();
    parts.push(format!("paid {}", money(paid)));
    let open = |invoice: &Value| match invoice["status"] == "open" {
        true => invoice["amount_remaining"].as_i64().unwrap_or_default(),
        false => 0,
    };
    let owed = control.objects("invoice").iter().map(open).sum();
    if owed != 0 {
        parts.push(format!("owes {}", money(owed)));
    }
    let customers = control.objects("customer").len();
    if customers != 1 {
        parts.push(format!("{customers} customers"));
    }
    parts.join(", ")
}

/// State and price, and what follows at the period's end.
fn subscription(one: &Value, control: &Control) -> String {
    let state = one["status"].as_str().unwrap_or_default();
    let item = &one["items"]["data"][0];
    let schedules = control.objects("subscription_schedule");
    let schedule = schedules
        .iter()
        .find(|known| known["id"] == one["schedule"]);
    let mut phases = schedule
        .and_then(|known| known["phases"].as_array())
        .into_iter()
        .flatten();
    let next = phases.find(|phase| phase["start_date"] == item["current_period_end"]);
    let next = next.map(|phase| &phase["items"][0]["price"]);
    let prices = control.objects("price");
    let then = match prices.iter().find(|known| Some(&known["id"]) == next) {
        _ if one["cancel_at_period_end"] == true => ", then nothing".to_owned(),
        Some(next) => format!(", then {}", price(next)),
        None => String::new(),
    };
    format!("{state} {}{then}", price(&item["price"]))
}

/// What a price comes to: `$29.00/month`.
fn price(price: &Value) -> String {
    let interval = price["recurring"]["interval"].as_str().unwrap_or_default();
    let amount = price["unit_amount"].as_i64().unwrap_or_default();
    format!("{}/{interval}", money(amount))
}

fn money(cents: i64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// The statuses of the Subscriptions, of the customer, and of the grants.
async fn kubernetes(world: &World<'_>) -> Result<String> {
    let mut parts = Vec::new();
    for one in listed::<Subscription>(world).await? {
        parts.push(subscription_status(&json!(one.status), world)?);
    }
    let customer = world.namespace.api::<GlyphCustomer>();
    let status = json!(customer.get(deeds::CUSTOMER).await?.status);
    let tier = status["tier"].as_str().unwrap_or("no tier");
    parts.push(format!("customer on {tier}"));
    if !status["credits"].is_null() {
        let (left, granted) = (&status["credits"]["left"], &status["credits"]["granted"]);
        parts.push(format!("{left} of {granted} credits"));
    }
    for grant in listed::<CreditGrant>(world).await? {
        let status = json!(grant.status);
        let state = status["state"].as_str().unwrap_or_default();
        parts.push(format!("grant {state} {} used", status["used"]));
    }
    Ok(parts.join("; "))
}

async fn listed<K: Kind>(world: &World<'_>) -> Result<Vec<K>> {
    let api = world.namespace.api::<K>();
    let mut all = api.list(&Default::default()).await?.items;
    all.sort_by(|one, other| one.meta().name.cmp(&other.meta().name));
    Ok(all)
}

/// State, tier, what is pending, the period and the grace. The period is Stripe's to the second, or that is said.
fn subscription_status(status: &Value, world: &World<'_>) -> Result<String> {
    let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    let time = |value: &Value| -> Result<Timestamp> {
        Ok(value.as_str().unwrap_or_default().parse::<Timestamp>()?)
    };
    let mut said = format!("{} {}", text("state"), text("tier"));
    if status["pendingTier"].is_string() {
        said = format!("{said}, then {}", text("pendingTier"));
    }
    if !status["currentPeriod"].is_null() {
        let start = time(&status["currentPeriod"]["start"])?;
        let end = time(&status["currentPeriod"]["end"])?;
        said = format!("{said} {}..{}", day(start), day(end));
        let known = world.stripe.control().objects("subscription");
        let same = known.iter().any(|one| {
            let item = &one["items"]["data"][0];
            one["id"] == status["stripeSubscriptionId"]
                && item["current_period_start"] == start.as_second()
                && item["current_period_end"] == end.as_second()
        });
        if !same {
            said = format!("{said} (not Stripe's)");
        }
    }
    if !status["graceUntil"].is_null() {
        said = format!("{said}, grace until {}", day(time(&status["graceUntil"])?));
    }
    Ok(format!("{said} ({})", found(status)))
}

/// The reason of `Ready`, and whether something has drifted.
fn found(status: &Value) -> String {
    let conditions = status["conditions"].as_array().map(Vec::as_slice);
    let of = |kind| {
        let mut all = conditions.unwrap_or_default().iter();
        all.find(|one| one["type"] == kind)
    };
    let ready = of("Ready").and_then(|one| one["reason"].as_str());
    let drifted = of("Drifted").is_some_and(|one| one["status"] == "True");
    let drifted = if drifted { ", drifted" } else { "" };
    format!("{}{drifted}", ready.unwrap_or_default())
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// The beginning of a month: a day's, or within one.
fn moment(second: i64) -> Result<String> {
    let at = Timestamp::from_second(second)?;
    let midnight = second.rem_euclid(24 * 3600) == 0;
    let form = if midnight { "%b 1" } else { "%m-%d" };
    Ok(at.strftime(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_months_numbers_are_read_from_among_others() {
        let policy = "\"rate\";q=20;w=2, \"month\";q=100;w=2592000";
        assert_eq!(parameter(policy, "q"), "100");
        assert_eq!(parameter("\"month\";r=50;t=30", "r"), "50");
        assert_eq!(parameter("", "q"), "");
    }

    #[test]
    fn a_calendar_month_is_told_from_one_that_began_at_a_payment() {
        assert_eq!(moment(1_835_481_600).unwrap(), "Mar 1");
        assert_eq!(moment(1_835_514_004).unwrap(), "03-01");
    }
}
