//! `GET /billing/usage`: what was used in this month of allowance.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Account;
use super::billing::status::{CreditBalance, Quota};
use super::caller::Caller;
use super::problem::Answer;

/// What was used.
#[derive(Serialize, ToSchema)]
pub(super) struct Usage {
    /// What is used of the monthly requests.
    quota: Quota,
    /// Prepaid credits.
    credits: CreditBalance,
}

/// What you used.
#[utoipa::path(get, path = "/billing/usage", tag = "Billing", security(("access_token" = [])),
    responses((status = 200, body = Usage, description = "Usage of this month")))]
pub(super) async fn usage(
    State(account): State<Arc<Account>>,
    caller: Caller,
) -> Answer<Json<Usage>> {
    let (quota, credits) = account.balance(&caller.customer).await?;
    Ok(Json(Usage { quota, credits }))
}
