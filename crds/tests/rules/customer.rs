//! The rules of `GlyphCustomer`.

use glyph_crds::GlyphCustomer;

use crate::table::{
    ACCEPTED, Changed, Made, check_changed, check_made, check_name_length, refused,
};

const EMAIL: &str = "email must be one address such as ada@example.com";
const USERNAME: &str = "cognito.username must not be empty or hold white space";
const SUB: &str =
    "cognito.sub must be the id that the pool shows as the user's sub: letters, digits and '-'";
const SUB_CHANGED: &str =
    "cognito.sub cannot be changed once it is set; make another GlyphCustomer for another user";

pub const MADE: &[Made] = &[
    ("{email: ada@example.com}", ACCEPTED),
    (
        "{email: a.b+c@mail.example.co.uk, displayName: Ada}",
        ACCEPTED,
    ),
    ("{email: ''}", refused("spec.email", EMAIL)),
    ("{email: ada}", refused("spec.email", EMAIL)),
    ("{email: ada@localhost}", refused("spec.email", EMAIL)),
    (
        "{email: 'ada@example.com, eve@example.com'}",
        refused("spec.email", EMAIL),
    ),
    (
        "{email: 'Ada <ada@example.com>'}",
        refused("spec.email", EMAIL),
    ),
    ("{email: ada@example..com}", refused("spec.email", EMAIL)),
    (
        "{email: ada@example.com, displayName: ''}",
        refused(
            "spec.displayName",
            "displayName must not be empty; write the name that invoices show, or leave it out",
        ),
    ),
    // Which Cognito user.
    (
        "{email: ada@example.com, cognito: {create: true}}",
        ACCEPTED,
    ),
    (
        "{email: ada@example.com, cognito: {create: true, username: ada}}",
        ACCEPTED,
    ),
    (
        "{email: ada@example.com, cognito: {username: ada}}",
        ACCEPTED,
    ),
    (
        "{email: ada@example.com, cognito: {sub: 1b2c-3d4e}}",
        ACCEPTED,
    ),
    (
        "{email: ada@example.com, cognito: {}}",
        refused(
            "spec.cognito",
            "cognito needs username or sub of a user in the pool, or create: true to make one",
        ),
    ),
    (
        "{email: ada@example.com, cognito: {username: ada, sub: 1b2c}}",
        refused(
            "spec.cognito",
            "set cognito.username or cognito.sub, not both: either alone names the user",
        ),
    ),
    (
        "{email: ada@example.com, cognito: {create: true, sub: 1b2c}}",
        refused(
            "spec.cognito",
            "cognito.create makes a new user, whose sub Cognito chooses; remove cognito.sub or create",
        ),
    ),
    (
        "{email: ada@example.com, cognito: {username: ''}}",
        refused("spec.cognito.username", USERNAME),
    ),
    (
        "{email: ada@example.com, cognito: {username: a b}}",
        refused("spec.cognito.username", USERNAME),
    ),
    (
        "{email: ada@example.com, cognito: {sub: ''}}",
        refused("spec.cognito.sub", SUB),
    ),
    (
        "{email: ada@example.com, cognito: {sub: a/b}}",
        refused("spec.cognito.sub", SUB),
    ),
];

pub const CHANGED: &[Changed] = &[
    (
        "{email: ada@example.com}",
        "{email: ada@example.org, suspended: true}",
        ACCEPTED,
    ),
    (
        "{email: ada@example.com}",
        "{email: ada@example.com, cognito: {sub: 1b2c}}",
        ACCEPTED,
    ),
    (
        "{email: ada@example.com, cognito: {sub: 1b2c}}",
        "{email: ada@example.org, cognito: {sub: 1b2c}}",
        ACCEPTED,
    ),
    (
        "{email: ada@example.com, cognito: {sub: 1b2c}}",
        "{email: ada@example.com, cognito: {sub: 9f8e}}",
        refused("spec.cognito", SUB_CHANGED),
    ),
    (
        "{email: ada@example.com, cognito: {sub: 1b2c}}",
        "{email: ada@example.com, cognito: {username: ada}}",
        refused("spec.cognito", SUB_CHANGED),
    ),
    (
        "{email: ada@example.com, cognito: {sub: 1b2c}}",
        "{email: ada@example.com}",
        refused("spec.cognito", SUB_CHANGED),
    ),
];

#[tokio::test]
async fn a_customer_is_refused_with_a_sentence_or_accepted() {
    check_made::<GlyphCustomer>(MADE).await;
    check_name_length::<GlyphCustomer>("{email: ada@example.com}").await;
}

#[tokio::test]
async fn a_customer_stays_the_cognito_user_it_is() {
    check_changed::<GlyphCustomer>(CHANGED).await;
}
