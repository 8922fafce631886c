#!/usr/bin/env bash
# Runs the extension's own tests inside the private copy of one PostgreSQL major: 15 or 18.
#
#   .ci/test_extension.sh <major> [name of a test]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$OUTBOUND_TOP"

major=$1
shift
arguments=(-p pg_outbound)
# The default features name PostgreSQL 15; pgrx adds the feature of the version it is given.
[ "$major" = 15 ] || arguments+=(--no-default-features)
[ -z "$OUTBOUND_RUNAS" ] || arguments+=(--runas "$OUTBOUND_RUNAS")

# Not the default below the target folder: the server's user may not be able to go there.
data=$(mktemp -u -d "$OUTBOUND_SERVERS/data/pgrx-$major-XXXXXX")
trap 'rm -rf "$data"' EXIT
cargo pgrx test "${arguments[@]}" --pgdata "$data" "pg$major" "$@"
