#!/bin/sh
# Run once by the image of PostgreSQL, when its data is new: the roles of core/postgres/schema/access/roles.sql.
set -eu
HOTCAKES_OWNER_PASSWORD=$(cat /secrets/db-owner-password)
HOTCAKES_PASSWORD=$(cat /secrets/db-password)
HOTCAKES_AUDIT_PASSWORD=$(cat /secrets/db-audit-password)
HOTCAKES_READER_PASSWORD=$(cat /secrets/db-reader-password)
export HOTCAKES_OWNER_PASSWORD HOTCAKES_PASSWORD HOTCAKES_AUDIT_PASSWORD HOTCAKES_READER_PASSWORD
psql --no-psqlrc --username "$POSTGRES_USER" --dbname postgres --file /hotcakes/roles.sql
