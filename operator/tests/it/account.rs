//! The account API through real HTTP: what a customer does, and what nobody may. Kubernetes, Redis, Cognito's protocol and
//! Stripe's simulator are behind it.

mod any_input;
mod document;
mod isolation;
mod journey;
mod limits;
mod logins;
mod many;
mod site;
