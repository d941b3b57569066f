//! What a person does on Stripe's checkout page: opens the link, types a card's number, sends the form.

use anyhow::{Context as _, Result, anyhow, ensure};
use glyph_harness::net::{get, send};
use glyph_stripe_sim::Control;
use hyper::Request;

/// Stripe's test card that pays.
pub const CARD_THAT_PAYS: &str = "4242 4242 4242 4242";
/// Stripe's test card that the bank declines.
pub const CARD_DECLINED: &str = "4000 0000 0000 0002";

/// Stripe's test card that can be attached and never charged.
pub const CARD_THAT_FAILS: &str = "4000 0000 0000 0341";

/// Replaces the card of the customer `id` (`cus_…`) in Stripe's portal, to which the API's own site gives a session.
///
/// # Errors
/// When the portal does not take it.
pub async fn replace_card(control: &Control, id: &str, card: &str) -> Result<()> {
    let session = control
        .in_dashboard(
            "POST",
            "/v1/billing_portal/sessions",
            &format!("customer={id}"),
        )
        .map_err(|said| anyhow!("no portal session: {said}"))?;
    let url = session["url"]
        .as_str()
        .context("a portal session has no URL")?;
    let form = format!("card_number={}", card.replace(' ', "+"));
    let request = Request::post(format!("{url}/card"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)?;
    let answer = send(request).await?;
    ensure!(
        answer.status == 303,
        "expected the portal to take the card; came {} {}",
        answer.status,
        answer.text()
    );
    Ok(())
}

/// Pays at `link` as a browser does, up to the redirect to the seller's own page; gives that page's address.
///
/// # Errors
/// When the page is not one to pay on, or the card is refused: with what the page says.
pub async fn pay(link: &str, card: &str) -> Result<String> {
    let page = get(link)
        .await
        .context("failed to open the checkout link")?;
    let asks = page.text().contains("name=\"card_number\"");
    ensure!(
        page.status == 200 && asks,
        "expected a page that asks for a card; came {} {}",
        page.status,
        page.text()
    );
    let form = format!(
        "card_number={}&expiry=12+%2F+40&cvc=123",
        card.replace(' ', "+")
    );
    let request = Request::post(link)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)?;
    let paid = send(request)
        .await
        .context("failed to send the checkout form")?;
    ensure!(
        paid.status == 303,
        "expected a redirect after paying; came {} {}",
        paid.status,
        paid.text()
    );
    Ok(paid.header("location"))
}
