//! What a person does on Stripe's checkout page: opens the link, types a card's number, sends the form.

use anyhow::{Context as _, Result, ensure};
use glyph_harness::net::{get, send};
use hyper::Request;

/// Stripe's test card that pays.
pub const CARD_THAT_PAYS: &str = "4242 4242 4242 4242";
/// Stripe's test card that the bank declines.
pub const CARD_DECLINED: &str = "4000 0000 0000 0002";

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
