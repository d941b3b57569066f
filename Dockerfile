# Images of both programs, for those who have Docker; `cargo image` writes the same ones without it.
#
#   docker build --target glyph-operator -t glyph-operator .
#   docker build --target glyph-authz -t glyph-authz .
#
# For the same bytes again, name the builder by digest (RUST_IMAGE=docker.io/library/rust@sha256:…) and give the commit's time:
#
#   docker buildx build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) \
#     --build-arg COMMIT=$(git rev-parse --short=12 HEAD) \
#     --output type=oci,dest=operator.tar,rewrite-timestamp=true --target glyph-operator .
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-alpine

FROM ${RUST_IMAGE} AS build
RUN apk add --no-cache musl-dev ca-certificates
WORKDIR /glyph
COPY . .
ARG COMMIT
ARG SOURCE_DATE_EPOCH
RUN if [ -n "$COMMIT" ]; then export GLYPH_BUILD_COMMIT="$COMMIT"; fi; \
    if [ -n "$SOURCE_DATE_EPOCH" ]; then export GLYPH_BUILD_DATE="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)"; fi; \
    RUSTFLAGS="-Ctarget-feature=+crt-static --remap-path-prefix=/usr/local/cargo=/cargo" \
    cargo build --release --locked --package glyph-operator --package glyph-authz

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS glyph-operator
COPY --from=build /glyph/target/release/glyph-operator /glyph-operator
ENTRYPOINT ["/glyph-operator"]

FROM base AS glyph-authz
COPY --from=build /glyph/target/release/glyph-authz /glyph-authz
ENTRYPOINT ["/glyph-authz"]
