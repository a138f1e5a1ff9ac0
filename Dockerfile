# The relay as a container: `docker build -t lifecycle-relay .`, or `docker compose up`.
# docs/operating.md says how to run it.

FROM python:3.11-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore
# The same path as in the final stage: the installed `relay` command points here.
WORKDIR /srv/relay

# Dependencies first: they change less often than the code, so this layer is kept.
# The build tools go into this stage's own Python; what runs goes into /opt/relay, without pip.
COPY requirements/base.lock requirements/build.lock requirements/
RUN pip install --require-hashes --requirement requirements/build.lock \
    && python -m venv --without-pip /opt/relay \
    && pip --python /opt/relay/bin/python install --require-hashes --requirement requirements/base.lock

COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY app app
COPY migrations migrations
# The checkout may have been made by somebody whose files nobody else may read; the relay's user must.
RUN python -m hatchling build --target wheel:editable --directory /tmp/wheel \
    && pip --python /opt/relay/bin/python install --no-deps --no-index /tmp/wheel/*.whl \
    && /opt/relay/bin/python -m compileall -q --invalidation-mode unchecked-hash app migrations \
    && chmod -R a=rX,u+w alembic.ini app migrations


FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Lifecycle Relay" \
      org.opencontainers.image.licenses="MIT"

# A numeric user, so that an orchestrator can see that it is not root.
# Python's own library comes without bytecode, and nothing could keep it at run time: every start,
# every command and every health check would compile it anew.
RUN groupadd --gid 10001 relay \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin relay \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data \
    && python -m compileall -q --invalidation-mode unchecked-hash \
        -x '/(ensurepip|idlelib|lib2to3|site-packages|tkinter|turtledemo)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

COPY --from=builder /opt/relay /opt/relay
WORKDIR /srv/relay
COPY --from=builder /srv/relay/alembic.ini ./
COPY --from=builder /srv/relay/app app
COPY --from=builder /srv/relay/migrations migrations

# Nothing is written outside /data, so the root file system can be read-only.
ENV PATH=/opt/relay/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RELAY_HOST=0.0.0.0 \
    RELAY_PORT=8080 \
    RELAY_WORKER_PORT=8080 \
    RELAY_DATA_DIR=/data \
    RELAY_LOG_FORMAT=json
VOLUME ["/data"]
EXPOSE 8080
USER 10001:10001

HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; relay = http.client.HTTPConnection('127.0.0.1', int(os.environ['RELAY_PORT']), timeout=3); relay.request('GET', '/health/live'); sys.exit(relay.getresponse().status != 200)"]

CMD ["relay", "serve"]
