//! What a pool and its app client have to be like, and bringing them there (`glyph-operator setup cognito`).

use aws_sdk_cognitoidentityprovider::types::{
    AttributeDataType, ExplicitAuthFlowsType, PreventUserExistenceErrorTypes, SchemaAttributeType,
    UserPoolClientType,
};

use super::{CognitoIdentity, Failure, STRIPE_CUSTOMER};
use crate::ports::CallResult;

/// Name of the attribute in the pool's schema; Cognito puts `custom:` before it.
const STRIPE_CUSTOMER_NAME: &str = "stripe_customer_id";
/// Longest Stripe id.
const LONGEST_ID: &str = "255";
const OPERATION: &str = "set up the user pool";

/// What is to be changed, in sentences, and the app client as it is to be.
struct Needed {
    sentences: Vec<String>,
    client: UserPoolClientType,
}

impl CognitoIdentity {
    /// Brings the pool and its app client to what the account API needs, or, `dry`, only says what that takes: a sentence
    /// for each change.
    ///
    /// # Errors
    /// When Cognito refuses; what was done until then stays, and the same call goes on.
    pub async fn set_up(&self, dry: bool) -> CallResult<Vec<String>> {
        let during = |failure: Failure| failure.during(OPERATION);
        let mut sentences = Vec::new();
        if !self.has_attribute().await.map_err(during)? {
            sentences.push(format!(
                "the pool gets the attribute {STRIPE_CUSTOMER}: text that can change"
            ));
            if !dry {
                self.add_attribute().await.map_err(during)?;
            }
        }
        let client = self.describe_client().await.map_err(during)?;
        let needed = needed(client);
        if !needed.sentences.is_empty() && !dry {
            self.update_client(needed.client).await.map_err(during)?;
        }
        sentences.extend(needed.sentences);
        Ok(sentences)
    }

    async fn has_attribute(&self) -> Result<bool, Failure> {
        let described = self.call("DescribeUserPool", |client, pool| {
            client.describe_user_pool().user_pool_id(pool).send()
        });
        let described = described.await?;
        let mut schema = described
            .user_pool()
            .into_iter()
            .flat_map(|pool| pool.schema_attributes());
        Ok(schema.any(|attribute| attribute.name() == Some(STRIPE_CUSTOMER)))
    }

    async fn add_attribute(&self) -> Result<(), Failure> {
        use aws_sdk_cognitoidentityprovider::types::StringAttributeConstraintsType;
        let length = StringAttributeConstraintsType::builder()
            .min_length("0")
            .max_length(LONGEST_ID)
            .build();
        let attribute = SchemaAttributeType::builder()
            .name(STRIPE_CUSTOMER_NAME)
            .attribute_data_type(AttributeDataType::String)
            .mutable(true)
            .string_attribute_constraints(length)
            .build();
        self.call("AddCustomAttributes", |client, pool| {
            let call = client.add_custom_attributes().user_pool_id(pool);
            call.custom_attributes(attribute).send()
        })
        .await
        .map(drop)
    }

    async fn describe_client(&self) -> Result<UserPoolClientType, Failure> {
        let id = self.client_id()?;
        let described = self.call("DescribeUserPoolClient", |client, pool| {
            let call = client.describe_user_pool_client().user_pool_id(pool);
            call.client_id(id).send()
        });
        let described = described.await?;
        described.user_pool_client.ok_or_else(|| Failure {
            message: "Cognito describes no app client".to_owned(),
            ..Failure::default()
        })
    }

    /// What is not sent along is reset, so that all of it is.
    async fn update_client(&self, wanted: UserPoolClientType) -> Result<(), Failure> {
        let id = self.client_id()?;
        let validity = wanted.refresh_token_validity;
        self.call("UpdateUserPoolClient", |client, pool| {
            client
                .update_user_pool_client()
                .user_pool_id(pool)
                .client_id(id)
                .set_client_name(wanted.client_name)
                .set_refresh_token_validity((validity != 0).then_some(validity))
                .set_access_token_validity(wanted.access_token_validity)
                .set_id_token_validity(wanted.id_token_validity)
                .set_token_validity_units(wanted.token_validity_units)
                .set_read_attributes(wanted.read_attributes)
                .set_write_attributes(wanted.write_attributes)
                .set_explicit_auth_flows(wanted.explicit_auth_flows)
                .set_supported_identity_providers(wanted.supported_identity_providers)
                .set_callback_urls(wanted.callback_urls)
                .set_logout_urls(wanted.logout_urls)
                .set_default_redirect_uri(wanted.default_redirect_uri)
                .set_allowed_o_auth_flows(wanted.allowed_o_auth_flows)
                .set_allowed_o_auth_scopes(wanted.allowed_o_auth_scopes)
                .set_allowed_o_auth_flows_user_pool_client(
                    wanted.allowed_o_auth_flows_user_pool_client,
                )
                .set_analytics_configuration(wanted.analytics_configuration)
                .set_prevent_user_existence_errors(wanted.prevent_user_existence_errors)
                .set_enable_token_revocation(wanted.enable_token_revocation)
                .set_enable_propagate_additional_user_context_data(
                    wanted.enable_propagate_additional_user_context_data,
                )
                .set_auth_session_validity(wanted.auth_session_validity)
                .set_refresh_token_rotation(wanted.refresh_token_rotation)
                .send()
        })
        .await
        .map(drop)
    }
}

/// What an app client lacks.
fn needed(mut client: UserPoolClientType) -> Needed {
    use ExplicitAuthFlowsType as Flow;
    let mut sentences = Vec::new();
    let flows = client.explicit_auth_flows.get_or_insert_default();
    for flow in [Flow::AllowUserPasswordAuth, Flow::AllowRefreshTokenAuth] {
        if !flows.contains(&flow) {
            sentences.push(format!("the app client allows the flow {}", flow.as_str()));
            flows.push(flow);
        }
    }
    let silent = Some(PreventUserExistenceErrorTypes::Enabled);
    if client.prevent_user_existence_errors != silent {
        sentences.push(
            "the app client no longer tells which users exist (PreventUserExistenceErrors)"
                .to_owned(),
        );
        client.prevent_user_existence_errors = silent;
    }
    if client.enable_token_revocation != Some(true) {
        sentences.push("the app client's tokens can be revoked (EnableTokenRevocation)".to_owned());
        client.enable_token_revocation = Some(true);
    }
    if let Some(written) = &mut client.write_attributes
        && written.iter().any(|name| name == STRIPE_CUSTOMER)
    {
        sentences.push(format!(
            "users can no longer write {STRIPE_CUSTOMER} themselves"
        ));
        written.retain(|name| name != STRIPE_CUSTOMER);
    }
    Needed { sentences, client }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_stays_and_what_is_not_is_named() {
        let given = UserPoolClientType::builder()
            .client_name("shop")
            .explicit_auth_flows(ExplicitAuthFlowsType::AllowUserSrpAuth)
            .write_attributes("email")
            .write_attributes(STRIPE_CUSTOMER)
            .callback_urls("https://shop.example")
            .build();
        let first = needed(given.clone());
        assert_eq!(first.sentences.len(), 5, "{:?}", first.sentences);
        assert_eq!(first.client.callback_urls, given.callback_urls);
        assert_eq!(
            first.client.write_attributes,
            Some(vec!["email".to_owned()])
        );
        let flows = first.client.explicit_auth_flows();
        assert!(flows.contains(&ExplicitAuthFlowsType::AllowUserSrpAuth) && flows.len() == 3);
        let second = needed(first.client.clone());
        assert_eq!(
            (second.sentences, second.client),
            (Vec::new(), first.client)
        );
    }
}
