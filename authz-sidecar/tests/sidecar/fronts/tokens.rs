//! Access tokens are the same to each front as well.

use glyph_crds::GlyphCustomer;
use glyph_harness::Cognito;

use super::*;

#[tokio::test]
async fn a_token_is_its_users_through_each_front_and_a_damaged_one_nobodys() -> Result<()> {
    let cognito = Cognito::start().await?;
    let fronts = Fronts::set_with(|settings| settings.tokens_of(&cognito)).await?;
    let (email, password) = ("ada@example.com", "Correct-horse-7");
    let sub = cognito.register(email, password).await?;
    let tokens = cognito.sign_in(email, password).await?;
    let world = &fronts.stage.world;
    let known = json!({"cognitoSub": sub});
    world.patch_status::<GlyphCustomer>("ada", known).await;

    let bearer = format!("Bearer {}", tokens["AccessToken"].as_str().unwrap());
    let told = format!("{}/ada", world.namespace.name());
    let fields = [
        ("authorization", bearer.as_str()),
        ("x-glyph-customer", "other/eve"),
    ];
    let asked = async || fronts.ask("GET", (USUAL, "/v1/items"), &fields).await;
    let all_pass = async || {
        let all = asked().await;
        all.iter()
            .all(|(_, outcome)| outcome.status == 200 && outcome.told == told)
            .then_some(())
    };
    poll_until("the token to pass each front", SOON, all_pass).await?;

    let damaged = format!("{bearer}A");
    let fields = [("authorization", damaged.as_str())];
    let refused = fronts.ask("GET", (USUAL, "/v1/items"), &fields).await;
    for (name, outcome) in refused {
        assert_eq!(
            (outcome.status, outcome.told.as_str()),
            (401, "invalid_credential"),
            "{name}"
        );
    }
    Ok(())
}
