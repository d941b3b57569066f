# Images of both programs, for those who have Docker; `cargo image` writes the same ones without it.
#
#   docker build --target glyph-operator -t glyph-operator .
#   docker build --target glyph-authz -t glyph-authz .
#
# For the same bytes again, give the commit and its time:
#
#   docker buildx build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) \
#     --build-arg COMMIT=$(git rev-parse --short=12 HEAD) \
#     --output type=oci,dest=operator.tar,rewrite-timestamp=true --target glyph-operator .
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082

FROM ${RUST_IMAGE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
    && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /glyph
COPY . .
ARG COMMIT
ARG SOURCE_DATE_EPOCH
RUN if [ -n "$COMMIT" ]; then export GLYPH_BUILD_COMMIT="$COMMIT"; fi; \
    if [ -n "$SOURCE_DATE_EPOCH" ]; then export GLYPH_BUILD_DATE="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)"; fi; \
    target="$(uname -m)-unknown-linux-musl"; \
    RUSTFLAGS="-Ctarget-feature=+crt-static --remap-path-prefix=/usr/local/cargo=/cargo" \
    cargo build --release --locked --target "$target" --package glyph-operator --package glyph-authz \
    && mkdir /built && mv target/"$target"/release/glyph-operator target/"$target"/release/glyph-authz /built

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS glyph-operator
COPY --from=build /built/glyph-operator /glyph-operator
ENTRYPOINT ["/glyph-operator"]

FROM base AS glyph-authz
COPY --from=build /built/glyph-authz /glyph-authz
ENTRYPOINT ["/glyph-authz"]
