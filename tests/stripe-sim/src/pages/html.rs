//! The markup of the pages. Everything that came from a caller is escaped here.

use serde_json::Value;

use crate::doc::Doc;

/// Text as it may stand in markup and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A whole page. `title` and `body` are markup already.
pub(super) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><meta name=\"viewport\" \
         content=\"width=device-width\"><style>body{{font:16px system-ui;max-width:28rem;margin:3rem auto;padding:0 1rem}}\
         label{{display:block;margin:.8rem 0}}input{{display:block;width:100%;padding:.5rem;box-sizing:border-box}}\
         button{{padding:.6rem 1rem;margin:.3rem .3rem 0 0}}[role=alert]{{color:#b00020}}footer{{color:#666;margin-top:2rem}}</style>\
         </head><body><h1>{title}</h1>\n{body}\n<footer>Stripe simulator: no money moves here.</footer></body></html>\n"
    )
}

/// An amount in minor units as a person reads it. Currencies without minor units are shown as they are.
pub(super) fn money(amount: i64, currency: &str) -> String {
    let whole = [
        "jpy", "krw", "vnd", "clp", "xaf", "xof", "xpf", "ugx", "pyg", "rwf", "kmf", "mga", "gnf",
        "djf", "bif", "vuv",
    ];
    let currency_shown = currency.to_uppercase();
    if whole.contains(&currency) {
        return format!("{amount} {currency_shown}");
    }
    let sign = if amount < 0 { "-" } else { "" };
    format!(
        "{sign}{}.{:02} {currency_shown}",
        amount.abs() / 100,
        amount.abs() % 100
    )
}

/// What is bought, what it costs, and where the card goes.
pub(super) fn card_form(
    lines: &[Value],
    total: &str,
    ask_email: bool,
    refusal: Option<&str>,
) -> String {
    let bought: String = lines
        .iter()
        .map(|line| {
            format!(
                "<li>{} × {}</li>",
                line.int("quantity"),
                escape(line["description"].as_str().unwrap_or("item"))
            )
        })
        .collect();
    let alert = refusal
        .map(|message| format!("<p role=\"alert\">{}</p>", escape(message)))
        .unwrap_or_default();
    let email = if ask_email {
        "<label>Email <input name=\"email\" type=\"email\" required></label>"
    } else {
        ""
    };
    format!(
        "{alert}<ul>{bought}</ul><p>To pay: <strong>{}</strong></p><form method=\"post\">{email}<label>Card number <input \
         name=\"card_number\" inputmode=\"numeric\" autocomplete=\"cc-number\" placeholder=\"4242 4242 4242 4242\" required></label>\
         <label>Expiry <input name=\"expiry\" placeholder=\"12 / 40\"></label><label>CVC <input name=\"cvc\" placeholder=\"123\"></label>\
         <button type=\"submit\">Pay</button></form>",
        escape(total)
    )
}

/// The bank's question.
pub(super) fn confirmation() -> &'static str {
    "<p>Your bank asks you to confirm this payment.</p><form method=\"post\"><button name=\"answer\" value=\"complete\">Complete</button>\
     <button name=\"answer\" value=\"fail\">Fail</button></form>"
}

/// The subscriptions of a customer, each with what can be done about it, and a form for another card.
pub(super) fn portal(session: &Value, subscriptions: &[Value], plans: &[&Value]) -> String {
    let at = format!("/p/session/{}", escape(session.text("id")));
    let list: String = subscriptions
        .iter()
        .map(|subscription| entry(&at, subscription, plans))
        .collect();
    let back = session["return_url"]
        .as_str()
        .map(|url| format!("<p><a href=\"{}\">Return</a></p>", escape(url)));
    format!(
        "<ul>{list}</ul><form method=\"post\" action=\"{at}/card\"><label>New card <input name=\"card_number\" \
         inputmode=\"numeric\" required></label><button>Replace the card</button></form>{}",
        back.unwrap_or_default()
    )
}

fn entry(at: &str, subscription: &Value, plans: &[&Value]) -> String {
    let id = escape(subscription.text("id"));
    let (action, word) = if subscription.flag("cancel_at_period_end") {
        ("resume", "Do not cancel: go on")
    } else {
        ("cancel", "Cancel at the end of the period")
    };
    let current = &subscription["items"]["data"][0]["price"]["id"];
    let others = plans
        .iter()
        .filter(|plan| plan["id"] != *current && plan["currency"] == subscription["currency"]);
    let plans: String = others
        .map(|plan| {
            format!(
                "<button name=\"price\" value=\"{}\">{} a {}</button>",
                escape(plan.text("id")),
                money(plan.int("unit_amount"), plan.text("currency")),
                escape(plan["recurring"].text("interval"))
            )
        })
        .collect();
    format!(
        "<li>{id}: {}<form method=\"post\" action=\"{at}/{action}\"><button name=\"subscription\" \
         value=\"{id}\">{word}</button></form><form method=\"post\" action=\"{at}/plan\"><input type=\"hidden\" \
         name=\"subscription\" value=\"{id}\">{plans}</form></li>",
        escape(subscription.text("status"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_wrote_cannot_become_markup() {
        let lines = [serde_json::json!({ "quantity": 1, "description": "<script>" })];
        let shown = card_form(&lines, "1.00 USD", true, Some("\"no\" & '<b>'"));
        assert!(!shown.contains("<script>") && !shown.contains("<b>"));
        assert!(shown.contains("&quot;no&quot; &amp; &#39;&lt;b&gt;&#39;"));
    }

    #[test]
    fn amounts_read_as_money() {
        assert_eq!(money(2900, "usd"), "29.00 USD");
        assert_eq!(money(-5, "eur"), "-0.05 EUR");
        assert_eq!(money(500, "jpy"), "500 JPY");
    }
}
