//! The GlyphCustomer of a person: the one that names their user, or, on first use, one that is made. Nobody is given a
//! customer for an e-mail address alone: whoever made it by hand has to name the user.

use glyph_crds::{CognitoRef, GlyphCustomer, GlyphCustomerSpec};
use glyph_operator_core::account::names;
use kube::ResourceExt as _;
use kube::api::PostParams;

use super::Account;
use super::ports::Person;
use super::problem::{Answer, Problem, ProblemCode};
use crate::watches::select;

/// Who made a resource, to Kubernetes.
pub(super) const FIELD_MANAGER: &str = "glyph-account-api";

/// How resources are made here.
pub(super) fn making() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// Whether the API server says that there is one of that name, or that it was changed meanwhile.
pub(super) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether the API server says that there is none.
pub(super) fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

impl Account {
    /// The customer of `person`, made if there is none.
    pub(super) async fn customer_of(&self, person: &Person) -> Answer<GlyphCustomer> {
        let customer = match self.find_customer(&person.sub).await? {
            Some(customer) => customer,
            None if !person.email_verified => {
                let detail =
                    "Confirm your e-mail address first, with the code that was sent to it.";
                return Err(Problem::new(ProblemCode::NotConfirmed, detail));
            }
            None => self.make_customer(&person.sub, &person.email).await?,
        };
        if customer.metadata.deletion_timestamp.is_some() {
            let detail = "This account is being deleted.";
            return Err(Problem::new(ProblemCode::Conflict, detail));
        }
        Ok(customer)
    }

    /// The customer that names this user, if there is one.
    pub(super) async fn find_customer(&self, sub: &str) -> Answer<Option<GlyphCustomer>> {
        let api = self.api::<GlyphCustomer>();
        let own = api.get_opt(&names::customer(sub)).await?;
        if let Some(own) = own.filter(|customer| names_user(customer, sub)) {
            return Ok(Some(own));
        }
        let by_hand = select(&self.stores, &self.namespace, |c: &GlyphCustomer| {
            names_user(c, sub)
        });
        match by_hand.first() {
            Some(customer) => Ok(api.get_opt(&customer.name_any()).await?),
            None => Ok(None),
        }
    }

    /// Makes the customer of a user; one that is there already is it.
    pub(super) async fn make_customer(&self, sub: &str, email: &str) -> Answer<GlyphCustomer> {
        let api = self.api::<GlyphCustomer>();
        let name = names::customer(sub);
        let customer = GlyphCustomer::new(
            &name,
            GlyphCustomerSpec {
                email: email.to_owned(),
                display_name: None,
                cognito: Some(CognitoRef {
                    username: None,
                    sub: Some(sub.to_owned()),
                    create: false,
                }),
                suspended: false,
                deletion_policy: Default::default(),
            },
        );
        match api.create(&making(), &customer).await {
            Err(error) if is_conflict(&error) => {
                let there = api.get(&name).await?;
                if names_user(&there, sub) {
                    return Ok(there);
                }
                tracing::warn!(name, "a GlyphCustomer of this name is another user's");
                let detail = "This account cannot be opened; ask the support of this API.";
                Err(Problem::new(ProblemCode::Conflict, detail))
            }
            made => Ok(made?),
        }
    }
}

/// Whether a customer is this user's, by its spec or by what the operator found for it.
fn names_user(customer: &GlyphCustomer, sub: &str) -> bool {
    let named = customer
        .spec
        .cognito
        .as_ref()
        .and_then(|cognito| cognito.sub.as_deref());
    let found = customer
        .status
        .as_ref()
        .and_then(|status| status.cognito_sub.as_deref());
    named.or(found) == Some(sub)
}
