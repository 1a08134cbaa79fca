# The sidecar's image: one static binary, no shell, no package manager.
#   docker build -t skr --build-arg VERSION=$(git describe --always) --build-arg REVISION=$(git rev-parse HEAD) .
# `make image` builds the same from this file without a container engine: it makes
# the first stage's directory on the machine. BUILDER is any image with Go.
ARG BUILDER=golang:1.26
FROM ${BUILDER} AS build
ARG VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN VERSION="${VERSION}" sh deploy/image/layout.sh /image

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="skr" \
      org.opencontainers.image.description="Secure key release for confidential pods" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image/ /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/bin/skr"]
