//! What stands when a run is over, in Kubernetes, Stripe and Cognito: written so that two runs can be compared,
//! and searched for what is there twice or should be gone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use glyph_crds::api_key_format::Peppers;
use glyph_stripe_sim::Control;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value, json};

use super::{CUSTOMER, Flow, KEY};
use crate::world::{KEY_FIELD, Stage};

/// The kinds of Stripe's objects that are counted.
const STRIPE: [&str; 6] = [
    "customer",
    "product",
    "price",
    "checkout.session",
    "subscription",
    "subscription_schedule",
];

/// What stands in the end.
pub struct End {
    /// Everything, without what differs from run to run: ids, times, hashes.
    pub text: String,
    /// What is there more often than it should be, a sentence each.
    pub duplicates: Vec<String>,
    /// What should be gone, a sentence each.
    pub leaks: Vec<String>,
}

impl End {
    /// Looks at everything.
    ///
    /// # Errors
    /// When something does not answer, or there is no key at all.
    pub async fn of(stage: &Stage<'_>, flow: Flow) -> Result<Self> {
        let mut end = Self {
            text: String::new(),
            duplicates: Vec::new(),
            leaks: Vec::new(),
        };
        let resources = Flow::resources(stage).await?;
        end.kubernetes(&resources);
        let grants = resources
            .iter()
            .filter(|(name, _)| name.starts_with("CreditGrant/"));
        end.count("credit grants", flow.count("credit grant"), grants.count());
        end.secrets(stage, flow, &resources).await?;
        end.stripe(stage, flow);
        end.cognito(stage, flow, &resources).await?;
        Ok(end)
    }

    /// Duplicates and leaks.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        [self.duplicates.clone(), self.leaks.clone()].concat()
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn count(&mut self, what: &str, wanted: usize, there: usize) {
        self.line(&format!("{what}: {there}"));
        if there > wanted {
            self.duplicates
                .push(format!("{there} of {what} instead of {wanted}"));
        }
    }

    fn kubernetes(&mut self, resources: &[(String, Value)]) {
        for (name, resource) in resources {
            // A grant is named after what paid for it.
            let name = match name.split_once('/') {
                Some(("CreditGrant", _)) => "CreditGrant",
                _ => name,
            };
            let finalizers = &resource["metadata"]["finalizers"];
            self.line(&format!("{name} finalizers {finalizers}"));
            for line in serde_json::to_string_pretty(&timeless(&resource["status"]))
                .unwrap_or_default()
                .lines()
            {
                self.line(&format!("{name} {line}"));
            }
            if !resource["status"]["intent"].is_null() {
                self.leaks.push(format!(
                    "{name} still has the intent {}",
                    resource["status"]["intent"]
                ));
            }
        }
    }

    /// One Secret, with the one key whose hash the ApiKey has; none without an ApiKey, or when months have
    /// passed.
    async fn secrets(
        &mut self,
        stage: &Stage<'_>,
        flow: Flow,
        resources: &[(String, Value)],
    ) -> Result<()> {
        let secrets = stage
            .namespace
            .api::<Secret>()
            .list(&Default::default())
            .await?
            .items;
        for secret in secrets
            .iter()
            .filter(|secret| secret.metadata.name.as_deref() != Some(KEY))
        {
            self.leaks
                .push(format!("the Secret {:?} is nobody's", secret.metadata.name));
        }
        let wanted = resources
            .iter()
            .any(|(name, _)| name.starts_with("ApiKey/"));
        // A key is shown for a while only.
        if !wanted || flow.passes_time() {
            self.count("Secrets", 0, secrets.len());
            return Ok(());
        }
        let key = secrets
            .iter()
            .filter_map(|secret| secret.data.as_ref()?.get(KEY_FIELD))
            .next();
        let key = key.context("there is no Secret with a key")?;
        let pepper = format!("1:{}", stage.secrets.pepper);
        let hash = Peppers::parse(&pepper)?
            .newest()
            .hash(&String::from_utf8(key.0.clone())?)
            .to_string();
        let hashes: Vec<_> = resources
            .iter()
            .filter_map(|(_, one)| one["status"]["hashes"].as_array())
            .flatten()
            .collect();
        self.count("hashes", 1, hashes.len());
        let known = hashes.iter().any(|one| one["value"] == hash.as_str());
        self.line(&format!("the Secret's key is the ApiKey's: {known}"));
        Ok(())
    }

    fn stripe(&mut self, stage: &Stage<'_>, flow: Flow) {
        let control = stage.stripe.control();
        for kind in STRIPE {
            let objects = control.objects(kind);
            self.count(&format!("Stripe {kind}"), flow.count(kind), objects.len());
            let mut lines: Vec<_> = objects.iter().map(|one| stripe_line(kind, one)).collect();
            lines.sort();
            lines.iter().for_each(|line| self.line(line));
        }
        for session in control.objects("checkout.session") {
            if session["status"] == "open" {
                self.leaks
                    .push(format!("{} can still be paid", session["id"]));
            }
        }
        self.once("subscription", "customer", control, |one| {
            one["status"] != "canceled" && one["status"] != "incomplete_expired"
        });
        self.once("price", "product", control, |one| one["active"] == true);
        self.once("subscription_schedule", "customer", control, |one| {
            one["status"] == "active" || one["status"] == "not_started"
        });
    }

    /// Of the objects of a kind that are in force, one at most belongs to each of what `field` names.
    fn once(&mut self, kind: &str, field: &str, control: &Control, in_force: fn(&Value) -> bool) {
        let mut seen = BTreeSet::new();
        for object in control.objects(kind).iter().filter(|one| in_force(one)) {
            if !seen.insert(object[field].to_string()) {
                self.duplicates.push(format!(
                    "{} is one more {kind} in force of {field} {}",
                    object["id"], object[field]
                ));
            }
        }
    }

    async fn cognito(
        &mut self,
        stage: &Stage<'_>,
        flow: Flow,
        resources: &[(String, Value)],
    ) -> Result<()> {
        let email = stage.email(CUSTOMER);
        let filter = json!({
            "UserPoolId": stage.cognito.pool_id(),
            "Filter": format!("email = \"{email}\""),
        });
        let ours = stage.cognito.call("ListUsers", &filter).await?;
        let ours = ours["Users"].as_array().map_or(0, Vec::len);
        self.count("Cognito users", flow.count("cognito user"), ours);
        let statuses: BTreeMap<_, _> = resources
            .iter()
            .map(|(name, one)| (name.as_str(), &one["status"]))
            .collect();
        let status = statuses
            .get(format!("GlyphCustomer/{}", CUSTOMER).as_str())
            .copied();
        if let Some(user) = stage.cognito.user(&email).await? {
            let tied = status.is_some_and(|status| {
                status["stripeCustomerId"] == user["custom:stripe_customer_id"]
                    && status["cognitoSub"] == user["sub"]
            });
            self.line(&format!(
                "the Cognito user and the customer name each other: {tied}"
            ));
        }
        Ok(())
    }
}

/// What can be compared of an object of Stripe's.
fn stripe_line(kind: &str, object: &Value) -> String {
    let amount = match kind {
        "price" => &object["unit_amount"],
        "subscription" => &object["items"]["data"][0]["price"]["unit_amount"],
        _ => &Value::Null,
    };
    format!(
        "Stripe {kind}: status {}, active {}, amount {amount}, ends {}",
        object["status"], object["active"], object["cancel_at_period_end"]
    )
}

/// A status without what differs from run to run.
pub(crate) fn timeless(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(timeless_field)
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => items.iter().map(timeless).collect(),
        other => other.clone(),
    }
}

fn timeless_field((name, value): (&String, &Value)) -> Option<(String, Value)> {
    // Ids, times, addresses and sentences that hold them: that they are there is all that can be compared.
    let varies = [
        "Id", "At", "Sub", "Url", "Until", "start", "end", "prefix", "value", "message", "asOf",
        "grant", "Event", "Anchor", "Since",
    ];
    let value = match value {
        // What was seen last, as a digest of ids: no part of what stands.
        _ if name == "lastTransitionTime" || name == "settledFor" => return None,
        Value::String(_) if varies.iter().any(|ending| name.ends_with(ending)) => "…".into(),
        // How many there are can be compared.
        Value::Array(ids) if name.ends_with("Ids") => vec!["…"; ids.len()].into(),
        value => timeless(value),
    };
    Some((name.clone(), value))
}

/// The lines that only one of two texts has.
#[must_use]
pub fn difference(wanted: &str, came: &str) -> String {
    let only = |sign: &'static str, one: &str, other: &str| {
        let others: Vec<_> = other.lines().map(ToOwned::to_owned).collect();
        let lines = one
            .lines()
            .filter(|line| !others.iter().any(|other| other == line));
        lines
            .map(|line| format!("  {sign} {line}\n"))
            .collect::<String>()
    };
    only("-", wanted, came) + &only("+", came, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_are_alike_but_for_ids_and_times() {
        let status = |id: &str, time: &str| json!({"stripeCustomerId": id, "formerPriceIds": [id], "tier": "starter", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time, "message": id}]});
        assert_eq!(
            timeless(&status("cus_1", "2026-01-01T00:00:00Z")),
            timeless(&status("cus_2", "2026-01-01T00:00:01Z"))
        );
        assert_ne!(
            timeless(&status("cus_1", "t")),
            timeless(&json!({"tier": "starter"}))
        );
    }

    #[test]
    fn a_difference_shows_what_is_missing_and_what_is_new() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), "  - a\n  + c\n");
        assert_eq!(difference("a\n", "a\n"), "");
    }
}
