//! Webhook endpoints (<https://docs.stripe.com/api/webhook_endpoints>). A secret comes only with the answer to a create.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::StripeBilling;
use super::objects::Wire;
use super::requests::{PAGE, by_id};
use crate::ports::{CallResult, Endpoint, Endpoints, NewEndpoint};

const ROUTE: &str = "/v1/webhook_endpoints";
const ONE: &str = "/v1/webhook_endpoints/{id}";
/// Metadata key that says whose endpoint it is.
const MARK: &str = "glyph_endpoint";

#[derive(Deserialize)]
struct WireEndpoint {
    id: String,
    url: String,
    enabled_events: Vec<String>,
    status: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl Wire for WireEndpoint {
    type Object = Endpoint;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<WireEndpoint> for Endpoint {
    fn from(mut wire: WireEndpoint) -> Self {
        Self {
            id: wire.id,
            url: wire.url,
            events: wire.enabled_events,
            enabled: wire.status == "enabled",
            mark: wire.metadata.remove(MARK),
        }
    }
}

#[derive(Deserialize)]
struct WireNew {
    id: String,
    secret: String,
}

impl Wire for WireNew {
    type Object = NewEndpoint;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<WireNew> for NewEndpoint {
    fn from(wire: WireNew) -> Self {
        let WireNew { id, secret } = wire;
        Self { id, secret }
    }
}

#[derive(Serialize)]
struct ListEndpoints {
    limit: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<String>,
}

#[derive(Serialize)]
struct CreateEndpoint<'a> {
    enabled_events: &'a [&'a str],
    metadata: BTreeMap<&'a str, &'a str>,
    url: &'a str,
}

#[derive(Serialize)]
struct UpdateEndpoint<'a> {
    disabled: bool,
    enabled_events: &'a [&'a str],
    metadata: BTreeMap<&'a str, &'a str>,
}

impl Endpoints for StripeBilling {
    async fn endpoints(&self) -> CallResult<Vec<Endpoint>> {
        let request = |starting_after| {
            let parameters = ListEndpoints {
                limit: PAGE,
                starting_after,
            };
            RequestBuilder::new(StripeMethod::Get, "/webhook_endpoints").query(&parameters)
        };
        self.pages::<WireEndpoint>("list the webhook endpoints", ROUTE, request)
            .await
    }

    async fn create_endpoint(
        &self,
        url: &str,
        mark: &str,
        events: &[&str],
    ) -> CallResult<NewEndpoint> {
        let parameters = CreateEndpoint {
            enabled_events: events,
            metadata: BTreeMap::from([(MARK, mark)]),
            url,
        };
        let request =
            RequestBuilder::new(StripeMethod::Post, "/webhook_endpoints").form(&parameters);
        self.write::<WireNew>("register the webhook endpoint", ROUTE, request, None)
            .await
    }

    async fn update_endpoint(&self, id: &str, mark: &str, events: &[&str]) -> CallResult<()> {
        let parameters = UpdateEndpoint {
            disabled: false,
            enabled_events: events,
            metadata: BTreeMap::from([(MARK, mark)]),
        };
        let request = by_id(StripeMethod::Post, "webhook_endpoints", id).form(&parameters);
        self.write::<WireEndpoint>("update the webhook endpoint", ONE, request, None)
            .await
            .map(drop)
    }

    async fn delete_endpoint(&self, id: &str) -> CallResult<()> {
        let request = by_id(StripeMethod::Delete, "webhook_endpoints", id);
        self.remove("delete the webhook endpoint", ONE, request)
            .await
    }
}
