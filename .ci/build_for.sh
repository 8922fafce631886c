#!/usr/bin/env bash
# Release builds for a PostgreSQL of the user's choice.
#
#   .ci/build_for.sh package <pg_config>            builds the worker and a package of the extension
#   .ci/build_for.sh install <pg_config> <prefix>   installs both
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$OUTBOUND_TOP"

action=$1
pg_config=$(command -v "$2") || { echo "no such program: $2 (set PG_CONFIG)" >&2; exit 1; }
major=$("$pg_config" --version | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')

# pgrx builds against the one installation of a major that its folder names; the tests' folder names
# the private copies, so this build has a folder of its own.
export PGRX_HOME=$OUTBOUND_RUN/pgrx-$action
mkdir -p "$PGRX_HOME"
cargo pgrx init --no-run "--pg$major=$pg_config" >/dev/null

arguments=(-p pg_outbound --pg-config "$pg_config")
[ "$major" = 15 ] || arguments+=(--no-default-features)

cargo build --release -p outbound
worker=${CARGO_TARGET_DIR:-target}/release/outbound
case $action in
  package)
    cargo pgrx package "${arguments[@]}"
    echo "worker: $worker"
    ;;
  install)
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
      [ -w "$("$pg_config" --pkglibdir)" ] || arguments+=(--sudo)
      [ -w "$3/bin" ] || sudo=sudo
    fi
    cargo pgrx install --release "${arguments[@]}"
    $sudo install -D -m 755 "$worker" "$3/bin/outbound"
    echo "worker: $3/bin/outbound"
    ;;
  *)
    echo "neither package nor install: $action" >&2
    exit 64
    ;;
esac
