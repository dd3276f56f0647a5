# docker build -t kuma-sd .
# script/image builds the same without a registry, on a base made of Debian's packages. What is in a tag changes; for an
# image that can be built again: --build-arg BASE=docker.io/library/debian@sha256:…
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3-venv
# For an index of one's own.
ARG PIP_INDEX_URL
ARG PIP_CERT
COPY . /src
ARG PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all:
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --requirement /src/requirements/build.txt \
    && /opt/build/bin/python -m build --no-isolation --wheel --outdir /wheel /src
RUN python3 -m venv /opt/kuma-sd \
    && /opt/kuma-sd/bin/pip install --require-hashes --requirement /src/requirements/runtime.txt \
    && /opt/kuma-sd/bin/pip install --no-index --no-deps /wheel/*.whl

FROM ${BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/kuma-sd /opt/kuma-sd
# What is published, the control socket, and the last good targets: all that is ever written, so the rest may be read-only.
RUN install -d -o 65532 -g 65532 /run/kuma-prometheus-sd /run/kuma-sd /var/lib/kuma-sd
VOLUME ["/run/kuma-prometheus-sd", "/run/kuma-sd", "/var/lib/kuma-sd"]
ENV PATH=/opt/kuma-sd/bin:/usr/bin:/bin RUNTIME_DIRECTORY=/run/kuma-sd PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["kuma-sd", "status"]
ENTRYPOINT ["kuma-sd"]
CMD ["run"]
