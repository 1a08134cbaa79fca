# The sidecar's image: one static binary, no shell, no package manager.
#   docker build -t skr --build-arg VERSION=$(git describe --always) .
# BUILDER is any image with Go.
ARG BUILDER=golang:1.26
FROM ${BUILDER} AS build
ARG VERSION=
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -tags grpcnotrace -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /image/bin/skr ./cmd/skr \
 && ln -s bin/skr /image/skr.sh \
 && ln -s skr /image/bin/sh

# /skr.sh and `sh -c /skr.sh` are how manifests of the reference sidecar start it;
# here both are names of the one binary (docs/decisions/0004-drop-in.md).
FROM scratch
COPY --from=build /image/ /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/bin/skr"]
