//! Showing a key once: whoever deletes its Secret shows it, and nobody else can.

use glyph_crds::ApiKey;
use glyph_crds::common::condition;
use glyph_operator_core::api_key::secret_name;
use glyph_operator_core::reason;
use k8s_openapi::api::core::v1::Secret as SecretResource;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Preconditions};

use crate::account::Account;
use crate::account::people::{is_conflict, is_missing};
use crate::account::problem::{Answer, Problem, ProblemCode};
use crate::account::waiting::until;
use crate::controllers::api_key::{ENTRY, REVISION};

/// What can be shown of a key now.
pub(super) enum Shown {
    /// The key itself.
    Now(Box<ApiKey>, String),
    /// It was shown, or is kept from being.
    Before(Box<ApiKey>),
    /// It is still being made.
    Later,
}

/// What the controller says of a key.
enum Word {
    Delivered(Box<ApiKey>),
    Unpaid,
    Stuck(String),
}

/// Whether a key's present revision is still to be made.
pub(super) fn pending(key: &ApiKey) -> bool {
    let status = key.status.as_ref();
    let made = status
        .is_some_and(|s| !s.hashes.is_empty() && s.revision == Some(key.spec.rotation.revision));
    !made && !key.spec.revoked
}

fn word(key: &ApiKey, revision: i64) -> Option<Word> {
    if !pending(key) {
        return Some(Word::Delivered(Box::new(key.clone())));
    }
    let status = key.status.as_ref()?;
    let current = |type_: &str| {
        let mut all = status.conditions.iter();
        all.find(|c| c.type_ == type_ && c.observed_generation == key.metadata.generation)
    };
    let ready = current(condition::READY)?;
    if ready.reason == reason::AWAITING_PAYMENT {
        return Some(Word::Unpaid);
    }
    let stalled = current(condition::STALLED)?;
    (stalled.status == "True" && key.spec.rotation.revision == revision)
        .then(|| Word::Stuck(stalled.message.clone()))
}

impl Account {
    /// Waits until the key works, and takes it out of its Secret.
    pub(super) async fn reveal(&self, key: &ApiKey) -> Answer<Shown> {
        let revision = key.spec.rotation.revision;
        let look = |seen: &ApiKey| word(seen, revision);
        let word = until(
            self.api::<ApiKey>(),
            &key.name_any(),
            self.settings.wait(),
            look,
        )
        .await;
        match word {
            None => Ok(Shown::Later),
            Some(Word::Unpaid) => {
                let detail = "A key is made once the subscription is paid: POST /billing/checkout says where.";
                Err(Problem::new(ProblemCode::PaymentRequired, detail))
            }
            Some(Word::Stuck(message)) => {
                tracing::warn!(message, "an API key that was asked for cannot be made");
                let detail = "The key cannot be made at the moment; ask the support of this API.";
                Err(Problem::new(ProblemCode::Conflict, detail))
            }
            Some(Word::Delivered(key)) => Ok(match self.take(&key).await? {
                Some(text) => Shown::Now(key, text),
                None => Shown::Before(key),
            }),
        }
    }

    /// The key in the Secret, which is gone with that. Of several who ask at once, one gets it.
    async fn take(&self, key: &ApiKey) -> Answer<Option<String>> {
        let api = self.api::<SecretResource>();
        let name = secret_name(&key.spec, &key.name_any());
        let Some(secret) = api.get_opt(&name).await? else {
            return Ok(None);
        };
        let owner = key.uid();
        let ours = secret
            .owner_references()
            .iter()
            .any(|of| Some(&of.uid) == owner.as_ref());
        let revision = key.spec.rotation.revision.to_string();
        if !ours || secret.annotations().get(REVISION) != Some(&revision) {
            return Ok(None);
        }
        let text = secret.data.as_ref().and_then(|data| data.get(ENTRY));
        let text = text.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: secret.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(&name, &params).await {
            Err(error) if is_missing(&error) || is_conflict(&error) => Ok(None),
            deleted => deleted.map(|_| text).map_err(Into::into),
        }
    }
}
