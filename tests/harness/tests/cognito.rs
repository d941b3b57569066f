//! Cognito as the operator will see it: a pool, users, attributes.

use glyph_harness::{Cognito, Result};
use serde_json::json;

#[tokio::test]
async fn a_user_made_through_the_api_is_found_with_the_stripe_customer_on_it() -> Result<()> {
    let cognito = Cognito::start().await?;
    assert!(
        cognito.pool_id().starts_with(cognito.region()),
        "{}",
        cognito.pool_id()
    );
    assert!(!cognito.client_id().is_empty());
    assert_eq!(cognito.user("ada@example.com").await?, None);
    let user = json!({
        "UserPoolId": cognito.pool_id(),
        "Username": "ada@example.com",
        "MessageAction": "SUPPRESS",
        "UserAttributes": [
            {"Name": "email", "Value": "ada@example.com"},
            {"Name": "custom:stripe_customer_id", "Value": "cus_1"},
        ],
    });
    cognito.call("AdminCreateUser", &user).await?;
    let found = cognito.user("ada@example.com").await?.unwrap();
    assert_eq!(found["custom:stripe_customer_id"], "cus_1");
    assert_eq!(cognito.users().await?, [found]);
    let again = cognito
        .call("AdminCreateUser", &user)
        .await
        .unwrap_err()
        .to_string();
    assert!(again.contains("UsernameExistsException"), "{again}");
    Ok(())
}
