//! The pages a person sees: checkout, confirmation (3-D Secure), hosted invoice, customer portal.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::answer::Answer;
use crate::control::{Control, Payment};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::objects::cards::{self, Verdict};
use crate::objects::checkout_sessions::Paid;
use crate::objects::{invoices, payment_intents, payment_methods};
use crate::server::Shared;
use crate::world::World;

mod html;
mod portal;

use html::{card_form, confirmation, escape, page};

/// The pages, each at the address that the API gives for it.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/c/pay/{id}", get(checkout).post(pay))
        .route(
            "/c/pay/{id}/confirm",
            get(checkout_confirmation).post(confirm_checkout),
        )
        .route("/3ds/{id}", get(intent_confirmation).post(confirm_intent))
        .route("/i/{id}", get(invoice).post(pay_invoice))
        .merge(portal::routes())
}

#[derive(Deserialize)]
struct CardForm {
    /// Empty where nothing is asked for, or a bank account pays.
    #[serde(default)]
    card_number: String,
    /// `us_bank_account`, or `us_bank_account_failing` for one that its bank will refuse.
    payment_method: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct ConfirmationForm {
    /// `complete` or `fail`.
    answer: String,
}

/// What is at an address that names nothing.
fn not_found(error: &ApiError) -> Response {
    notice(404, error.message())
}

fn notice(status: u16, message: &str) -> Response {
    Answer::html(
        status,
        page(
            "Glyph simulator",
            &format!("<p role=\"alert\">{}</p>", escape(message)),
        ),
    )
    .into_response()
}

async fn checkout(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    checkout_page(&shared.world(), &id, None)
}

fn checkout_page(world: &World, id: &str, refusal: Option<&str>) -> Response {
    let session = match world.get("checkout.session", id) {
        Ok(session) => session,
        Err(error) => return not_found(&error),
    };
    match session.text("status") {
        "open" => {}
        "complete" => return notice(200, "You are all done here: this payment is complete."),
        _ => return notice(410, "This checkout session has expired."),
    }
    let total = html::money(session.int("amount_total"), session.text("currency"));
    let form = card_form(
        session.list("_line_items"),
        &total,
        session["customer_details"].is_null(),
        refusal,
    );
    Answer::html(
        if refusal.is_some() { 402 } else { 200 },
        page("Pay", &form),
    )
    .into_response()
}

async fn pay(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(form): Form<CardForm>,
) -> Response {
    let control = Control { shared };
    let email = form.email.as_deref().filter(|email| !email.is_empty());
    let payment = match form.payment_method.as_deref() {
        Some("us_bank_account") => control.pay_by_bank(&id, email, false),
        Some("us_bank_account_failing") => control.pay_by_bank(&id, email, true),
        _ if form.card_number.is_empty() => control.complete_without_card(&id, email),
        _ => control.pay(&id, &form.card_number, email),
    };
    after_payment(&control, &id, payment)
}

fn after_payment(control: &Control, id: &str, payment: Payment) -> Response {
    match payment {
        Payment::Done(url) => Answer::see_other(&url).into_response(),
        Payment::MustConfirm => Answer::see_other(&format!("/c/pay/{id}/confirm")).into_response(),
        Payment::Refused(message) => checkout_page(&control.shared.world(), id, Some(&message)),
    }
}

async fn checkout_confirmation(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Response {
    match shared.world().get("checkout.session", &id) {
        Ok(session) if session["_card"].is_null() => {
            notice(400, "This payment does not wait for a confirmation.")
        }
        Ok(_) => Answer::html(200, page("Confirm", confirmation())).into_response(),
        Err(error) => not_found(&error),
    }
}

async fn confirm_checkout(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(form): Form<ConfirmationForm>,
) -> Response {
    let control = Control { shared };
    let payment = control.confirm(&id, form.answer == "complete");
    after_payment(&control, &id, payment)
}

async fn intent_confirmation(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Response {
    match shared.world().get("payment_intent", &id) {
        Ok(intent) if intent.text("status") != "requires_action" => {
            notice(400, "This payment does not wait for a confirmation.")
        }
        Ok(_) => Answer::html(200, page("Confirm", confirmation())).into_response(),
        Err(error) => not_found(&error),
    }
}

async fn confirm_intent(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(form): Form<ConfirmationForm>,
) -> Response {
    let return_url = shared
        .world()
        .store
        .find("payment_intent", &id)
        .and_then(|intent| intent["_return_url"].as_str().map(str::to_owned));
    let payment = Control { shared }.on_page(&id, |world| {
        let verdict = payment_intents::answer_confirmation(world, &id, form.answer == "complete")?;
        outcome(verdict, return_url.unwrap_or_default())
    });
    after_page_payment(payment)
}

fn outcome(verdict: Verdict, url: String) -> Result<Paid, ApiError> {
    match verdict {
        Verdict::Approved => Ok(Paid::Done(url)),
        Verdict::NeedsConfirmation => Ok(Paid::MustConfirm),
        Verdict::Declined(error) => Err(error),
    }
}

fn after_page_payment(payment: Payment) -> Response {
    match payment {
        Payment::Done(url) if !url.is_empty() => Answer::see_other(&url).into_response(),
        Payment::Done(_) => notice(200, "Thank you: this is paid."),
        Payment::MustConfirm => notice(200, "This payment waits for your confirmation."),
        Payment::Refused(message) => notice(402, &message),
    }
}

async fn invoice(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let world = shared.world();
    match world.get("invoice", &id) {
        Ok(invoice) if invoice.text("status") == "open" => {
            let total = html::money(invoice.int("amount_remaining"), invoice.text("currency"));
            Answer::html(
                200,
                page(
                    "Invoice",
                    &card_form(invoice.list("lines"), &total, false, None),
                ),
            )
            .into_response()
        }
        Ok(invoice) => notice(200, &format!("This invoice is {}.", invoice.text("status"))),
        Err(error) => not_found(&error),
    }
}

async fn pay_invoice(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(form): Form<CardForm>,
) -> Response {
    let mut intent = String::new();
    let payment = Control { shared }.on_page(&id, |world| {
        let invoice = world.get("invoice", &id)?.clone();
        let card = cards::by_number(&form.card_number)
            .ok_or_else(|| ApiError::invalid("Your card number is incorrect."))?;
        let method = payment_methods::create_for_page(world, card);
        let attached = payment_methods::attach(world, &method, invoice.text("customer"))?;
        intent = invoice.text("_payment_intent").to_owned();
        let verdict = invoices::collect(world, &id, Some(&attached), false, false);
        let verdict = verdict.ok_or_else(|| ApiError::invalid("This invoice is not open."))?;
        outcome(verdict, format!("/i/{id}"))
    });
    match payment {
        Payment::MustConfirm => Answer::see_other(&format!("/3ds/{intent}")).into_response(),
        other => after_page_payment(other),
    }
}
