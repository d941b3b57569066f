//! What the pool's refusals mean to a person. Pure.

use glyph_operator_core::billing::FailureClass;

use crate::account::ports::{PoolError, Refusal};
use crate::cognito::Failure;

/// What a failed call means to a person.
pub(super) fn pool_error(failure: Failure) -> PoolError {
    let refusal = match failure.code.as_deref().unwrap_or_default() {
        "UsernameExistsException" | "AliasExistsException" => Refusal::Exists,
        "UserNotConfirmedException" => Refusal::NotConfirmed,
        "NotAuthorizedException" | "UserNotFoundException" | "PasswordResetRequiredException" => {
            Refusal::NotAuthorized
        }
        "CodeMismatchException" | "ExpiredCodeException" => Refusal::WrongCode,
        "InvalidPasswordException" | "PasswordHistoryPolicyViolationException" => {
            Refusal::WeakPassword
        }
        // Of a client that is not the pool's, and of tokens and sessions of nobody.
        "InvalidParameterException" | "EnableSoftwareTokenMFAException" => Refusal::Invalid,
        _ => {
            return match failure.class {
                FailureClass::Credential(_) => PoolError::NotConfigured(failure.message),
                _ => PoolError::Unavailable(failure.message),
            };
        }
    };
    if refusal == Refusal::Invalid && failure.message.contains("USER_PASSWORD_AUTH") {
        let message = format!(
            "the app client does not allow logins by password ({}): run glyph-operator setup cognito",
            failure.message
        );
        return PoolError::NotConfigured(message);
    }
    PoolError::Refused(refusal)
}

/// A session, a refresh token or a token that the pool does not know is a credential that is not good, however the pool
/// words it.
pub(super) fn of_session(error: PoolError) -> PoolError {
    match error {
        PoolError::Refused(Refusal::Invalid) => PoolError::Refused(Refusal::NotAuthorized),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, class: FailureClass, message: &str) -> PoolError {
        pool_error(Failure {
            class,
            message: message.to_owned(),
            code: Some(code.to_owned()),
            request_id: None,
        })
    }

    /// CASE 42
    #[test]
    fn a_throttled_pool_is_not_available_and_nobodys_fault() {
        let throttled = error(
            "TooManyRequestsException",
            FailureClass::Throttled(None),
            "slow down",
        );
        assert_eq!(throttled, PoolError::Unavailable("slow down".to_owned()));
    }

    #[test]
    fn a_client_without_the_flow_is_the_operators_to_mend() {
        let said = "USER_PASSWORD_AUTH flow not enabled for this client";
        let error = error("InvalidParameterException", FailureClass::Invalid, said);
        let PoolError::NotConfigured(sentence) = error else {
            panic!("{error:?}");
        };
        assert!(sentence.contains("setup cognito"), "{sentence}");
    }

    #[test]
    fn who_exists_is_not_told_apart_from_who_does_not() {
        let unknown = error("UserNotFoundException", FailureClass::Invalid, "");
        let wrong = error("NotAuthorizedException", FailureClass::Invalid, "");
        let to_be_reset = error("PasswordResetRequiredException", FailureClass::Invalid, "");
        assert!(unknown == wrong && wrong == to_be_reset);
    }
}
