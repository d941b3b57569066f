"""moto, with what people need of Cognito and moto lacks: codes that are sent and checked, a new address that counts once
it is confirmed, users that delete themselves, secret hashes, and one user for one address however many ask at once.

Codes are written to the file in GLYPH_OUTBOX, a line {"to": address, "code": code} for each.
"""

import base64
import functools
import hashlib
import hmac
import json
import os
import random
import threading

from moto.cognitoidp import models, responses
from moto.cognitoidp.exceptions import (
    AliasExistsException,
    CodeMismatchException,
    InvalidParameterException,
    NotAuthorizedError,
    UserNotFoundError,
)
from moto.core.responses import EmptyResult
from moto.server import main

OUTBOX = os.environ["GLYPH_OUTBOX"]
LOCK = threading.RLock()
Response = responses.CognitoIdpResponse


def send(user, address):
    user.sent = f"{random.SystemRandom().randrange(10**6):06}"
    with open(OUTBOX, "a", encoding="utf-8") as outbox:
        outbox.write(json.dumps({"to": address, "code": user.sent}) + "\n")


def take(user, code):
    if getattr(user, "sent", None) != code:
        raise CodeMismatchException("Invalid verification code provided, please try again.")
    user.sent = None


def pools():
    for backends in models.cognitoidp_backends.values():
        for backend in backends.values():
            yield from backend.user_pools.values()


def of_client(request):
    """The pool, and the user of the request, of whom there may be none."""
    client_id = request._get_param("ClientId")
    for pool in pools():
        if client_id in pool.clients:
            username = request._get_param("Username")
            sign(pool.clients[client_id], username, request._get_param("SecretHash"))
            return pool, pool._get_user(username)
    raise NotAuthorizedError("Unknown client")


def of_token(request):
    token = request._get_param("AccessToken")
    for pool in pools():
        if token in pool.access_tokens:
            user = pool._get_user(pool.access_tokens[token][1])
            if user:
                return pool, user
    raise NotAuthorizedError("Access Token has been revoked")


def sign(client, username, given):
    """What a client with a secret has to show; what another shows is not looked at."""
    if not client.generate_secret:
        return
    digest = hmac.new(client.secret.encode(), (username + client.id).encode(), hashlib.sha256)
    if given != base64.b64encode(digest.digest()).decode():
        raise NotAuthorizedError(f"Unable to verify secret hash for client {client.id}")


def known(user):
    if not user:
        raise UserNotFoundError("Username/client id combination not found.")
    return user


def locked(method):
    @functools.wraps(method)
    def inner(self):
        with LOCK:
            return method(self)

    return inner


SIGN_UP, FORGOT, RESET = Response.sign_up, Response.forgot_password, Response.confirm_forgot_password
UPDATE, INITIATE = Response.update_user_attributes, Response.initiate_auth
RESPOND = Response.respond_to_auth_challenge


@locked
def sign_up(self):
    of_client(self)
    answer = SIGN_UP(self)
    _, user = of_client(self)
    send(user, self._get_param("Username"))
    return answer


@locked
def confirm_sign_up(self):
    pool, user = of_client(self)
    if known(user).status != models.UserStatus.UNCONFIRMED:
        raise NotAuthorizedError("User cannot be confirmed. Current status is CONFIRMED")
    take(user, self._get_param("ConfirmationCode"))
    user.status = models.UserStatus.CONFIRMED
    user.update_attributes([{"Name": "email_verified", "Value": "true"}])
    return EmptyResult()


@locked
def resend_confirmation_code(self):
    _, user = of_client(self)
    if known(user).status != models.UserStatus.UNCONFIRMED:
        raise InvalidParameterException("User is already confirmed.")
    send(user, self._get_param("Username"))
    return EmptyResult()


@locked
def forgot_password(self):
    _, user = of_client(self)
    answer = FORGOT(self)
    self.response_headers.pop("x-moto-forgot-password-confirmation-code", None)
    send(known(user), self._get_param("Username"))
    return answer


@locked
def confirm_forgot_password(self):
    pool, user = of_client(self)
    models.cognitoidp_backends[pool.account_id][pool.region]._validate_password(
        pool.id, self._get_param("Password")
    )
    take(known(user), self._get_param("ConfirmationCode"))
    return RESET(self)


@locked
def initiate_auth(self):
    parameters = self._get_param("AuthParameters")
    if self._get_param("AuthFlow") == "USER_PASSWORD_AUTH":
        client_id = self._get_param("ClientId")
        for pool in pools():
            if client_id in pool.clients:
                sign(pool.clients[client_id], parameters.get("USERNAME"), parameters.get("SECRET_HASH"))
    return INITIATE(self)


@locked
def update_user_attributes(self):
    """A new address waits for its code, as with AttributesRequireVerificationBeforeUpdate."""
    pool, user = of_token(self)
    wanted = [a["Value"] for a in self._get_param("UserAttributes") if a["Name"] == "email"]
    if not wanted:
        return UPDATE(self)
    if any(other.attribute_lookup.get("email") == wanted[0] for other in pool.users.values()):
        raise AliasExistsException()
    user.wanted = wanted[0]
    send(user, wanted[0])
    return EmptyResult()


@locked
def verify_user_attribute(self):
    pool, user = of_token(self)
    take(user, self._get_param("Code"))
    former = user.attribute_lookup.get("email")
    user.update_attributes(
        [{"Name": "email", "Value": user.wanted}, {"Name": "email_verified", "Value": "true"}]
    )
    # Tokens name their user by the address it had.
    for tokens in (pool.access_tokens, pool.refresh_tokens, pool.id_tokens):
        for token, owner in tokens.items():
            if owner and owner[1] == former:
                tokens[token] = (owner[0], user.username, *owner[2:])
    return EmptyResult()


@locked
def respond_to_auth_challenge(self):
    client_id, session = self._get_param("ClientId"), self._get_param("Session")
    for pool in pools():
        if client_id in pool.clients and session not in pool.backend.sessions:
            raise NotAuthorizedError("Invalid session for the user.")
    return RESPOND(self)


@locked
def global_sign_out(self):
    pool, _ = of_token(self)
    pool.sign_out(pool.access_tokens[self._get_param("AccessToken")][1])
    return EmptyResult()


@locked
def delete_user(self):
    pool, user = of_token(self)
    pool.sign_out(pool.access_tokens[self._get_param("AccessToken")][1])
    del pool.users[user.username]
    return EmptyResult()


for added in (
    sign_up,
    confirm_sign_up,
    resend_confirmation_code,
    forgot_password,
    confirm_forgot_password,
    initiate_auth,
    update_user_attributes,
    verify_user_attribute,
    respond_to_auth_challenge,
    global_sign_out,
    delete_user,
):
    setattr(Response, added.__name__, added)

main()
