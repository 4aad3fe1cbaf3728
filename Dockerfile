# syntax=docker/dockerfile:1
# Build:  docker build -t zhiwei .
# Run:    docker run -it --env-file zhiwei.env -v zhiwei-state:/var/lib/zhiwei zhiwei
FROM python:3.11-slim-bookworm AS build

# Without an address of CPU wheels, torch brings gigabytes of GPU packages along; give PyTorch's
# with `--build-arg TORCH_WHEELS=...` (see docs/operations.md).
ARG TORCH_WHEELS=""
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/zhiwei \
    && /opt/zhiwei/bin/pip install --no-cache-dir ${TORCH_WHEELS:+--index-url "$TORCH_WHEELS"} "torch==2.13.0"
COPY data ./data
COPY index ./index
COPY recommender ./recommender
COPY bot ./bot
RUN /opt/zhiwei/bin/pip install --no-cache-dir -c constraints.txt ".[encrypted]"

FROM python:3.11-slim-bookworm

COPY --from=build /opt/zhiwei /opt/zhiwei
RUN useradd --system --uid 10001 --home-dir /var/lib/zhiwei --shell /usr/sbin/nologin zhiwei \
    && install -d -m 0700 -o zhiwei -g zhiwei /var/lib/zhiwei /var/cache/zhiwei
ENV PATH=/opt/zhiwei/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ZHIWEI_STATE=/var/lib/zhiwei \
    ZHIWEI_CACHE=/var/cache/zhiwei
WORKDIR /var/lib/zhiwei
USER 10001:10001
# The state is what must not be lost; the cache may be, and then costs half a minute.
VOLUME ["/var/lib/zhiwei", "/var/cache/zhiwei"]
EXPOSE 8080
# Polling opens no port: there the process itself is the sign of life.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os,urllib.request as u; os.environ.get('ZHIWEI_WEBHOOK_URL') and u.urlopen('http://127.0.0.1:'+os.environ.get('ZHIWEI_PORT','8080')+'/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["zhiwei"]
CMD ["run"]
