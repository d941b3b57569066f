//! The routes, the OpenAPI 3.1 document made of them, and readable pages made of that. What every operation of a kind may
//! answer is added here, once.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use http::{HeaderValue, header};
use utoipa::openapi::path::{HttpMethod, Operation, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref,
    RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::ProblemDocument;
use super::{Account, auth, billing, keys, plans, usage};
use std::sync::Arc;

mod page;

const PROBLEM: &str = "Problem";
/// The pages have styles of their own, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// All routes with what the document says of them.
pub(super) fn routes() -> OpenApiRouter<Arc<Account>> {
    let routes = OpenApiRouter::with_openapi(outline())
        .routes(routes!(auth::register))
        .routes(routes!(auth::confirm))
        .routes(routes!(auth::resend))
        .routes(routes!(auth::login::login))
        .routes(routes!(auth::login::challenge))
        .routes(routes!(auth::login::refresh))
        .routes(routes!(auth::login::logout))
        .routes(routes!(auth::forgot))
        .routes(routes!(auth::reset))
        .routes(routes!(auth::login::change_email))
        .routes(routes!(auth::me::confirm_email))
        .routes(routes!(auth::me::me, auth::me::delete))
        .routes(routes!(plans::list))
        .routes(routes!(billing::status::status))
        .routes(routes!(billing::checkout::checkout))
        .routes(routes!(billing::checkout::look))
        .routes(routes!(billing::pages::portal))
        .routes(routes!(billing::pages::invoices))
        .routes(routes!(usage::usage))
        .routes(routes!(keys::generate))
        .routes(routes!(keys::list))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::look, keys::rename, keys::revoke));
    let mut routes = routes;
    complete(routes.get_openapi_mut());
    routes
}

fn outline() -> OpenApi {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The `access_token` of POST /auth/login."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("access_token", SecurityScheme::Http(token))
        .schema(PROBLEM, ProblemDocument::schema());
    let mut schemas = Vec::new();
    ProblemDocument::schemas(&mut schemas);
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Account API")
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license.build()))
        .description(Some(
            "Register, log in, pay, make keys and see what they use. Bodies are JSON; a field that is not known is refused. \
             Amounts are in the currency's minor unit, times are RFC 3339 in UTC. Whatever is not done is answered by a \
             problem document (RFC 9457) with a stable `code`.",
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.schemas_from_iter(schemas).build()))
        .build()
}

/// What each operation may answer beside what it says itself.
fn complete(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Patch, &mut item.patch),
            (HttpMethod::Delete, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                let safe = method == HttpMethod::Get;
                add_problems(operation, safe);
            }
        }
    }
}

fn add_problems(operation: &mut Operation, safe: bool) {
    let secured = operation.security.is_some();
    let has_parameter = |place: &ParameterIn| {
        let mut all = operation.parameters.iter().flatten();
        all.any(|parameter| matches!(parameter, RefOr::T(one) if one.parameter_in == *place))
    };
    let in_path = has_parameter(&ParameterIn::Path);
    let in_query = has_parameter(&ParameterIn::Query);
    let logins = secured || operation.tags.iter().flatten().any(|tag| tag == "Login");
    let problems = [
        ("400", !safe || in_query, "The request cannot be taken"),
        ("401", secured, "An access token is missing, or not good"),
        (
            "403",
            !safe || secured,
            "The account or the web page may not",
        ),
        ("404", in_path, "There is none of yours"),
        ("409", secured, "Something stands in the way"),
        ("413", !safe, "The body is too large"),
        ("415", !safe, "The body is not JSON"),
        ("422", !safe || in_query, "A value is not valid"),
        ("429", true, "Too many requests, or attempts"),
        ("501", logins, "This installation has no logins"),
        ("503", true, "This is not possible now"),
    ];
    for (status, applies, description) in problems {
        let responses = &mut operation.responses.responses;
        if applies && !responses.contains_key(status) {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(PROBLEM)))
                .build();
            let response = ResponseBuilder::new()
                .description(description)
                .content("application/problem+json", content)
                .build();
            responses.insert(status.to_owned(), response.into());
        }
    }
}

/// `/openapi.json` and `/docs`.
pub(super) fn pages(document: OpenApi) -> Router {
    let text = serde_json::to_value(&document).unwrap_or_default();
    let page = page::render(&text);
    let text = text.to_string();
    let json = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    let policy = [(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(PAGE_POLICY),
    )];
    Router::new()
        .route("/openapi.json", get(move || async move { (json, text) }))
        .route("/docs", get(move || async move { (policy, Html(page)) }))
}
