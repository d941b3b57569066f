//! `ApiKey`: the Secret it is delivered in. This is the one place that holds a key, for as long as it takes
//! to write it there or to hash it.

use std::collections::BTreeMap;

use glyph_crds::api_key_format::{ApiKeySecret, Peppers, RANDOM_LENGTH};
use glyph_crds::entitlement::{KeyEntitlement, in_charge, key_entitlement};
use glyph_crds::{ApiKey, ApiKeyStatus, GlyphCustomer, Subscription, Tier};
use glyph_operator_core::api_key::{self, Action, Delivered, Delivery, Observed, secret_name};
use glyph_operator_core::{Next, Settled};
use glyph_runtime::random::base62;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt};

use crate::controllers::subscription::latest_subscriptions;
use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::reconcile::Controller;
use crate::watches::{named, select};
use crate::world::World;
use crate::writer::Reported;

/// Entry of the Secret that holds the key.
pub const ENTRY: &str = "GLYPH_API_KEY";
/// Annotation of the Secret: the revision of `spec.rotation` that it was made for.
pub const REVISION: &str = "glyphapi.ai/revision";
/// Label of the Secret: the ApiKey's public id.
const KEY_ID: &str = "glyphapi.ai/key-id";

/// The controller of keys.
pub struct Keys;

impl Reported for ApiKey {
    const MANAGER: &'static str = "glyph-api-key-controller";
}

impl<B: Billing, I: Identity> Controller<B, I> for Keys {
    type Kind = ApiKey;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, object: &ApiKey) -> Result<Observed, Failure> {
        let meta = world.meta(object);
        let namespace = meta.owner.namespace.as_str();
        let customer = &object.spec.customer_ref;
        let exists: Option<GlyphCustomer> = named(&world.stores, namespace, &customer.name);
        let all = select(&world.stores, namespace, |s: &Subscription| {
            s.spec.customer_ref == *customer
        });
        let tiers = select(&world.stores, namespace, |_: &Tier| true);
        let tier_named = |name: &str| tiers.iter().find(|tier| tier.name_any() == name);
        let default = &world.shared.default_tier;
        let mut entitlement = key_entitlement(in_charge(&all), default, tier_named, meta.now);
        if entitlement == KeyEntitlement::Granted && object.reported().hashes.is_empty() {
            // A key cannot be taken back: no watch that lags may hide a subscription that has yet to be paid.
            let latest = latest_subscriptions(world, namespace, &customer.name).await?;
            let latest: Vec<_> = latest.into_iter().filter_map(|s| s.0.ok()).collect();
            entitlement = key_entitlement(in_charge(&latest), default, tier_named, meta.now);
        }
        Ok(Observed {
            delivery: observe_secret(world, object).await?,
            spec: object.spec.clone(),
            status: object.reported(),
            customer_exists: exists.is_some_and(|c| c.metadata.deletion_timestamp.is_none()),
            entitlement,
            meta,
        })
    }

    fn plan(observed: &Observed) -> Next<Action> {
        api_key::plan(observed)
    }

    async fn apply(
        world: &World<B, I>,
        object: &mut ApiKey,
        action: Action,
    ) -> Result<(), Failure> {
        match action {
            Action::CreateSecret(revision) => create_secret(world, object, revision).await,
            Action::DeleteSecret => delete_secret(world, object).await,
        }
    }

    fn status(observed: &Observed, next: &Next<Action>) -> Settled<ApiKeyStatus> {
        api_key::status(observed, next)
    }
}

fn secrets<B, I>(world: &World<B, I>, object: &ApiKey) -> (Api<Secret>, String) {
    let namespace = object.namespace().unwrap_or_default();
    let name = secret_name(&object.spec, &object.name_any());
    (
        Api::namespaced(world.shared.client.clone(), &namespace),
        name,
    )
}

async fn read_secret<B, I>(
    world: &World<B, I>,
    object: &ApiKey,
) -> Result<Option<Secret>, Failure> {
    let (api, name) = secrets(world, object);
    api.get_opt(&name)
        .await
        .map_err(Failure::kubernetes("read the Secret of the key"))
}

fn is_ours(secret: &Secret, object: &ApiKey) -> bool {
    let uid = object.uid();
    secret
        .owner_references()
        .iter()
        .any(|owner| Some(&owner.uid) == uid.as_ref())
}

async fn observe_secret<B, I>(world: &World<B, I>, object: &ApiKey) -> Result<Delivery, Failure> {
    let Some(secret) = read_secret(world, object).await? else {
        return Ok(Delivery::None);
    };
    if !is_ours(&secret, object) {
        return Ok(Delivery::Foreign);
    }
    let revision = secret
        .annotations()
        .get(REVISION)
        .and_then(|text| text.parse().ok());
    let made = secret
        .creation_timestamp()
        .map_or_else(|| world.now(), |time| time.0);
    let settled = object
        .status
        .as_ref()
        .is_some_and(|s| !s.hashes.is_empty() && s.revision == revision);
    // The hash is needed only while it is not in the status; until then no pepper is asked for.
    let key = if settled {
        None
    } else {
        read_key(&secret, &world.peppers()?)
    };
    Ok(Delivery::Ours {
        revision,
        made,
        key,
    })
}

/// What may be known of the key in a Secret.
fn read_key(secret: &Secret, peppers: &Peppers) -> Option<Delivered> {
    let bytes = secret.data.as_ref()?.get(ENTRY)?;
    let key = ApiKeySecret::parse(std::str::from_utf8(&bytes.0).ok()?).ok()?;
    let pepper = peppers.newest();
    Some(Delivered {
        hash: pepper.hash(key.expose()).to_string(),
        pepper_version: pepper.version(),
        prefix: key.display_prefix(),
    })
}

/// Draws a key and writes it down. Nothing else knows it, so that a Secret which is there already wins.
async fn create_secret<B, I>(
    world: &World<B, I>,
    object: &ApiKey,
    revision: i64,
) -> Result<(), Failure> {
    // Without a pepper it could not be hashed, and would be a key that never works.
    world.peppers()?;
    let random = base62(RANDOM_LENGTH)?;
    let Ok(key) = ApiKeySecret::new(object.spec.environment, &random) else {
        return Err(Failure::Outdated);
    };
    let (api, name) = secrets(world, object);
    let uid = object.uid().unwrap_or_default();
    let mut secret = Secret {
        string_data: Some(BTreeMap::from([(
            ENTRY.to_owned(),
            key.expose().to_owned(),
        )])),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.clone());
    secret.metadata.owner_references = object.controller_owner_ref(&()).map(|owner| vec![owner]);
    secret.labels_mut().extend([
        (
            "app.kubernetes.io/managed-by".to_owned(),
            "glyph".to_owned(),
        ),
        (KEY_ID.to_owned(), api_key::key_id(&uid)),
    ]);
    secret
        .annotations_mut()
        .insert(REVISION.to_owned(), revision.to_string());
    let params = PostParams {
        field_manager: Some(ApiKey::MANAGER.to_owned()),
        ..PostParams::default()
    };
    match api.create(&params, &secret).await {
        Ok(_) => {
            tracing::info!(
                name = object.name_any(),
                secret = name,
                revision,
                "delivered an API key"
            );
            Ok(())
        }
        Err(kube::Error::Api(error)) if error.code == 409 => Err(Failure::Outdated),
        Err(error) => Err(Failure::kubernetes("create the Secret of the key")(error)),
    }
}

/// Deletes our Secret, and none that took its name in the meantime.
async fn delete_secret<B, I>(world: &World<B, I>, object: &ApiKey) -> Result<(), Failure> {
    let Some(secret) = read_secret(world, object)
        .await?
        .filter(|secret| is_ours(secret, object))
    else {
        return Ok(());
    };
    let (api, name) = secrets(world, object);
    let preconditions = Preconditions {
        uid: secret.uid(),
        resource_version: None,
    };
    let params = DeleteParams {
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    };
    match api.delete(&name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => Ok(()),
        Err(error) => Err(Failure::kubernetes("delete the Secret of the key")(error)),
    }
}
