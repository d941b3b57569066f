//! Cognito's refusals, classed by what to do about them
//! (<https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/CommonErrors.html>).

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cognitoidentityprovider::operation::RequestId;
use glyph_operator_core::billing::FailureClass;

pub(super) const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
pub(super) const USER_POOL: &str = "AWS_COGNITO_USER_POOL_ID";

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) class: FailureClass,
    /// Cognito's sentence, or ours where that says what to do.
    pub(super) message: String,
    /// Cognito's name of the refusal, e.g. `UserNotFoundException`.
    pub(super) code: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Default for Failure {
    fn default() -> Self {
        Self {
            class: FailureClass::Transient,
            message: String::new(),
            code: None,
            request_id: None,
        }
    }
}

impl Failure {
    /// Whether Cognito named it so.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// What the SDK's error means.
pub(super) fn failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.code().map(str::to_owned);
    let said = error.message().unwrap_or_default().trim().to_owned();
    let refused = error
        .raw_response()
        .is_some_and(|raw| raw.status().is_client_error());
    let request_id = error.request_id().map(str::to_owned);
    let (class, message) = match &code {
        Some(code) => by_code(code, said, refused),
        None => by_cause(&error),
    };
    Failure {
        class,
        message,
        code,
        request_id,
    }
}

fn by_code(code: &str, said: String, refused: bool) -> (FailureClass, String) {
    let access = FailureClass::Credential(ACCESS_KEY);
    match code {
        "TooManyRequestsException" | "ThrottlingException" | "LimitExceededException" => {
            (FailureClass::Throttled(None), said)
        }
        "ResourceNotFoundException" => {
            let message =
                format!("AWS_COGNITO_USER_POOL_ID names no user pool in this region: {said}");
            (FailureClass::Credential(USER_POOL), message)
        }
        // Cognito's sentence would repeat the whole signed request.
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            let message = "AWS refused the signature: AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID";
            (
                FailureClass::Credential("AWS_SECRET_ACCESS_KEY"),
                message.to_owned(),
            )
        }
        "NotAuthorizedException"
        | "AccessDeniedException"
        | "AccessDenied"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException"
        | "OptInRequired" => (access, said),
        "InvalidParameterException" if said.contains("stripe_customer_id") => {
            let message = "the user pool has no attribute custom:stripe_customer_id: add a mutable custom attribute \
                           named stripe_customer_id of type String to it";
            (FailureClass::Invalid, message.to_owned())
        }
        _ if refused => (FailureClass::Invalid, format!("{code}: {said}")),
        _ => (FailureClass::Transient, format!("{code}: {said}")),
    }
}

/// There was no answer, or none of Cognito's.
fn by_cause(error: &(dyn Error + 'static)) -> (FailureClass, String) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            let message = "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role";
            return (FailureClass::Credential(ACCESS_KEY), message.to_owned());
        }
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    (FailureClass::Transient, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_class_and_names_its_setting() {
        let class = |code| by_code(code, "said".to_owned(), true).0;
        assert_eq!(
            class("TooManyRequestsException"),
            FailureClass::Throttled(None)
        );
        assert_eq!(
            class("ResourceNotFoundException"),
            FailureClass::Credential("AWS_COGNITO_USER_POOL_ID")
        );
        assert_eq!(
            class("AccessDeniedException"),
            FailureClass::Credential("AWS_ACCESS_KEY_ID")
        );
        assert_eq!(
            class("InvalidSignatureException"),
            FailureClass::Credential("AWS_SECRET_ACCESS_KEY")
        );
        assert_eq!(class("InvalidParameterException"), FailureClass::Invalid);
        let internal = by_code("InternalErrorException", String::new(), false).0;
        assert_eq!(internal, FailureClass::Transient);
    }

    #[test]
    fn a_pool_without_the_attribute_is_told_what_to_add() {
        let said =
            "user.custom:stripe_customer_id: Attribute does not exist in the schema.".to_owned();
        let (class, message) = by_code("InvalidParameterException", said, true);
        assert_eq!(class, FailureClass::Invalid);
        assert!(
            message.contains("add a mutable custom attribute"),
            "{message}"
        );
    }
}
