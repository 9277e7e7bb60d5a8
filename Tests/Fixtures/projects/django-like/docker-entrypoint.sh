#!/bin/sh
set -e
echo "db is $DB_HOST:$DB_PORT"
exec "$@"
