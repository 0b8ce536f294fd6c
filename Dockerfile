# syntax=docker/dockerfile:1

FROM golang:1.26-trixie AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /flaresmith ./app

# The server is a static binary. The Workers runtime that it starts is not: it needs glibc, so no
# image without one will do. pg_dump copies parents that have sessions; it must be at least as new as
# the server that holds the branches.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-client tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/flaresmith --create-home --shell /usr/sbin/nologin flaresmith
COPY --from=build /flaresmith /usr/local/bin/flaresmith
USER 10001:10001
WORKDIR /var/lib/flaresmith
VOLUME /var/lib/flaresmith
ENV FLARESMITH_LISTEN=:8080 \
    FLARESMITH_METRICS_LISTEN=:9090 \
    FLARESMITH_DATA_DIR=/var/lib/flaresmith
EXPOSE 8080 9090
# An init process collects the exited children of Workers' processes.
ENTRYPOINT ["tini", "--", "flaresmith"]
CMD ["serve"]
