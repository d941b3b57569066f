//! Credits past the quota, through Envoy: spent to the last one by two sidecars, and what a loss of Redis, of the
//! sidecars, and of both gives back.

use bytes::Bytes;
use futures::future::join_all;
use glyph_crds::CreditGrant;
use glyph_harness::net::Answer;
use glyph_harness::{Envoy, Program, Result, Service, poll_until};
use http::Request;
use serde_json::json;

use crate::stage::{SOON, Stage, code, config, example, settings};

/// Two sidecars, each behind an Envoy of its own, and ada on a tier of 20 calls and then credits.
struct Pair {
    stage: Stage,
    second: Service,
    second_envoy: Envoy,
    key: String,
}

impl Pair {
    async fn set() -> Result<Self> {
        let billed = |settings: glyph_harness::Settings| {
            settings.set("GLYPH_BILLING_URL", "https://billing.example")
        };
        let stage = Stage::set_with(billed).await?;
        let spec = json!({"quota": {"requests": 20}, "overQuota": "Credits"});
        stage.world.tier("small", spec).await;
        let active = json!({"state": "active", "tier": "small"});
        stage.world.subscription("ada", active).await;
        let settings = billed(settings(&stage.world, &stage.redis));
        let second = Service::start(Program::Authz, settings).await?;
        let second_envoy = Envoy::start(&config(example(), &second, &stage.upstream)).await?;
        let key = stage.world.key("laptop", "ada", json!({})).await;
        Ok(Self {
            stage,
            second,
            second_envoy,
            key,
        })
    }

    /// Asks once at one of the two.
    async fn ask(&self, at: usize) -> Answer {
        let envoy = [&self.stage.envoy, &self.second_envoy][at % 2];
        let request = Request::get(envoy.url()).header("x-api-key", &self.key);
        let request = request.body(Bytes::new()).unwrap();
        glyph_harness::net::send(request).await.unwrap()
    }

    /// Waits until a sidecar knows all of `granted` credits; gives how many requests have passed for it.
    async fn knows(&self, at: usize, granted: u64) -> u64 {
        let mut passed = 0;
        let known = async || {
            let answer = self.ask(at).await;
            passed += u64::from(answer.status == 200);
            (credits_left(&answer) == Some(granted)).then_some(())
        };
        poll_until("the grants", SOON, known).await.unwrap();
        passed
    }

    /// Eight callers at once, each at both sidecars in turn, so many requests each: how many passed.
    async fn storm(&self, each: usize) -> u64 {
        let callers = (0..8).map(async |caller| {
            let mut passed = 0;
            for turn in 0..each {
                let answer = self.ask(caller + turn).await;
                if answer.status == 200 {
                    passed += 1;
                } else {
                    assert_eq!(code(&answer), "quota_exceeded");
                }
            }
            passed
        });
        join_all(callers).await.into_iter().sum()
    }

    /// Kills both sidecars and starts them again, with nothing in mind.
    async fn restart_sidecars(&self) -> Result<()> {
        for sidecar in [&self.stage.sidecar, &self.second] {
            sidecar.kill();
            sidecar.start_again().await?;
        }
        for at in 0..2 {
            let answered = async || Some(self.ask(at).await).filter(|answer| answer.status != 503);
            poll_until("an answer", SOON, answered).await?;
        }
        Ok(())
    }
}

fn credits_left(answer: &Answer) -> Option<u64> {
    answer.header("x-glyph-credits-remaining").parse().ok()
}

#[tokio::test]
async fn parallel_callers_on_two_sidecars_spend_quota_and_credits_to_the_last_one() -> Result<()> {
    let pair = Pair::set().await?;
    let world = &pair.stage.world;
    world
        .grant(
            "soon",
            "ada",
            15,
            json!({"expiresAt": "2999-01-01T00:00:00Z"}),
        )
        .await;
    world.grant("never", "ada", 25, json!({})).await;
    let before = pair.knows(0, 40).await + pair.knows(1, 40).await;
    assert!(before < 20, "credits are told while the quota lasts");

    let passed = before + pair.storm(10).await;
    assert_eq!(passed, 20 + 40);
    assert_eq!(pair.stage.upstream.requests(), 60);

    let refused = pair.ask(0).await;
    assert_eq!((refused.status, credits_left(&refused)), (429, Some(0)));
    assert_eq!(code(&refused), "quota_exceeded");
    let detail = refused.json::<serde_json::Value>()?["detail"].to_string();
    let said = "All 20 calls of this month and all credits are used; more come at ";
    assert!(detail.contains(said), "{detail}");
    let todo = "or at once by buying credits or upgrading at https://billing.example.";
    assert!(detail.contains(todo), "{detail}");

    // Credits bought now are spent now.
    world.grant("more", "ada", 1, json!({})).await;
    let passes = async || Some(pair.ask(1).await).filter(|answer| answer.status == 200);
    poll_until("a bought credit", SOON, passes).await?;
    assert_eq!(pair.ask(0).await.status, 429);

    let metrics = async |of: &Service| {
        let page = glyph_harness::net::get(&format!("{}/metrics", of.admin_url())).await?;
        let name = "glyph_authz_credits_spent_total{tier=\"small\"} ";
        let line = page.text();
        let line = line.lines().find_map(|line| line.strip_prefix(name));
        Result::Ok(line.map_or(0, |number| number.parse::<u64>().unwrap()))
    };
    let spent = metrics(&pair.stage.sidecar).await? + metrics(&pair.second).await?;
    assert_eq!(spent, 41);
    Ok(())
}

/// CASE 53. The sidecar that was asked last knows all that was spent; it is the first to be asked afterwards.
#[tokio::test]
async fn a_redis_flushed_in_the_middle_gives_no_credit_again_while_the_sidecars_live() -> Result<()>
{
    let pair = Pair::set().await?;
    pair.stage.world.grant("g", "ada", 40, json!({})).await;
    let mut passed = pair.knows(0, 40).await + pair.knows(1, 40).await;
    passed += pair.storm(4).await;
    for at in [0, 1] {
        passed += u64::from(pair.ask(at).await.status == 200);
    }
    assert!(passed > 20 && passed < 60, "in the middle: {passed}");

    pair.stage.redis.flush().await?;
    passed += u64::from(pair.ask(1).await.status == 200);
    passed += pair.storm(10).await;
    assert_eq!(passed, 60);
    // Nor is anything given again when there is nothing left to give.
    pair.stage.redis.flush().await?;
    assert_eq!(pair.storm(1).await, 0);
    Ok(())
}

#[tokio::test]
async fn both_sidecars_lost_give_no_credit_again_while_redis_lives() -> Result<()> {
    let pair = Pair::set().await?;
    pair.stage.world.grant("g", "ada", 10, json!({})).await;
    let passed = pair.knows(0, 10).await + pair.knows(1, 10).await + pair.storm(5).await;
    assert_eq!(passed, 30);
    pair.restart_sidecars().await?;
    assert_eq!(pair.storm(1).await, 0);
    assert_eq!(pair.stage.upstream.requests(), 30);
    Ok(())
}

/// CASE 53: all that counts is lost but the checkpoint: what was spent since it comes back, and not one more.
#[tokio::test]
async fn redis_and_both_sidecars_lost_give_back_what_was_spent_since_the_checkpoint_and_no_more()
-> Result<()> {
    let pair = Pair::set().await?;
    pair.stage.world.grant("g", "ada", 40, json!({})).await;
    let passed = pair.knows(0, 40).await + pair.knows(1, 40).await + pair.storm(10).await;
    assert_eq!(passed, 60);
    // As the operator's checkpoint writes it, ten credits ago.
    let status = json!({"used": 30, "takenBack": 0, "owed": 0, "state": "Granted"});
    pair.stage
        .world
        .patch_status::<CreditGrant>("g", status)
        .await;
    pair.stage.redis.flush().await?;
    pair.restart_sidecars().await?;

    let before = pair.stage.upstream.requests();
    let passed_meanwhile = before - 60;
    let passed = passed_meanwhile + pair.storm(10).await;
    // The month's quota has no checkpoint yet: it is given again.
    assert_eq!(passed, 20 + 10);
    Ok(())
}
