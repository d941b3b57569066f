//! `docs/account-api.md` from its first command to its last, with curl, through the account API and Envoy.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use glyph_e2e::checkout::{self, CARD_THAT_PAYS};
use glyph_e2e::resources;
use glyph_e2e::world::{SOON, Wanted, World};
use glyph_harness::{poll_until, workspace_root};
use serde_json::Value;

use crate::support::{conforms_to_stripe, world};

/// The account API is served.
const ON: &[(&str, &str)] = &[("GLYPH_ACCOUNT_API", "true")];

/// What the page has its reader do.
#[derive(Debug)]
enum Deed {
    /// Commands, of one shell.
    Run(String),
    /// Parts of the last answer that are kept, by name and place.
    Keep(Vec<(String, String)>),
    /// The code that was sent to an address.
    Read(&'static str),
    /// Paying at the link.
    Pay,
}

fn deeds(page: &str) -> Vec<Deed> {
    let (mut deeds, mut block) = (Vec::new(), None::<String>);
    for line in page.lines() {
        match (&mut block, line) {
            (Some(_), "```") => deeds.extend(block.take().map(Deed::Run)),
            (Some(commands), _) => commands.extend([line, "\n"]),
            (None, "```sh") => block = Some(String::new()),
            (None, "<!-- a person reads the code -->") => deeds.push(Deed::Read("")),
            (None, "<!-- a person reads the code at the new address -->") => {
                deeds.push(Deed::Read("new."));
            }
            (None, "<!-- a person pays -->") => deeds.push(Deed::Pay),
            (None, _) => {
                let kept = line
                    .strip_prefix("<!-- ")
                    .and_then(|rest| rest.strip_suffix(" -->"));
                let kept = kept.into_iter().flat_map(|kept| kept.split(' '));
                let kept: Vec<_> = kept.filter_map(|one| one.split_once("=/")).collect();
                if !kept.is_empty() {
                    let owned =
                        |(name, place): (&str, &str)| (name.to_owned(), format!("/{place}"));
                    deeds.push(Deed::Keep(kept.into_iter().map(owned).collect()));
                }
            }
        }
    }
    deeds
}

/// A reader of the page.
struct Reader<'a> {
    world: &'a World<'a>,
    known: BTreeMap<String, String>,
    said: String,
}

impl Reader<'_> {
    async fn run(&mut self, commands: &str) -> Result<()> {
        let output = tokio::process::Command::new("bash")
            .args(["-euc", commands])
            .envs(&self.known)
            .output()
            .await
            .context("failed to run bash")?;
        self.said = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success(),
            "{commands}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let challenge = commands.contains("/auth/challenge");
        let refused = self.said.contains("https://glyphapi.ai/problems/");
        ensure!(challenge == refused, "{commands}: {}", self.said);
        Ok(())
    }

    fn keep(&mut self, kept: Vec<(String, String)>) -> Result<()> {
        let answer: Value = serde_json::from_str(&self.said)?;
        for (name, place) in kept {
            let part = answer.pointer(&place).and_then(Value::as_str);
            let part = part.with_context(|| format!("no {place} in {answer}"))?;
            self.known.insert(name, part.to_owned());
        }
        Ok(())
    }

    fn known(&self, name: &str) -> &str {
        self.known.get(name).map_or("", String::as_str)
    }

    async fn pay(&self) -> Result<()> {
        checkout::pay(self.known("URL"), CARD_THAT_PAYS).await?;
        let status = format!("{}/billing/status", self.known("ACCOUNT"));
        let active = poll_until("the plan to be in force", SOON, async || {
            (self.look(&status).await?["tier"] == "starter").then_some(())
        });
        Ok(active.await?)
    }

    async fn go(&mut self, deed: Deed) -> Result<()> {
        match deed {
            Deed::Run(commands) => {
                if commands.contains("$API/") {
                    self.until_the_key_works().await?;
                }
                if commands.contains("/billing/usage") {
                    self.until_usage_is_told().await?;
                }
                self.run(&commands).await?;
                if commands.contains("-X DELETE \"$ACCOUNT/api-keys") {
                    let gateway = self.world.gateway()?;
                    gateway
                        .until_answer(self.known("KEY"), 401, "key_revoked")
                        .await?;
                }
                Ok(())
            }
            Deed::Keep(kept) => self.keep(kept),
            Deed::Read(before) => {
                let address = format!("{before}{}", self.known("EMAIL"));
                let code = self.world.cognito.code_sent_to(&address);
                let code = code.with_context(|| format!("no code was sent to {address}"))?;
                self.known.insert("CODE".to_owned(), code);
                if !before.is_empty() {
                    self.known.insert("NEW".to_owned(), address);
                }
                Ok(())
            }
            Deed::Pay => self.pay().await,
        }
    }

    /// The call through Envoy is seen in the usage of its key.
    async fn until_usage_is_told(&self) -> Result<()> {
        let usage = format!("{}/billing/usage", self.known("ACCOUNT"));
        let mut last = None;
        let told = poll_until("the call to be told", SOON, async || {
            let usage = &*last.insert(self.look(&usage).await?);
            let mut rows = usage["data"].as_array()?.iter();
            let of_key =
                |row: &&Value| row["key_id"] == self.known("KEY_ID") && row["class"] == "2xx";
            let passed = rows.find(of_key)?["requests"].as_u64()?;
            (passed > 0 && usage["quota"]["used"].as_u64()? > 0).then_some(())
        });
        let told = told.await;
        told.with_context(|| format!("{last:?} of {}", self.known("KEY_ID")))
    }

    /// What is answered to the logged-in reader.
    async fn look(&self, url: &str) -> Option<Value> {
        let request = hyper::Request::get(url)
            .header("authorization", format!("Bearer {}", self.known("TOKEN")))
            .body(Vec::new());
        let answer = glyph_harness::net::send(request.ok()?).await.ok()?;
        answer.json().ok()
    }

    async fn until_the_key_works(&self) -> Result<()> {
        let gateway = self.world.gateway()?;
        gateway
            .until_answer(self.known("KEY"), 200, "")
            .await
            .map(drop)
    }
}

/// Each operation of the served document stands in the page as a command.
fn is_complete(page: &str, document: &Value) -> Result<()> {
    let commands: String = deeds(page)
        .into_iter()
        .filter_map(|deed| match deed {
            Deed::Run(commands) => Some(commands.replace("\\\n", " ")),
            _ => None,
        })
        .collect();
    let ids = [("{key_id}", "$KEY_ID"), ("{checkout_id}", "$CHECKOUT")];
    for (path, item) in document["paths"].as_object().context("no paths")? {
        let path = ids.iter().fold(path.clone(), |path, (id, variable)| {
            path.replace(id, variable)
        });
        for method in item.as_object().context("no operations")?.keys() {
            let shown = commands.lines().any(|line| {
                let here = [format!("$ACCOUNT{path}\""), format!("$ACCOUNT{path}?")];
                let verb = match (line.contains("-X "), line.contains(" -d ")) {
                    (true, _) => line.contains(&format!("-X {} ", method.to_uppercase())),
                    (false, true) => method == "post",
                    (false, false) => method == "get",
                };
                verb && here.iter().any(|here| line.contains(here))
            });
            if !shown {
                bail!("docs/account-api.md has no command for {method} {path}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_command_of_the_page_does_what_it_says_up_to_a_call_through_envoy() -> Result<()> {
    let world = world("account", Wanted::gateways(1).operator(ON)).await?;
    let free = resources::free_tier(resources::DEFAULT_TIER, Some(100));
    world.create(&free).await?;
    world.create(&resources::paid_tier("starter")).await?;
    let page = fs::read_to_string(workspace_root().join("docs/account-api.md"))?;
    world.create(&pack()?).await?;
    let account = world.operator_url();
    on_sale(&account).await?;
    let document = glyph_harness::net::get(&format!("{account}/openapi.json")).await?;
    is_complete(&page, &document.json()?)?;
    let known = [
        ("ACCOUNT", account),
        ("API", world.gateway()?.envoy.url()),
        ("EMAIL", world.email("ada")),
        ("PATH", std::env::var("PATH")?),
    ];
    let mut reader = Reader {
        world: &world,
        known: known.map(|(name, value)| (name.to_owned(), value)).into(),
        said: String::new(),
    };
    for deed in deeds(&page) {
        // The new address counts from its confirmation on.
        let confirms =
            matches!(&deed, Deed::Run(commands) if commands.contains("/auth/email/confirm"));
        reader.go(deed).await?;
        if let (true, Some(new)) = (confirms, reader.known.get("NEW").cloned()) {
            reader.known.insert("EMAIL".to_owned(), new);
        }
    }
    conforms_to_stripe(&world).await
}

fn pack() -> Result<glyph_crds::CreditPack> {
    let spec = serde_json::json!({
        "displayName": "Extra", "credits": 5000, "price": {"currency": "usd", "amount": 1900},
    });
    Ok(glyph_crds::CreditPack::new(
        "extra",
        serde_json::from_value(spec)?,
    ))
}

/// Waits until the account API knows what is sold.
async fn on_sale(account: &str) -> Result<()> {
    let plans = format!("{account}/plans");
    let known = poll_until("the plans", SOON, async || {
        let plans: Value = glyph_harness::net::get(&plans).await.ok()?.json().ok()?;
        let all =
            plans["plans"].as_array()?.len() == 2 && plans["credit_packs"].as_array()?.len() == 1;
        all.then_some(())
    });
    Ok(known.await?)
}
