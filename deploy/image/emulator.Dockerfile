# The emulator's image: one static binary, for development and tests. It has no keys: the
# emulator makes them when it starts. `make image PROGRAM=skr-emulator` builds it.
ARG BUILDER=golang:1.26
FROM ${BUILDER} AS build
ARG VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN PROGRAM=skr-emulator VERSION="${VERSION}" sh deploy/image/layout.sh /image

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="skr-emulator" \
      org.opencontainers.image.description="An emulated Azure for tests of skr. TEST ONLY" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image/bin/ /bin/
COPY --from=build /image/usr/ /usr/
COPY --from=build --chown=65532:65532 /image/run/ /run/
USER 65532:65532
ENTRYPOINT ["/bin/skr-emulator"]
