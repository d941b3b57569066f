//! What a simulator can be told at its start.

use std::net::{IpAddr, Ipv4Addr};

/// A webhook endpoint that exists from the start, with a secret the caller knows.
#[derive(Clone)]
pub struct InitialWebhook {
    /// Where events are sent.
    pub url: String,
    /// The signing secret, `whsec_…`.
    pub secret: String,
}

/// The settings of one simulator.
#[derive(Clone)]
pub struct Options {
    /// Where it listens.
    pub address: IpAddr,
    /// The port there; 0 takes a free one.
    pub port: u16,
    /// The one secret key that is accepted. A key with `_live_` in it makes a live-mode account.
    pub api_key: String,
    /// How long, in seconds of the simulator's clock, a change stays unseen by search (about a minute at Stripe).
    pub search_lag_seconds: i64,
    /// Where ids are drawn from; without one, from the time and the port.
    pub seed: Option<u64>,
    /// Sign webhooks at the simulated time, for receivers whose clock moves along. Otherwise at the real time.
    pub signs_at_simulated_time: bool,
    /// Webhook endpoints that are there from the start.
    pub webhooks: Vec<InitialWebhook>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            api_key: "sk_test_glyphsimulator".to_owned(),
            search_lag_seconds: 60,
            seed: None,
            signs_at_simulated_time: false,
            webhooks: Vec::new(),
        }
    }
}
